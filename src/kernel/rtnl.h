/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links, addresses and routes of the network namespace the socket was opened in: rtnetlink(7), by
 * libmnl. Every request waits for the kernel's answer; the kernel's own words (extended ack) become
 * part of the message.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct rtnl;

int rtnl_open(struct rtnl **ret, struct error *error);
void rtnl_free(struct rtnl *rtnl); /* accepts NULL */
static inline void own_rtnl(struct rtnl **rtnl)
{
    rtnl_free(*rtnl);
}

/* What is to be set on a link; zero or NULL fields are left alone. */
struct rtnl_link {
    const char *name;   /* of a new link, or new name */
    const uint8_t *mac; /* 6 bytes */
    unsigned mtu;       /* bytes */
    unsigned queue;     /* packets that may wait to be sent (qlen) */
    const char *alias;  /* ifalias, at most 255 bytes */
    int master;         /* ifindex of the bridge; -1: take it out */
    int up;             /* 1: up, -1: down */
    int isolated;       /* bridge port isolation: 1 on, -1 off */
};

int rtnl_add_bridge(struct rtnl *rtnl, const struct rtnl_link *link, struct error *error);
/* A veth pair: one end here, the other in the namespace peer_net (borrowed fd), both still down. */
int rtnl_add_veth(struct rtnl *rtnl, const struct rtnl_link *link, const struct rtnl_link *peer,
                  int peer_net, struct error *error);
int rtnl_set_link(struct rtnl *rtnl, int ifindex, const struct rtnl_link *link,
                  struct error *error);
int rtnl_delete_link(struct rtnl *rtnl, int ifindex, struct error *error);

/* A link that has just got its carrier loses what is sent over it until the kernel's link watch has
 * run, some milliseconds later; asking for the link runs it now (rtnl_getlink(), Linux 6.8). */
void rtnl_settle(struct rtnl *rtnl, int ifindex);

/* family AF_INET or AF_INET6; address in network byte order. Duplicate detection is skipped: these
 * addresses are the network's own. An address that is there already is fine. */
int rtnl_add_address(struct rtnl *rtnl, int ifindex, int family, const void *address,
                     unsigned prefix, struct error *error);
/* destination NULL: default route. gateway NULL: on link. A route that is there is replaced. */
int rtnl_set_route(struct rtnl *rtnl, int ifindex, int family, const void *destination,
                   unsigned prefix, const void *gateway, struct error *error);

/* The default route of a table other than main (id below 256): out of the link, or, local, to this
 * host whatever the destination is. */
int rtnl_set_table(struct rtnl *rtnl, int ifindex, int family, unsigned table, bool local,
                   struct error *error);

/* ip-rule(8): packets with this mark (0: all) are routed by this table. Lower priorities come
 * first. Adding one that is there and deleting one that is not are fine. */
struct rtnl_rule {
    unsigned priority, mark, table;
};
int rtnl_add_rule(struct rtnl *rtnl, int family, const struct rtnl_rule *rule, struct error *error);
int rtnl_delete_rule(struct rtnl *rtnl, int family, const struct rtnl_rule *rule,
                     struct error *error);

/* What went through a link since it was made, as the link sees it: a tap receives what its guest
 * sends. */
struct rtnl_counters {
    uint64_t receive_bytes, receive_packets, receive_dropped;
    uint64_t transmit_bytes, transmit_packets, transmit_dropped;
};

/* A link as the kernel tells of it. */
struct rtnl_link_info {
    int ifindex;
    int master; /* 0: none */
    bool gone;  /* RTM_DELLINK */
    bool up;    /* IFF_UP */
    char name[16];
    char alias[256];
    uint8_t mac[6];
    struct rtnl_counters counters;
};
typedef void rtnl_link_fn(void *context, const struct rtnl_link_info *link);
int rtnl_dump_links(struct rtnl *rtnl, rtnl_link_fn *call, void *context, struct error *error);

/* An IPv4 or IPv6 route of the main table with its link's name; default routes have prefix 0. */
struct rtnl_route_info {
    int family;
    union {
        struct in_addr v4;
        struct in6_addr v6;
    } destination;
    unsigned prefix;
    char link[16];
};
typedef void rtnl_route_fn(void *context, const struct rtnl_route_info *route);
int rtnl_dump_routes(struct rtnl *rtnl, int family, rtnl_route_fn *call, void *context,
                     struct error *error);

/* A non-blocking socket on which the kernel tells of links that come, change and go; the caller
 * owns the fd. rtnl_monitor_read() delivers what is there and returns 0, or -ENOBUFS when messages
 * were lost: dump again. */
int rtnl_monitor_open(int *ret_fd, struct error *error);
int rtnl_monitor_read(int fd, rtnl_link_fn *call, void *context);
/* The same for IPv6 routes, addresses and rules: that something was received, or -ENOBUFS, says
 * that routing may have changed. */
int rtnl_monitor_routes6(int *ret_fd, struct error *error);
