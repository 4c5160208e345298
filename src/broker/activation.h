/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets at the paths of networks (network/listeners.h) that a service manager made and handed to
 * this broker. While the network runs its holder takes who connects there; while it does not, the
 * broker waits for somebody to connect, and starts it.
 */
#pragma once

#include <stdbool.h>

#include "base/loop.h"
#include "network/listeners.h"

struct registry;

struct activation {
    struct loop *loop;
    struct registry *registry;
    struct list places; /* one for each network */
};

/* Also makes itself known to the registry, which asks it for the sockets of networks. */
void activation_init(struct activation *activation, struct loop *loop, struct registry *registry);
void activation_done(struct activation *activation);

/* name: as units name it, "stream.NETWORK" or "datagram.NETWORK"; takes fd. false: it is no such
 * name, or there is one of it already; fd is still the caller's. */
bool activation_add(struct activation *activation, const char *name, int fd);

/* The sockets of a network, borrowed; -1 where there are none. */
struct listeners activation_listeners(const struct activation *activation, const char *network);

/* A network came or went, or the broker is about to begin. */
void activation_follow(struct activation *activation);
