/* SPDX-License-Identifier: Apache-2.0 */
/* See setup.h. */
#include "guest/setup.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/own.h"
#include "kernel/ns.h"

enum { LOOPBACK = 1 }; /* ifindex of lo in every namespace: net/core/dev.c, LOOPBACK_IFINDEX */

/* Turns off one of the kernel's switches for a link, or "all". */
static int switch_off(const char *family, const char *link, const char *key, struct error *error)
{
    char path[96];

    snprintf(path, sizeof(path), "net/%s/conf/%s/%s", family, link, key);
    return ns_setting(path, "0", error);
}

int setup_link(struct rtnl *rtnl, int ifindex, const char *ifname, struct error *error)
{
    struct rtnl_link up = {.up = 1};
    /* An answer that comes before there is a route back is not spoofed; the kernel takes the
     * greater of "all" and the link's own. */
    int r = switch_off("ipv4", "all", "rp_filter", error);

    if (r >= 0)
        r = switch_off("ipv4", ifname, "rp_filter", error);
    /* MAC addresses are unique here: looking for duplicates would only take a second. */
    if (r >= 0)
        r = switch_off("ipv6", ifname, "accept_dad", error);
    if (r >= 0)
        r = rtnl_set_link(rtnl, LOOPBACK, &up, error);
    return r < 0 ? r : rtnl_set_link(rtnl, ifindex, &up, error);
}

int setup_lease(struct rtnl *rtnl, int ifindex, const struct lease *lease, struct error *error)
{
    struct rtnl_link link = {.mtu = lease->mtu};
    int r = lease->mtu ? rtnl_set_link(rtnl, ifindex, &link, error) : 0;

    if (r >= 0)
        r = rtnl_add_address(rtnl, ifindex, AF_INET, &lease->address, lease->prefix, error);
    if (r < 0 || lease->router.s_addr == 0)
        return r;
    return rtnl_set_route(rtnl, ifindex, AF_INET, NULL, 0, &lease->router, error);
}

char *setup_resolver(const struct lease *lease)
{
    const char *search = lease->search[0] ? lease->search : lease->domain;
    struct buf text = BUF_NULL;
    char address[INET_ADDRSTRLEN];

    buf_printf(&text, "# The network's own, by vmlan.\n");
    if (search[0])
        buf_printf(&text, "search %s\n", search);
    for (size_t i = 0; i < lease->dns_count; i++)
        buf_printf(&text, "nameserver %s\n",
                   inet_ntop(AF_INET, &lease->dns[i], address, sizeof(address)));
    return text.data;
}
