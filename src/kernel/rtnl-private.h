/* SPDX-License-Identifier: Apache-2.0 */
/* What rtnl.c (links) and rtnl-route.c (addresses, routes, rules) share. */
#pragma once

#include <libmnl/libmnl.h>

#include "kernel/rtnl.h"

/* One request under way: what libmnl hands to every callback. */
struct query {
    struct rtnl *rtnl;
    rtnl_link_fn *on_link;
    rtnl_route_fn *on_route;
    void *context;
};

/* Asks for a list of what there is. What changed while the kernel was listing may be missing or
 * be there twice, and the kernel says so (NLM_F_DUMP_INTR): then it is asked again, and on_data
 * only sees a list that is whole. -EINTR: there was no end of changes. */
int query_dump(struct query *query, struct nlmsghdr *message, mnl_cb_t on_data);

/* A request that changes something; what: "make bridge", for the message. */
int rtnl_change(struct rtnl *rtnl, struct nlmsghdr *message, struct error *error, const char *what,
                const char *object);

/* Room for any request made here: the largest holds two links and an alias. */
#define REQUEST_SIZE 1024
