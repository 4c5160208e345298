/* SPDX-License-Identifier: Apache-2.0 */
/* See guest.h. */
#include "cli/guest.h"

#include <arpa/inet.h>
#include <net/if.h>

#include "base/alloc.h"
#include "config/spec.h"
#include "guest/seat.h"
#include "guest/setup.h"
#include "kernel/ns.h"

#define GUEST_LINK "eth0"

/* On a network without DHCP, the address that was asked for is all there is. */
static void lease_by_hand(struct guest *guest, const struct nic *nic)
{
    struct subnet4 subnet;

    if (!nic->ip || inet_pton(AF_INET, nic->ip, &guest->lease.address) != 1 ||
        subnet4_parse(nic_text(nic, "subnet"), &subnet) < 0)
        return;
    guest->lease.prefix = subnet.prefix;
    guest->leased = true;
}

static int guest_address(struct guest *guest, const struct nic *nic, struct error *error)
{
    int r = 0;

    if (json_is_true(json_object_get(nic->reply, "dhcp"))) {
        r = lease_obtain(&guest->who, NULL, &guest->lease, error);
        guest->leased = r >= 0;
    } else {
        lease_by_hand(guest, nic);
    }
    if (r >= 0 && guest->leased)
        r = setup_lease(guest->rtnl, guest->who.ifindex, &guest->lease, error);
    return r;
}

static int guest_resolver(const struct guest *guest, struct error *error)
{
    OWN(mem) char *text = setup_resolver(&guest->lease);

    return seat_resolver(text, error);
}

int guest_enter(struct guest *guest, const struct nic *nic, struct error *error)
{
    struct ns ns = {nic->fds.fds[0], nic->fds.fds[1]};
    int r = ns_enter(&ns, error);

    if (r >= 0)
        r = rtnl_open(&guest->rtnl, error);
    if (r < 0)
        return r;
    mac_parse(nic_text(nic, "mac"), guest->mac);
    guest->who = (struct lease_guest){.ifindex = (int)if_nametoindex(GUEST_LINK),
                                      .ifname = GUEST_LINK,
                                      .mac = guest->mac,
                                      .hostname = nic->name};
    r = setup_link(guest->rtnl, guest->who.ifindex, GUEST_LINK, error);
    if (r >= 0)
        r = guest_address(guest, nic, error);
    if (r >= 0 && guest->leased)
        r = guest_resolver(guest, error);
    return r;
}
