/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a guest is that a forward leads to: its address as given, or what the network's own DNS
 * service says of its name. Answers are kept for a few seconds, so a guest that moves is found
 * again and a busy forward does not ask for each connection.
 */
#pragma once

#include <stddef.h>

#include "uplink/uplink.h"

/* A fresh non-blocking socket made inside the network (AF_INET, AF_INET6; SOCK_STREAM, SOCK_DGRAM),
 * the caller's; -EAGAIN when there is none at the moment, other negative errno for good. */
struct inside {
    int (*socket)(void *context, int family, int type);
    void *context;
};

enum {
    LOOKUP_GUEST_SIZE = 64, /* a DNS label, or an address */
    LOOKUP_QUERY_MAX = 300,
    LOOKUP_KEPT_MS = 5000,
    LOOKUP_UNKNOWN_MS = 1000, /* that there is no such guest */
    LOOKUP_AGAIN_MS = 1000,
    LOOKUP_TRIES = 3,
};

struct lookup;
typedef void lookup_fn(struct lookup *lookup);

struct lookup {
    struct loop *loop;
    const struct uplink_config *network; /* borrowed */
    const struct inside *inside;         /* borrowed */
    const char *guest;                   /* borrowed */
    lookup_fn *changed;
    union endpoint found[2]; /* ports 0 */
    int count;               /* of found */
    bool literal;            /* guest is an address */
    uint64_t until;          /* clock_ms(): found counts */
    struct timer timer;
    int fd; /* to the DNS service while asking, else -1 */
    struct source source;
    unsigned tries;
    struct lookup_query {
        uint8_t message[LOOKUP_QUERY_MAX];
        size_t size;
        bool answered;
    } queries[2]; /* A, AAAA */
};

/* changed is called from the loop after lookup_ask() said -EINPROGRESS, once the answer or its
 * absence is known. Negative errno. */
int lookup_init(struct lookup *lookup, struct loop *loop, const struct uplink_config *network,
                const struct inside *inside, const char *guest, lookup_fn *changed);
void lookup_done(struct lookup *lookup); /* accepts a zeroed one */

/* The number of addresses in found, IPv4 first; -EINPROGRESS: wait for changed; -EHOSTUNREACH:
 * there is no such guest; -EAGAIN: no socket at the moment, ask again. Only addresses of guests are
 * found: in the network's subnets, not the gateway. */
int lookup_ask(struct lookup *lookup);

/* Pure functions, for tests. A query for name (dotted, without a dot at its end; labels of 1 to 63
 * bytes) of type A (AF_INET) or AAAA (RFC 1035 4.1, RFC 3596): its size, 0 when name does not fit.
 */
size_t lookup_query(const char *name, int family, uint16_t id, uint8_t to[LOOKUP_QUERY_MAX]);
/* The first address in the answer to query (any bytes): 1; none in it: 0; -EBADMSG: it is not an
 * answer to query, or not whole. */
int lookup_answer(const uint8_t *answer, size_t size, const uint8_t *query, size_t query_size,
                  union endpoint *ret);
