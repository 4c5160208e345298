/* SPDX-License-Identifier: Apache-2.0 */
/* What forwarder.c (its life) and the files of its parts share. */
#pragma once

#include <sys/un.h>

#include "config/spec.h"
#include "kernel/ns.h"
#include "network/listeners.h"
#include "network/stock.h"
#include "uplink/forwards.h"
#include "uplink/route6.h"

struct forwarder {
    struct loop loop;
    struct signals signals;
    struct timer again;
    uint64_t expected_until;    /* clock_ms(): a new holder is looked for often */
    struct sockaddr_un address; /* of the holder */
    struct conn *holder;        /* NULL: gone for now */
    struct conn *watching;      /* to it too: tells of forwards; NULL: not now */
    struct conn *cabling;       /* to it too: hands over cables; NULL: not now */
    struct list cables;         /* struct cable, forwarder-cables.c */
    struct clients *clients;    /* of datagram.sock; NULL: not yet */
    int journal;                /* owned copy, for the next holder; -1: no cable came yet */
    char name[SPEC_NAME_MAX + 1];
    struct spec spec;
    struct uplink *uplink; /* NULL until the holder gave what it needs, */
    json_int_t namespace;  /* which is in this one: the holder's word for it */
    struct route6 *route6;
    bool route6_known, route6_there; /* known: it has been looked at */
    struct stock stock;
    struct forwards *forwards;

    struct ns ns;               /* for a broker that has lost the holder: forwarder-namespaces.c */
    struct listeners listeners; /* the same */
    struct interface *interface;
    int listener; /* owned */
    struct source listening;
    struct list peers; /* struct forwarder_peer */
    unsigned peer_count;
};

/* A broker is about to start a holder: looks for it often again. */
void forwarder_expect_holder(struct forwarder *forwarder);

/* A connection to the holder, for conn_owner() to be the forwarder. Negative errno. */
int forwarder_connect(struct forwarder *forwarder, conn_closed_fn *closed, struct conn **ret);

int forwarder_forwards_start(struct forwarder *forwarder, struct error *error);
/* Asks a holder, also each new one, for the list and follows it. */
void forwarder_forwards_watch(struct forwarder *forwarder);

/* Listens at forwarder.sock. */
int forwarder_namespaces_start(struct forwarder *forwarder, struct error *error);
void forwarder_namespaces_done(struct forwarder *forwarder);

/* Gives a holder back what it may not know of, and asks it for what there is beyond. */
void forwarder_cables_follow(struct forwarder *forwarder);
/* What adapters have dropped; a new object, by port. */
json_t *forwarder_cables_dropped(struct forwarder *forwarder);
void forwarder_cables_done(struct forwarder *forwarder);
