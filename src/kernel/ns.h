/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User and network namespaces, as an ordinary user: user_namespaces(7), network_namespaces(7).
 *
 * The uid that creates a user namespace has every capability in it and in its descendants, from
 * outside too; that is what lets a process of the same user enter, and what lets the holder act on
 * the namespaces it made for guests. One id is mapped: root inside is the caller outside.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/own.h"

struct ns {
    int user, net; /* owned fds of the namespaces; -1: none */
};

#define NS_NULL ((struct ns){-1, -1})

static inline void own_ns(struct ns *ns)
{
    fd_close(&ns->user);
    fd_close(&ns->net);
}

/* Moves this (single-threaded) process into a new pair, as its root. On failure the error's hint
 * names the switch of this machine that forbids it. */
int ns_unshare(struct error *error);

/* Moves this (single-threaded) process into an existing pair, as its root. fds stay the caller's.
 */
int ns_enter(const struct ns *ns, struct error *error);

/* A new pair that nobody is in, a child of the current user namespace: it lives as long as an fd or
 * a process holds it. */
int ns_make(struct ns *ret, struct error *error);

/* Fds of the pair this process is in. Negative errno. */
int ns_current(struct ns *ret);

/* What no other network namespace has had or will have, of the one a socket was made in: socket(7),
 * SO_NETNS_COOKIE, Linux 5.14. 0 when it can't be told. */
uint64_t ns_cookie(int socket);

/* Whether this kernel has IPv6 at all; ipv6.disable=1 on its command line takes it away. */
bool ns_has_ipv6(void);

/* Writes value to /proc/sys/<path> of the network namespace this process is in. Negative errno. */
int ns_sysctl(const char *path, const char *value);

/* Sees to it that it has that value: what has it already need not be written, and a switch that
 * this kernel does not have needs no setting. Containers tend to have /proc/sys read-only. */
int ns_setting(const char *path, const char *value, struct error *error);
