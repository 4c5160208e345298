/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forwards: ports of the host that lead to guests. Listening sockets are made here, in the host's
 * network namespace; sockets towards guests come from inside (struct inside), so a guest sees the
 * gateway as its peer. TCP is accepted, then the guest is dialled, then both are joined by splice;
 * a guest that refuses or is not there resets the connection. UDP has a flow for each client.
 */
#pragma once

#include "uplink/lookup.h"

struct forward_rule {
    union endpoint listen; /* address and first port of the host */
    bool udp;
    uint16_t count;                /* of ports, from the first on; at least 1 */
    char guest[LOOKUP_GUEST_SIZE]; /* a name, or an address of the network */
    uint16_t guest_port;           /* of the first; host byte order */
};

/* What became of a rule. */
struct forward_result {
    int error; /* 0: it listens; else negative errno (-EADDRINUSE, -EACCES, …), none of it does */
    uint16_t port; /* which port failed; host byte order */
};

struct forwards;

/* network stays borrowed, inside is copied. SIGPIPE must be ignored. Negative errno. */
int forwards_new(struct loop *loop, const struct uplink_config *network,
                 const struct inside *inside, struct forwards **ret);
void forwards_free(struct forwards *forwards); /* accepts NULL */

/* Makes the rules that there are exactly these; results has one for each. What is there already
 * stays as it is; of what goes, connections that are joined already live on. A rule that failed is
 * tried again with the next call that has it. */
void forwards_set(struct forwards *forwards, const struct forward_rule *rules, size_t count,
                  struct forward_result *results);

/* There are sockets again where inside said -EAGAIN. */
void forwards_resume(struct forwards *forwards);
