/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where each peer's stream is, told so that it outlives the process: a forwarder that is killed at
 * any instant leaves its successor at a known byte of every stream, and what it had in its hands is
 * lost like frames on a wire, never torn.
 *
 * A stream's frames can't be seen before they are read, and once read they are in this process's
 * memory alone. So they are read into memory that the holder keeps too (the journal, one for all
 * ports of a network; one thread runs all adapters, so one turn at a time), and how far a socket
 * was read the socket itself remembers: the kernel takes what is read off SO_PEEK_OFF (socket(7)),
 * in the same system call. Nobody peeks, so the value is ours, the mark:
 *
 *     -1                   nobody has read yet
 *     JOURNAL_COUNTS ..    at the beginning of a frame, but for what the turn that is under way has
 *                          read: the mark in the journal less this one
 *     JOURNAL_LENGTH ..    1 to 3 bytes of a frame's length were read, here they are
 *     0 ..                 as many bytes on a frame begins
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

enum {
    JOURNAL_ROOM = 256 * 1024, /* of a turn: less costs throughput, more gains none */
    JOURNAL_COUNTS = 1 << 30,
    JOURNAL_LENGTH = 1 << 28,
};

/* A stream, as its adapter knows it. */
struct place {
    uint64_t cookie; /* of the socket */
    int mark;        /* while counting */
    size_t skip;     /* bytes of a frame whose beginning was lost */
    struct buf rest; /* the beginning of a frame, owned */
};

/* A new journal, for the holder to keep and to hand to each forwarder. Negative errno. */
int journal_make(void);
/* Uses this journal, in which a predecessor may have stopped, from now on; without it there is one
 * that ends with the process. To be called before any adapter is made. Takes the fd, on failure
 * too. Negative errno. */
int journal_open(int fd);
/* JOURNAL_ROOM bytes of memory for the turn that is under way. */
uint8_t *journal_room(void);

/* Finds out where the stream is. */
void place_init(struct place *place, int peer);
void place_done(struct place *place);
/* Reads at most size bytes into the room, behind the rest, which is put there first, and returns
 * how many bytes there are now; what follows the last whole frame has become the rest. 0: the end.
 * -EAGAIN: nothing now. Negative errno. */
ssize_t place_read(struct place *place, int peer, size_t size);
