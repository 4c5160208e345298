/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pipes for splice(2), borrowed while they hold something and then used again for the next socket.
 *
 * One pool a process, because what it saves is counted per user: the kernel lets all processes of a
 * user have pipes of /proc/sys/fs/pipe-user-pages-soft pages together (64 MiB), then makes new ones
 * tiny, for every program of that user. So only the first pipes are large, later ones are small,
 * and when thousands of readers are slow at once those beyond hold a page each.
 */
#pragma once

#include <stddef.h>

#include "base/list.h"

struct pipe {
    struct list link; /* among the free ones */
    int in, out;      /* what is written to in is read from out; both non-blocking */
    size_t capacity;  /* bytes to ask for at most */
    size_t kind;
};

/* An empty pipe, the largest that is free; NULL with errno when none can be made. */
struct pipe *pipes_borrow(void);

/* Gives back an empty pipe. */
void pipes_return(struct pipe *pipe);

/* Gives back a pipe that still holds something: it is closed. */
void pipes_discard(struct pipe *pipe);

/* Closes those that are free. */
void pipes_close(void);
