/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens on one network, as long as anybody watches: what its holder tells (Monitor of
 * io.vmlan.Holder), and its leases. A feed knows what there is: so a holder that takes over for one
 * that died, and tells it all again, is news only where something is different.
 */
#pragma once

#include "broker/monitor.h"
#include "config/spec.h"

struct feed {
    struct list link;
    struct monitor *monitor;
    char name[SPEC_NAME_MAX + 1]; /* of the network */
    struct conn *holder;          /* NULL: none now */
    struct lease_watch *leases;   /* NULL: not yet */
    json_t *state;                /* what there is: key -> event without its time */
    json_t *stale;                /* of its keys, those that the present holder has not told of */
    bool settled;                 /* what there was at first is known */
    bool news;                    /* nothing of it was there before it was watched */
};

/* news: the network starts just now. */
struct feed *feed_new(struct monitor *monitor, const char *name, bool news);
void feed_free(struct feed *feed);
/* Connects to the holder unless it is; negative errno while there is none. */
int feed_follow(struct feed *feed);
/* The network is over: says so, unless the holder did. */
void feed_over(struct feed *feed, const char *reason);
/* Appends what there is, as events that are "present". */
void feed_present(const struct feed *feed, json_t *events);
