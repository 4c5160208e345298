/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker: one process per user, in the host's namespaces, that answers io.vmlan.Broker. It is
 * policy only: who may ask, which configuration and subnet a network gets, which holder to ask. It
 * holds nothing that a network needs, so it may die at any instant; the next one adopts what it
 * finds. It ends when no network is left.
 */
#pragma once

#include <sys/un.h>

#include "base/loop.h"
#include "base/presence.h"
#include "broker/activation.h"
#include "broker/monitor.h"
#include "broker/registry.h"
#include "broker/scrape.h"
#include "wire/conn.h"
#include "wire/idl.h"

/* A broker without networks waits this long for somebody to ask. */
enum { BROKER_IDLE_MS = 500 };

struct broker {
    struct loop loop;
    struct signals signals;
    struct interface *interface;
    struct registry registry;
    struct activation activation;
    struct monitor monitor;
    struct scrape scrape;
    int listener;   /* owned */
    bool activated; /* the service manager owns the socket's path */
    struct source listening;
    struct sockaddr_un address; /* where that is */
    struct presence presence;   /* of that path; not watched while activated */
    struct list peers;
    unsigned peer_count, peers_max;
    struct timer idle;
};

/* No network, and nobody who would want one: those who only watch don't count. */
bool broker_is_unused(const struct broker *broker);

/* The role "broker". Its listening socket is fd 3 (sd_listen_fds(3)). */
int broker_main(int argc, char **argv);

/* methods.c */
extern const struct method broker_methods[];
