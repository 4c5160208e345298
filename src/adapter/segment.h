/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A frame read from the tap, made fit for a peer: a TCP or UDP super-frame becomes frames of the
 * network's MTU, a checksum that was left to the device is completed. The bodies stay where they
 * are; only heads are made.
 */
#pragma once

#include <linux/virtio_net.h>

#include "adapter/batch.h"
#include "adapter/frame.h"

#define SEGMENT_GSO_UDP_L4 5 /* VIRTIO_NET_HDR_GSO_UDP_L4, in the kernel's headers since 6.2 */

/* A super-frame that is being cut, or a whole frame that is to be passed on once. */
struct segment_run {
    uint8_t *data; /* borrowed */
    struct frame at;
    size_t size; /* of the frame */
    size_t next; /* offset of the first payload byte that is not in a segment yet */
    size_t step; /* payload of a segment; 0: pass the frame whole */
    unsigned count;
    uint32_t ip_sum;     /* of the IPv4 header without length, id and checksum */
    uint32_t pseudo_sum; /* of the pseudo header without the length */
};

/* data: the frame, writable, with BATCH_PREFIX writable bytes before it; it must stay until the
 * batch is sent. limit: bytes of the largest frame the peer takes; tso: TCP frames of any size may
 * be passed on whole. -EBADMSG: header and frame contradict each other, or the frame can't be made
 * fit. */
int segment_begin(struct segment_run *run, const struct virtio_net_hdr *header, uint8_t *data,
                  size_t size, size_t limit, bool tso);

/* Adds the next frame to the batch, which must not be full. False: it was the last. */
bool segment_next(struct segment_run *run, struct batch *batch);
