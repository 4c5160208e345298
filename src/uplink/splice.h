/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two connected TCP sockets joined: what comes in on one goes out on the other, by splice(2)
 * through a pipe that is borrowed only while it holds something, so an idle pair costs two
 * descriptors.
 *
 * Each direction ends by itself: an end of file is passed on as shutdown(SHUT_WR) once all bytes
 * before it are written. A reset, or any other error of one socket, resets the other. A reader that
 * is slow makes the writer wait: no more than a pipe full is held for it. If this process dies,
 * both are reset by the kernel: what was cut off must not look like its end.
 */
#pragma once

#include "base/loop.h"

struct splice;

/* Joins a and b, both connected, stream and non-blocking; both are taken, also on failure (then
 * they are reset). ended is called once, after both sockets were closed and the pair was freed; not
 * by splice_free(), and never before splice_join() has returned. SIGPIPE must be ignored. */
int splice_join(struct loop *loop, int a, int b, void (*ended)(void *context), void *context,
                struct splice **ret);

/* Resets both sockets. Accepts NULL. */
void splice_free(struct splice *splice);

/* Closes a connected TCP socket with a reset instead of an end of file; taken. */
void splice_reset(int fd);
