/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sockets at paths in a network's directory. The broker makes them, in the host's namespaces,
 * and keeps a copy of each: so the paths stay, and who connects waits, while one holder follows
 * another. Only this user (and root) may open them: their mode is 0600.
 */
#pragma once

#include "base/error.h"

/* Where hypervisors connect by themselves: stream.sock, of which each connection is a port, and
 * datagram.sock, of which each client's own path is one. */
struct listeners {
    int stream, datagram; /* owned; -1: none */
};
#define LISTENERS_NULL ((struct listeners){.stream = -1, .datagram = -1})

/* Fills in those that are -1: a copy of the one given, or where that is -1, too, a new one. */
int listeners_make(const char *network, const struct listeners *given, struct listeners *listeners,
                   struct error *error);
void listeners_done(struct listeners *listeners);

/* A socket of the type at net/NETWORK/FILE, listening where the type can; whatever was there is
 * replaced. The network's directory must be there: who comes too late must not bring back that of a
 * network that has ended. The caller owns the returned fd. Negative errno. */
int listener_make(const char *network, const char *file, int type, struct error *error);
