/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An adapter: the cable between a peer's socket and a tap on the bridge. It is not a switch: it
 * looks at headers only to cut a super-frame for a peer that can't take one, and to join a peer's
 * segments into a super-frame for the bridge.
 *
 * "in" is from the peer to the bridge, "out" from the bridge to the peer. Nothing here waits:
 * what the socket does not take is kept (at most one batch) and the tap is not read meanwhile, so
 * that its queue fills and the kernel drops there, as at any slow cable.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"

enum adapter_kind {
    ADAPTER_STREAM,        /* 4 bytes of big-endian length before each frame */
    ADAPTER_DATAGRAM,      /* a frame is a datagram, one a system call */
    ADAPTER_DATAGRAM_NEXT, /* the same, many a system call */
    ADAPTER_SHARED,        /* the same, on a socket that many peers share: only for clients.h */
};

struct adapter_config {
    enum adapter_kind kind;
    unsigned mtu; /* of the network, bytes; at most 65535 */
    /* The peer takes and sends TCP frames of up to 64 KiB, with no header that would say so:
     * libkrun's habit. */
    bool tso;
    /* The peer may send frames whose TCP or UDP checksum is only that of the pseudo header. What is
     * sent to it is always complete: there is no header to say otherwise. */
    bool checksum_offload;
    /* Takes such frames from a peer that was never asked what it sends; tso and checksum_offload
     * then are about what it is sent. */
    bool lenient;
    /* Called once, with the adapter's context and the source address of the peer's first frame.
     * That frame and those behind it wait until adapter_welcome(). NULL: they pass at once. */
    void (*met)(void *context, const uint8_t mac[6]);
    const char *name; /* of the port, for log lines; copied */
};

/* Frames as the peer's socket has them; those that were dropped are counted in both. */
struct adapter_counters {
    uint64_t in_frames, in_bytes, out_frames, out_bytes;
    uint64_t in_dropped, out_dropped; /* what the tap's own queue drops is its tx_dropped instead */
};

struct adapter;

/* Joins a tap (IFF_TAP, IFF_NO_PI, IFF_VNET_HDR; its offloads and header size are set here) with
 * a connected unix socket of the kind. Both fds are taken, on failure too.
 *
 * ended is called once, from the loop, when the peer has closed its end, when it sends what can't
 * be frames, or when the tap is gone (if the peer takes nothing: when it does again); nothing moves
 * from then on, and adapter_free() may be called in it. The kernel tells of the end of a datagram
 * peer only when a frame is sent to it.
 *
 * Negative errno. */
int adapter_new(struct loop *loop, const struct adapter_config *config, int tap, int peer,
                void (*ended)(void *context), void *context, struct adapter **ret);
void adapter_free(struct adapter *adapter); /* accepts NULL */

/* Frames of the peer pass from now on. May call ended. */
void adapter_welcome(struct adapter *adapter);

void adapter_counters(const struct adapter *adapter, struct adapter_counters *ret);
