/* SPDX-License-Identifier: Apache-2.0 */
/* A peer: one connected client of the broker, of the same user or root. */
#pragma once

#include "broker/broker.h"
#include "broker/executable.h"

struct peer {
    struct list link;
    struct broker *broker;
    struct conn *conn;
    struct executable executable; /* when it connected */
    char name[32];                /* "peer PID", for log lines */
};

/* How many a broker may have; raises what this process may open, as far as it is allowed to. */
unsigned peer_limit(void);
/* Takes the connection that waits at the broker's socket; false: none does. A peer that may not
 * speak to this broker gets one error and is closed. */
bool peer_accept(struct broker *broker);
void peer_free(struct peer *peer);

struct peer *call_peer(struct call *call);

/* May this peer have a network's namespaces (executable.h)? Asked when the request comes and again
 * when the answer goes: who runs another program than when it connected may not. 0, or -EPERM with
 * a message. */
int peer_may_acquire(const struct peer *peer, struct error *error);
