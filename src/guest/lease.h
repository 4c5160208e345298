/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's address: asks the network's DHCP service for it and keeps it, on an interface of the
 * network namespace the process is in. Blocking; for a process that does one thing. Needs root of
 * that namespace (port 68) and rp_filter off on the interface, as it has no address yet.
 */
#pragma once

#include "base/error.h"
#include "guest/dhcp.h"

/* Who asks; all borrowed. */
struct lease_guest {
    int ifindex;
    const char *ifname;   /* for messages */
    const uint8_t *mac;   /* 6 bytes */
    const char *hostname; /* NULL: none */
};

/* Asks until there is an answer, for at most 10 seconds: the service may be starting just now.
 * wanted: the address to ask for, or NULL. -ETIMEDOUT when nobody answered. */
int lease_obtain(const struct lease_guest *guest, const struct in_addr *wanted, struct lease *ret,
                 struct error *error);

/* Called with each new state of the lease; its address may have changed. */
typedef void lease_fn(void *context, const struct lease *lease);

/* Renews lease, which was obtained just now, in time (RFC 2131, 4.4.5) and calls after each time,
 * until end_fd (borrowed, e.g. a pidfd) is readable: then 0. Time goes on in suspend. An address
 * that can't be kept is asked for anew. Else negative errno, when there is no socket to ask with.
 */
int lease_keep(const struct lease_guest *guest, const struct lease *lease, int end_fd,
               lease_fn *call, void *context, struct error *error);
