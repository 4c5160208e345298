/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames from a packet socket that was made inside a network (method Capture): packet(7).
 *
 * Of a whole network each frame is read once: as it comes in from a port, or goes out from the
 * bridge, which is what the gateway sends. Of one port both directions are read, as they pass its
 * link. A checksum that a guest left to be completed is completed in what is read, so that nobody
 * takes it for a wrong one; super-frames are left whole.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/error.h"
#include "base/json.h"

#define SNIFFER_SNAPLEN 262144

struct sniffer {
    int packets, end; /* owned */
    uint8_t *room;    /* mapped: a ring of blocks */
    unsigned block;   /* the one that is read */
    uint8_t *next;    /* frame in it; NULL: the kernel has the block */
    unsigned left;    /* frames in it */
    uint64_t seen, dropped;
};

struct sniffer_frame {
    int link; /* index inside the network */
    bool outgoing;
    struct timespec time;
    const uint8_t *data; /* in the sniffer's room, until the next is read */
    uint32_t size, length;
};

/* capture: the reply of Capture. filter: libpcap's words, "": all. Takes the fds. */
int sniffer_open(struct sniffer *sniffer, const json_t *capture, const char *filter,
                 unsigned snaplen, int packets, int end, struct error *error);
void sniffer_close(struct sniffer *sniffer);

/* 1: a frame; 0: none now; -ENETDOWN: the network, or the port, has ended; or negative errno. */
int sniffer_read(struct sniffer *sniffer, struct sniffer_frame *ret);
/* Waits until what came before now can be read. */
void sniffer_settle(void);
/* Brings seen and dropped up to date: frames that passed the filter, and those that were not read
 * because more came than fits the socket's buffer. */
void sniffer_count(struct sniffer *sniffer);
/* The name of a link inside the network: at least IF_NAMESIZE bytes; its number if it has gone. */
void sniffer_link_name(const struct sniffer *sniffer, int link, char *name, size_t size);
