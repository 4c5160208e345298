/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The DNS relay: what dnsmasq asks inside the network, at 127.0.0.1:5300, is asked of the host's
 * resolvers of that moment from the host's side. Messages pass untouched but for their id.
 */
#pragma once

#include "base/loop.h"

struct dns;

/* udp: a datagram socket made inside; tcp: a listening one; both stay the caller's and must stay
 * open until dns_free(). network: for log lines; borrowed. Negative errno. */
int dns_new(struct loop *loop, const char *network, int udp, int tcp, struct dns **ret);
void dns_free(struct dns *dns); /* accepts NULL */
