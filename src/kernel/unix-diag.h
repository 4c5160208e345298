/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel tells of other processes' unix sockets: sock_diag(7), net/unix/diag.c. Only of
 * those that were made in the network namespace of the diagnosing socket.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The caller owns the fd. Negative errno. */
int unix_diag_open(int *ret_fd);

/* The inode of the datagram socket that was bound to path and is connected to the socket of inode
 * peer. -ENOENT: there is none, or it is of another namespace. */
int unix_diag_find(int fd, const char *path, uint32_t peer, uint32_t *ret_inode);

/* Whether the socket that a datagram socket is connected to has been closed. Negative errno. */
int unix_diag_alone(int fd, uint32_t inode, bool *ret);

/* Whether everything that came to a datagram socket has been read; -ENOENT: it has gone. */
int unix_diag_drained(int fd, uint32_t inode, bool *ret);
