/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One SYN of a guest and the host's connect() for it; owned by syn.c, which keeps the table.
 */
#pragma once

#include "uplink/guests.h"

enum { DIAL_SYN_MAX = 100 }; /* an IPv6 header and the longest TCP header */

struct dial {
    struct dial *next; /* in its bucket */
    struct list link;  /* among those connected, oldest first */
    struct source source;
    struct guest *guest;
    union endpoint second; /* to try when the first refuses; AF_UNSPEC: none */
    struct packet syn;     /* of bytes: src is the guest, dst where it wants to go */
    size_t size;
    uint8_t bytes[DIAL_SYN_MAX]; /* the SYN, without data, checksums right */
    uint64_t connected;          /* clock_ms(); 0: not yet */
    int fd;
    void (*done)(struct dial *dial, int error, void *context);
    void *context;
};

/* Makes dial's copy of a SYN: a fresh IP header, the TCP header with its options, no data. */
void dial_set_syn(struct dial *dial, const void *data, const struct packet *syn);

/* Connects to where host_destination() says. done gets 0 or negative errno, at once or later; it
 * may free the dial. */
void dial_start(struct dial *dial, struct uplink *uplink,
                void (*done)(struct dial *dial, int error, void *context), void *context);

/* Sends the SYN to the listener inside. */
void dial_inject(const struct dial *dial, struct uplink *uplink);

/* Tells the guest that its connect failed with error (negative errno), as far as there is anything
 * to tell: after a timeout there is not. */
void dial_refuse(const struct dial *dial, struct uplink *uplink, int error);
