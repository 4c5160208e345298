/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flows without a connection of their own (UDP, ICMP echo): found by guest and remote, limited in
 * all and per guest, and ended when they have been idle for the time of their kind.
 *
 * A flow is embedded in its owner's struct. It hangs in three places: a hash bucket; its kind's
 * list and its guest's list, both in the order of last use, so that expiry and eviction look only
 * at the first of a list and one timer serves all. The order is exact to FLOWS_TOUCH_MS: a busy
 * flow is not moved at each packet.
 */
#pragma once

#include "base/list.h"
#include "base/loop.h"
#include "uplink/uplink.h"

enum { FLOWS_KINDS = 3, FLOWS_TOUCH_MS = 1000 };

struct flow {
    union endpoint guest, remote; /* as the guest sees them */
    uint64_t used;                /* clock_ms() */
    unsigned kind;                /* index into idle_ms */
    struct flow *next;            /* of the bucket */
    struct flows_guest *owner;
    struct list in_kind, in_guest;
};

struct flows_limits {
    unsigned total, per_guest;     /* beyond them the flow that was idle longest ends */
    uint64_t idle_ms[FLOWS_KINDS]; /* by kind */
    const char *name, *network;    /* for the log; borrowed */
};

struct flows;
typedef void flows_end_fn(void *context, struct flow *flow);

/* end() is called for each flow that ends, already taken out of the table; it frees the flow.
 * limits is copied. Negative errno. */
int flows_new(struct loop *loop, const struct flows_limits *limits, flows_end_fn *end,
              void *context, struct flows **ret);
void flows_free(struct flows *flows); /* ends all flows; accepts NULL */

struct flow *flows_find(struct flows *flows, const union endpoint *guest,
                        const union endpoint *remote);
/* guest and remote of flow are set and not in the table. May end other flows. */
void flows_add(struct flows *flows, struct flow *flow, unsigned kind);
/* A packet went through: it lives on, as that kind. */
void flows_touch(struct flows *flows, struct flow *flow, unsigned kind);
/* Ends one now. */
void flows_end(struct flows *flows, struct flow *flow);
/* Ends the one that was idle longest; false when there is none. For when descriptors run out. */
bool flows_evict(struct flows *flows);
unsigned flows_count(const struct flows *flows);
