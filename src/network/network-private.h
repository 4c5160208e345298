/* SPDX-License-Identifier: Apache-2.0 */
/* What network.c (its life), network-watch.c (its forwarders) and network-requests.c (what its
 * holder is asked) share. */
#pragma once

#include <sys/un.h>

#include "network/network.h"

struct network {
    struct list link;
    struct loop *loop;
    void *owner;
    network_ended_fn *ended;
    struct sockaddr_un address; /* of the holder's socket */
    struct conn *holder;        /* NULL: none now */
    struct conn *keeper;        /* the forwarder, asked for the namespaces; NULL: not now */
    struct conn *watch;         /* to it too: waits for it to want a forwarder; NULL: not now */
    struct timer forwarder;     /* asks again, some time after one was started */
    unsigned forwarder_ms;      /* that time */
    char name[SPEC_NAME_MAX + 1];
    struct spec spec;
    bool known;   /* spec is */
    bool foreign; /* the holder is of a vmlan that is too new for us: it can only be ended */
    bool pinned;
    bool met;                   /* the holder has answered on this connection */
    struct ns ns;               /* for the next holder */
    struct listeners listeners; /* for each holder */
    struct listeners given;     /* what they are when it starts; borrowed */
    struct list requests;
    struct timer again; /* after a crash, from the loop and not from within a callback */
    unsigned crashes;
    uint64_t crashes_since;
};

/* A connection to the holder; it and closed are conn_new()'s. Negative errno. */
int network_connect(struct network *network, conn_closed_fn *closed, struct conn **ret,
                    struct error *error);

/* network-watch.c */

/* Before anything else of it. Negative errno. */
int network_watch_init(struct network *network);
/* Starts a forwarder when the holder wants one, from now on as long as that holder lives. */
void network_watch(struct network *network);

/* network-requests.c */

/* In their order, as many as the connection takes (CONN_PENDING_MAX); the others when answers to
 * these have come, or when there is a holder again. */
void network_requests_send(struct network *network);
/* Tells requests that they won't be answered: all of them, or those that the next holder is not
 * to be asked. */
void network_requests_fail(struct network *network, bool all, const struct error *error);
/* Without a word to who asked. */
void network_requests_drop(struct network *network);
