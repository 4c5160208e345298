/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics for whoever scrapes them: metrics.sock in the runtime directory answers HTTP, as
 * "curl --unix-socket metrics.sock http://vmlan/metrics" asks it. Each connection has one request
 * and a few seconds. It keeps the broker from nothing.
 */
#pragma once

#include "base/loop.h"
#include "broker/registry.h"

struct scrape {
    struct loop *loop;
    struct registry *registry;
    int listener; /* owned; -1: none */
    struct source listening;
    struct list clients;
    unsigned count;
};

void scrape_init(struct scrape *scrape, struct loop *loop, struct registry *registry);
/* Says in the log why when it can't listen: the rest of the broker works without. */
void scrape_begin(struct scrape *scrape);
/* The broker ends and nobody follows: takes the socket's path away. */
void scrape_end(struct scrape *scrape);
void scrape_done(struct scrape *scrape);
