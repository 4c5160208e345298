/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Those who watch (method Monitor), and what they are told. While anybody watches there is a feed
 * (feed.h) of each network; what it says goes to all, or to those who asked for that network.
 * Whoever comes later is told what there is from what the feeds know.
 */
#pragma once

#include "base/loop.h"
#include "wire/conn.h"

struct registry;

struct monitor {
    struct loop *loop;
    struct registry *registry;
    struct list watchers;
    unsigned count; /* of them; each has a connection of its own */
    struct list feeds;
    struct timer again; /* feeds without a holder try again; without watchers they go */
};

/* The timer is the broker's to init, with monitor_again(). */
void monitor_init(struct monitor *monitor, struct loop *loop, struct registry *registry);
void monitor_again(struct timer *timer);
void monitor_done(struct monitor *monitor);

/* A peer wants to watch. On failure the call is still the caller's to end. */
int monitor_call(struct monitor *monitor, struct call *call, struct error *error);
/* A network came or went. */
void monitor_follow(struct monitor *monitor);
/* The broker ends because nothing is left to do. */
void monitor_end(struct monitor *monitor);

/* For feeds. event: borrowed. A feed is never freed from within these. */
void monitor_tell(struct monitor *monitor, json_t *event);
void monitor_settled(struct monitor *monitor);
