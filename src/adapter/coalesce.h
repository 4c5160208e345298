/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Consecutive TCP segments of one flow, as a peer without offload sends them, become one
 * super-frame for the tap. Nothing is reordered: a frame that does not continue the run first ends
 * it. Nothing waits: the caller flushes at the end of each batch it has read. A run cut by the
 * kernel or by segment.c gives the same frames again, byte for byte (but for the IPv4 id of frames
 * that must not be fragmented, which means nothing: RFC 6864 4.1).
 */
#pragma once

#include <linux/virtio_net.h>
#include <sys/uio.h>

#include "adapter/offload.h"

enum {
    COALESCE_SEGMENTS = 64, /* a tiny segment size must not make a list that takes long to cut */
    COALESCE_HEAD_MAX = FRAME_HEAD_MAX + 60 + 60,
};

/* iov[0] is the virtio-net header, the rest the frame; frames: how many of the peer's are in it. */
typedef void coalesce_fn(void *context, const struct iovec *iov, int count, unsigned frames);

struct coalesce {
    coalesce_fn *emit;
    void *context;
    bool partial; /* the peer's checksums may be those of the pseudo header alone */

    /* The run; frames 0: none. */
    unsigned frames;
    uint8_t *first; /* its first frame, borrowed */
    struct frame at;
    enum offload_checksum checksum; /* of the first frame */
    size_t size;                    /* the first frame's payload: of all but the last */
    size_t total;                   /* of the super-frame, Ethernet header not counted */
    uint32_t next_seq;              /* of the segment that would continue it */
    int id_step;                    /* of IPv4 ids; -1: not known yet */
    uint8_t flags;                  /* of TCP, of the last segment */
    bool closed;                    /* nothing can follow */
    struct virtio_net_hdr header;
    uint8_t head[COALESCE_HEAD_MAX];
    struct iovec iov[2 + COALESCE_SEGMENTS]; /* header, head, payloads */
};

/* A frame of the peer's, of any size; it must stay until coalesce_flush(). */
void coalesce_add(struct coalesce *c, uint8_t *data, size_t size);
/* A frame that is to go as it is, with its header, after those before it. */
void coalesce_pass(struct coalesce *c, const struct virtio_net_hdr *header, uint8_t *data,
                   size_t size);
void coalesce_flush(struct coalesce *c);
