/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Captures in the format that Wireshark reads: pcapng, draft-ietf-opsawg-pcapng (section header,
 * interface description, enhanced packet and interface statistics blocks), in this machine's byte
 * order, with time in nanoseconds.
 */
#pragma once

#include <stdint.h>
#include <time.h>

#include "base/buf.h"

struct pcapng_interface {
    const char *name;
    const char *description; /* "": none */
    const char *filter;      /* libpcap's words; "": none */
    uint32_t snaplen;
};

enum pcapng_direction { PCAPNG_INBOUND = 1, PCAPNG_OUTBOUND = 2 };

struct pcapng_packet {
    uint32_t interface; /* in the order of their blocks, from 0 */
    struct timespec time;
    const uint8_t *data;
    uint32_t size;   /* bytes that were captured */
    uint32_t length; /* bytes the frame had */
    enum pcapng_direction direction;
};

/* Each appends a block. */
void pcapng_section(struct buf *out, const char *application);
void pcapng_interface(struct buf *out, const struct pcapng_interface *interface);
void pcapng_packet(struct buf *out, const struct pcapng_packet *packet);
/* At the end: how many packets passed the filter, and how many of them the kernel dropped. */
void pcapng_statistics(struct buf *out, uint32_t interface, struct timespec time, uint64_t accepted,
                       uint64_t dropped);
