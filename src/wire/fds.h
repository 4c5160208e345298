/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File descriptors that travel with a message (SCM_RIGHTS, unix(7)): a set that owns what it holds,
 * and the two system calls that carry one. Whoever has a struct fds closes it or hands it on.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "wire/conn.h"

struct fds {
    size_t count;
    bool lost;            /* more came than may; all of them were closed */
    int fd[CONN_FDS_MAX]; /* -1: taken by someone */
};

#define FDS_NULL ((struct fds){0})

void fds_close(struct fds *fds);
static inline void own_fds(struct fds *fds)
{
    fds_close(fds);
}

/* Duplicates count fds, which stay the caller's. -E2BIG above CONN_FDS_MAX, or dup's errno. */
int fds_copy(const int *fd, size_t count, struct fds *ret_fds);
/* Adds what from holds to *to and leaves from empty; too many in all: they are lost. */
void fds_move(struct fds *to, struct fds *from);

/* One sendmsg(2) or recvmsg(2) that never blocks. Bytes sent or received, 0 at the end of the
 * stream, or negative errno. A send leaves fds as they are. */
ssize_t fds_send(int socket, const void *data, size_t size, const struct fds *fds);
ssize_t fds_receive(int socket, void *data, size_t size, struct fds *ret_fds);
