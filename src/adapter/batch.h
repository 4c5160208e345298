/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames on their way to the peer's socket, as two iovecs each: the head, with the 4 bytes of the
 * stream's length in front of it, and the body, which lies where the tap's super-frame was read.
 * A batch owns only the heads that were made for it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum {
    BATCH_PREFIX = 4,     /* the length of a frame on a stream, big-endian */
    BATCH_FRAMES = 512,   /* two iovecs each: IOV_MAX */
    BATCH_HEAD_MAX = 256, /* prefix included */
};

struct batch {
    unsigned count; /* frames */
    size_t bytes;   /* of the frames, prefixes not counted */
    size_t used;    /* of heads */
    struct iovec iov[2 * BATCH_FRAMES];
    uint8_t heads[BATCH_FRAMES * 96 + BATCH_HEAD_MAX];
};

static inline bool batch_full(const struct batch *b)
{
    return b->count == BATCH_FRAMES || b->used + BATCH_HEAD_MAX > sizeof(b->heads);
}

static inline void batch_clear(struct batch *b)
{
    b->count = 0;
    b->bytes = b->used = 0;
}

/* Where the head of the next frame may be made: BATCH_HEAD_MAX - BATCH_PREFIX bytes, and the
 * prefix's before them. The batch must not be full. */
static inline uint8_t *batch_head(struct batch *b)
{
    return b->heads + b->used + BATCH_PREFIX;
}

/* Adds a frame; the batch must not be full. head: what batch_head() gave or any memory with
 * BATCH_PREFIX bytes to be written before it. body is borrowed. */
void batch_add(struct batch *b, uint8_t *head, size_t head_size, uint8_t *body, size_t body_size);
