/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's interfaces, in the network namespace the process is in: brings them up and gives them
 * what the lease says. For guests that are commands; a VM's own system does this for itself.
 */
#pragma once

#include "base/error.h"
#include "guest/dhcp.h"
#include "kernel/rtnl.h"

/* Brings up lo and the interface with its IPv6 address ready at once, and so that DHCP answers
 * arrive before there is an address. rtnl was opened in this namespace. */
int setup_link(struct rtnl *rtnl, int ifindex, const char *ifname, struct error *error);

/* Address, default route and MTU. May be called again with each renewal of the lease; addresses are
 * only ever added. */
int setup_lease(struct rtnl *rtnl, int ifindex, const struct lease *lease, struct error *error);

/* The text for resolv.conf(5) that the lease amounts to; the caller frees it. */
char *setup_resolver(const struct lease *lease);
