/* SPDX-License-Identifier: Apache-2.0 */
/* See segment.h. */
#include "network/segment.h"

#include <net/if.h>

#include "base/own.h"
#include "kernel/ns.h"

struct sysctl {
    const char *path, *value;
};

/* A new namespace starts from the kernel's defaults or, for IPv4, from the host's settings. */
static const struct sysctl sysctls_first[] = {
    /* With br_netfilter, nft's hooks would run inside the bridge and lose TPROXY's sockets. */
    {"net/bridge/bridge-nf-call-iptables", "0"},
    {"net/bridge/bridge-nf-call-ip6tables", "0"},
    {"net/bridge/bridge-nf-call-arptables", "0"},
    {"net/ipv4/conf/all/rp_filter", "0"},
    {"net/ipv4/conf/default/rp_filter", "0"},
    {"net/ipv6/conf/all/disable_ipv6", "0"},
    {"net/ipv6/conf/default/disable_ipv6", "0"},
    /* Docker and Kubernetes turn these on for the host; guests have no business on our loopback. */
    {"net/ipv4/ip_forward", "0"},
    {"net/ipv4/conf/all/route_localnet", "0"},
    {"net/ipv4/conf/default/route_localnet", "0"},
};
static const struct sysctl sysctls_bridge[] = {
    /* The gateway takes no addresses from its own router advertisements, and is up at once. */
    {"net/ipv6/conf/" PLAN_BRIDGE "/accept_ra", "0"},
    {"net/ipv6/conf/" PLAN_BRIDGE "/accept_dad", "0"},
    /* A port is no host: it gets no address of its own. */
    {"net/ipv6/conf/default/disable_ipv6", "1"},
};
static const struct sysctl sysctls_router[] = {
    /* What a guest sends out and nothing takes is answered by ICMP instead of silence. */
    {"net/ipv4/ip_forward", "1"},
    {"net/ipv6/conf/all/forwarding", "1"},
};

static int sysctls_write(const struct sysctl *table, size_t count, struct error *error)
{
    int r = 0;

    for (size_t i = 0; i < count && r >= 0; i++)
        r = ns_setting(table[i].path, table[i].value, error);
    return r;
}

static int bridge_address(struct segment *segment, const struct spec *spec, const struct plan *plan,
                          struct error *error)
{
    int r = rtnl_add_address(segment->rtnl, segment->bridge, AF_INET, &plan->gateway,
                             spec->subnet.prefix, error);

    if (r >= 0 && plan->has6)
        r = rtnl_add_address(segment->rtnl, segment->bridge, AF_INET6, &plan->gateway6,
                             plan->prefix6, error);
    return r;
}

static int bridge_make(struct segment *segment, const struct spec *spec, const struct plan *plan,
                       struct error *error)
{
    struct rtnl_link bridge = {.name = PLAN_BRIDGE, .mac = plan->bridge_mac};
    /* An MTU that was set stays; else the bridge would follow its smallest port. */
    struct rtnl_link up = {.mtu = spec->mtu, .up = 1};
    int r = rtnl_add_bridge(segment->rtnl, &bridge, error);

    if (r < 0)
        return r;
    segment->bridge = (int)if_nametoindex(PLAN_BRIDGE);
    r = sysctls_write(sysctls_bridge, ARRAY_SIZE(sysctls_bridge), error);
    if (r >= 0)
        r = bridge_address(segment, spec, plan, error);
    return r < 0 ? r : rtnl_set_link(segment->rtnl, segment->bridge, &up, error);
}

int segment_make(const struct spec *spec, const struct plan *plan, struct segment *ret,
                 struct error *error)
{
    struct rtnl_link up = {.up = 1};
    struct segment segment = {0};
    int r = rtnl_open(&segment.rtnl, error);

    if (r < 0)
        return r;
    segment.bridge = (int)if_nametoindex(PLAN_BRIDGE);
    if (!segment.bridge) {
        r = sysctls_write(sysctls_first, ARRAY_SIZE(sysctls_first), error);
        if (r >= 0 && spec->mode == SPEC_SHARED)
            r = sysctls_write(sysctls_router, ARRAY_SIZE(sysctls_router), error);
        if (r >= 0)
            r = rtnl_set_link(segment.rtnl, (int)if_nametoindex("lo"), &up, error);
        if (r >= 0)
            r = bridge_make(&segment, spec, plan, error);
    }
    if (r < 0) {
        segment_done(&segment);
        return r;
    }
    *ret = segment;
    return 0;
}

void segment_done(struct segment *segment)
{
    rtnl_free(segment->rtnl);
    segment->rtnl = NULL;
}
