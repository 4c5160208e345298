/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What forwards.c (rules and listeners), forward-tcp.c and forward-udp.c share.
 *
 * A connection or flow that can't go on waits in its rule's list until the guest's address is known
 * and a socket is there; rule_advance() then lets all of them go, and each that still can't comes
 * back to the list.
 */
#pragma once

#include "base/list.h"
#include "uplink/flows.h"
#include "uplink/forwards.h"

enum {
    FORWARD_DIALS_MAX = 1024,      /* accepted, not joined yet; of all rules */
    FORWARD_TCP_MAX = 4096,        /* joined and not */
    FORWARD_UDP_MAX = 4096,        /* flows */
    FORWARD_UDP_CLIENT_MAX = 2048, /* flows of one client's address */
    FORWARD_HELD_MAX = 2048,       /* bytes of a datagram that waits for its guest's address */
    FORWARD_DIAL_MS = 30000,       /* to find and reach the guest */
    FORWARD_BATCH = 64,            /* connections or datagrams at one event */
    FORWARD_BUFFER = 65536,
    FORWARD_QUEUE = 4 << 20, /* bytes of datagrams that wait to be read; the kernel may give less */
};

struct rule {
    struct list link;
    struct forwards *forwards;
    struct forward_rule what;
    bool wanted; /* during forwards_set() */
    struct lookup lookup;
    struct list waiting; /* struct waiter */
    struct list tcp;     /* struct caller, until joined */
    struct list udp;     /* struct udp_flow */
    struct listener {
        struct rule *rule;
        int fd;
        bool paused;
        struct source source;
    } * listeners; /* what.count */
};

struct waiter {
    struct list link; /* rule->waiting */
    /* found as lookup_ask() says, but neither -EINPROGRESS nor -EAGAIN. May free the waiter. */
    void (*go)(struct waiter *waiter, int found);
};

struct forwards {
    struct loop *loop;
    const struct uplink_config *network;
    struct inside inside;
    struct list rules;
    struct list dialing; /* struct caller, oldest first */
    struct list joined;  /* struct caller */
    unsigned dials, tcp_count;
    struct timer timer;    /* runs while something waits */
    bool timer_on, paused; /* the timer is set; a listener is paused */
    struct flows *udp_flows;
    char buffer[FORWARD_BUFFER];
    uint64_t warned_sockets, warned_tcp;
};

/* Lets what waits go on, as far as it can. */
void rule_advance(struct rule *rule);
void rule_wait(struct rule *rule, struct waiter *waiter);
/* Where the connection or datagram that came to listener is to go: address index of the rule's
 * lookup. */
union endpoint rule_destination(const struct listener *listener, int index);

void endpoint_set_port(union endpoint *endpoint, uint16_t port);
/* The port it listens on; host byte order. */
uint16_t listener_port(const struct listener *listener);

/* A listener that can't accept for now; forwards_unpause() when something ended. */
void listener_pause(struct listener *listener);
void forwards_unpause(struct forwards *forwards);

/* forward-tcp.c */
void forward_tcp_ready(struct source *source, uint32_t events);
void forward_tcp_expire(struct forwards *forwards);
void forward_tcp_drop_rule(struct rule *rule);
void forward_tcp_drop_all(struct forwards *forwards);

/* forward-udp.c */
int forward_udp_init(struct forwards *forwards);
int forward_udp_prepare(int fd, int family);
void forward_udp_ready(struct source *source, uint32_t events);
void forward_udp_drop_rule(struct rule *rule);
