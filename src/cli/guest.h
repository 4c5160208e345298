/* SPDX-License-Identifier: Apache-2.0 */
/* A process that is a guest of its own: in a network namespace with one interface, eth0. */
#pragma once

#include "cli/nic.h"
#include "guest/lease.h"
#include "kernel/rtnl.h"

struct guest {
    struct rtnl *rtnl; /* in the guest's namespace; the caller's to rtnl_free() */
    struct lease_guest who;
    uint8_t mac[6];
    struct lease lease;
    bool leased; /* there is an address: a lease, or the one that was asked for without DHCP */
};

/* Moves this process into the namespaces that were attached as nic (backend "namespace"), gets an
 * address and covers /etc/resolv.conf. Negative errno. */
int guest_enter(struct guest *guest, const struct nic *nic, struct error *error);
