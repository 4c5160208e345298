/* SPDX-License-Identifier: Apache-2.0 */
/* DNS over TCP: a connection from dnsmasq is joined to one to the first of the host's resolvers
 * that takes it. Part of dns.h. */
#pragma once

#include "base/loop.h"
#include "uplink/resolvers.h"

struct dns_tcp;

/* listener: non-blocking, stays the caller's, as does resolvers. network: for log lines; borrowed.
 * Negative errno. */
int dns_tcp_new(struct loop *loop, const char *network, int listener, struct resolvers *resolvers,
                struct dns_tcp **ret);
void dns_tcp_free(struct dns_tcp *tcp); /* accepts NULL; resets what is open */
