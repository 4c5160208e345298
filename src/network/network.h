/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network as the broker sees it: a holder to ask, the namespaces to give to the next holder when
 * this one dies, and the requests under way. The holder is the truth about ports; nothing of that
 * is copied here.
 *
 * A holder that ends on purpose removes its socket first; a connection that breaks while the socket
 * is still there is a crash. Then a new holder is started with the namespaces that are kept here,
 * and every request that has no answer yet is asked again: an answer that was lost took its
 * descriptors with it, so the port it made is gone by itself.
 */
#pragma once

#include "base/list.h"
#include "base/loop.h"
#include "config/spec.h"
#include "kernel/ns.h"
#include "network/listeners.h"
#include "wire/conn.h"

struct network;

/* The network is over; free it from here (network_free()). */
typedef void network_ended_fn(struct network *network);

/* Starts a holder for spec, whose content is moved from it. owner: for network_owner(). given:
 * sockets at its paths that a service manager made, to be used in the place of own ones; borrowed
 * as long as the network is there. */
int network_start(struct loop *loop, struct spec *spec, const struct listeners *given, void *owner,
                  network_ended_fn *ended, struct network **ret, struct error *error);
/* Takes over a network that another broker left: asks its holder or, when that died too, starts one
 * in the namespaces that the forwarder kept. Negative errno when neither answers; what was left of
 * it is then removed. */
int network_adopt(struct loop *loop, const char *name, const struct listeners *given, void *owner,
                  network_ended_fn *ended, struct network **ret, struct error *error);
/* Lets go of it: the holder goes on. Requests are dropped without an answer. Accepts NULL. */
void network_free(struct network *network);

void *network_owner(const struct network *network);
const char *network_name(const struct network *network);
/* NULL while an adopted holder has not said it yet; known once any request was answered. */
const struct spec *network_spec(const struct network *network);
struct list *network_link(struct network *network); /* for the registry's list */
struct network *network_of_link(struct list *link);

/* A question to the holder. */
struct network_question {
    const char *method; /* "AddPort" */
    json_t *parameters; /* stolen; NULL: none */
    const json_t
        *strict; /* fails unless the network runs with this configuration; NULL: with any */
    bool revive; /* when the network ends before it answered, start it again and ask that one */
};
/* answer as in conn.h; it may be called from within. */
void network_ask(struct network *network, const struct network_question *question,
                 conn_reply_fn *answer, void *context);
/* Forgets requests with this context: their answers are dropped. */
void network_forget(struct network *network, const void *context);
/* Keeps it pinned also through a crash of its holder. */
void network_set_pinned(struct network *network, bool pinned);
