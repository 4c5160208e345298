/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a frame from a peer leaves to the device (checksum, segmentation), as the tap's virtio-net
 * header must say it. Peers with offload send no header (libkrun's habit), so it is inferred from
 * the frame: a checksum field that holds the sum of the pseudo header is still to be completed, a
 * frame longer than the MTU is still to be cut.
 */
#pragma once

#include <linux/virtio_net.h>

#include "adapter/frame.h"

/* State of a TCP or UDP checksum. */
enum offload_checksum { OFFLOAD_WRONG, OFFLOAD_RIGHT, OFFLOAD_PARTIAL, OFFLOAD_NONE };

/* may_be_partial: the peer was told that it may leave checksums to us. OFFLOAD_NONE: UDP over IPv4
 * without one. */
enum offload_checksum offload_checksum(const uint8_t *data, const struct frame *frame,
                                       bool may_be_partial);

/* The header fields that say that a checksum is still to be made. */
void offload_place(const struct frame *frame, struct virtio_net_hdr *header);

/* The same, and puts the sum of the pseudo header into the checksum field. */
void offload_leave_checksum(uint8_t *data, const struct frame *frame,
                            struct virtio_net_hdr *header);

/* The header of a frame of at most the MTU whose checksum may be partial; zeros otherwise. */
void offload_infer(const uint8_t *data, size_t size, struct virtio_net_hdr *ret);

/* The header of a frame larger than the MTU: TCP to be cut, UDP to be fragmented. Changes the
 * checksum field. -EBADMSG: neither, or with a wrong checksum. */
int offload_infer_large(uint8_t *data, size_t size, unsigned mtu, struct virtio_net_hdr *ret);
