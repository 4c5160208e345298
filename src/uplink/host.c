/* SPDX-License-Identifier: Apache-2.0 */
/* See host.h, and host_destination() in uplink.h. */
#include "uplink/host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <string.h>

#include "base/own.h"

/* Nobody has these addresses, so no route is more special for them than the default route:
 * reserved by RFC 1112 section 4 and by IANA's IPv6 unicast registry. */
#define FAR4 "240.0.0.1"
#define FAR6 "2000::1"

#define ALONE4 "127.107.0.1"

/* Where no guest may go. IPv4: this host, loopback, multicast, reserved, broadcast (RFC 6890).
 * IPv6: unspecified, loopback and IPv4-compatible, IPv4-mapped, link-local, multicast (RFC 4291).
 */
static const struct prefix {
    int family;
    uint8_t address[16];
    unsigned bits;
} forbidden[] = {
    {AF_INET, {0}, 8},
    {AF_INET, {127}, 8},
    {AF_INET, {224}, 4},
    {AF_INET, {240}, 4},
    {AF_INET6, {0}, 96},
    {AF_INET6, {[10] = 0xff, [11] = 0xff}, 96},
    {AF_INET6, {0xfe, 0x80}, 10},
    {AF_INET6, {0xff}, 8},
};

static bool prefix_has(const void *prefix, unsigned bits, const void *address)
{
    const uint8_t *p = prefix, *a = address;
    unsigned rest = bits % 8;

    return memcmp(p, a, bits / 8) == 0 &&
           (rest == 0 || ((p[bits / 8] ^ a[bits / 8]) & (0xff00 >> rest) & 0xff) == 0);
}

static const void *address_of(const union endpoint *e)
{
    return e->any.sa_family == AF_INET ? (const void *)&e->v4.sin_addr
                                       : (const void *)&e->v6.sin6_addr;
}

static bool guest_may_reach(const union endpoint *e)
{
    for (size_t i = 0; i < ARRAY_SIZE(forbidden); i++)
        if (forbidden[i].family == e->any.sa_family &&
            prefix_has(forbidden[i].address, forbidden[i].bits, address_of(e)))
            return false;
    return true;
}

static void endpoint_set(union endpoint *e, int family, const char *text)
{
    *e = (union endpoint){.v6.sin6_family = (sa_family_t)family};
    inet_pton(family, text, family == AF_INET ? (void *)&e->v4.sin_addr : (void *)&e->v6.sin6_addr);
}

/* Connecting a datagram socket makes the kernel choose route and source: udp(7). */
int host_route(int family, union endpoint *ret)
{
    OWN(fd) int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    union endpoint e;
    socklen_t size = sizeof(e);

    if (fd < 0)
        return -errno;
    endpoint_set(&e, family, family == AF_INET ? FAR4 : FAR6);
    if (family == AF_INET)
        e.v4.sin_port = htons(9); /* discard */
    else
        e.v6.sin6_port = htons(9);
    if (connect(fd, &e.any, endpoint_size(&e)) < 0)
        return errno == EADDRNOTAVAIL ? -EADDRNOTAVAIL : -ENETUNREACH;
    if (getsockname(fd, &e.any, &size) < 0)
        return -errno;
    if (!guest_may_reach(&e))
        return -EADDRNOTAVAIL;
    *ret = endpoint_address(&e);
    return 0;
}

static int host_any_address(int family, union endpoint *ret)
{
    struct ifaddrs *all;
    int r = -EHOSTUNREACH;

    if (getifaddrs(&all) < 0)
        return -errno;
    for (const struct ifaddrs *a = all; a && r < 0; a = a->ifa_next) {
        union endpoint e = {.v6 = {0}};

        if (!a->ifa_addr || a->ifa_addr->sa_family != family || !(a->ifa_flags & IFF_UP))
            continue;
        memcpy(&e, a->ifa_addr, family == AF_INET ? sizeof(e.v4) : sizeof(e.v6));
        if (!guest_may_reach(&e))
            continue;
        *ret = e;
        r = 0;
    }
    freeifaddrs(all);
    return r;
}

/* The host's address for that family, which the gateway's address stands for: that of host_route(),
 * else any of its addresses that others can reach it by. For IPv4 there is always one: 127.107.0.1,
 * where only what listens on all addresses answers, when the host has no other. IPv6:
 * -EHOSTUNREACH. */
static int host_address(int family, union endpoint *ret)
{
    if (host_route(family, ret) == 0 || host_any_address(family, ret) == 0)
        return 0;
    if (family != AF_INET)
        return -EHOSTUNREACH;
    endpoint_set(ret, AF_INET, ALONE4);
    return 0;
}

static void port_copy(union endpoint *e, const union endpoint *from)
{
    if (e->any.sa_family == AF_INET)
        e->v4.sin_port = from->v4.sin_port;
    else if (e->any.sa_family == AF_INET6)
        e->v6.sin6_port = from->v6.sin6_port;
}

/* The host itself, for what was sent to the gateway's address. */
static int host_itself(const struct uplink_config *config, const union endpoint *to,
                       union endpoint *ret, union endpoint *ret_second)
{
    int family = to->any.sa_family, r;
    union endpoint address, second = {.any.sa_family = AF_UNSPEC};

    r = host_address(family, &address);
    if (config->host_loopback) {
        if (r == 0)
            second = address;
        endpoint_set(&address, family, family == AF_INET ? "127.0.0.1" : "::1");
    } else if (r < 0) {
        return r;
    }
    port_copy(&address, to);
    port_copy(&second, to);
    *ret = address;
    *ret_second = second;
    return 0;
}

/* prefix 0: the network has no addresses of that family. */
static bool in_network(const struct uplink_config *config, const union endpoint *to)
{
    if (to->any.sa_family == AF_INET)
        return config->prefix > 0 && prefix_has(&config->subnet, config->prefix, address_of(to));
    return config->prefix6 > 0 && prefix_has(&config->subnet6, config->prefix6, address_of(to));
}

static bool is_gateway(const struct uplink_config *config, const union endpoint *to)
{
    if (to->any.sa_family == AF_INET)
        return to->v4.sin_addr.s_addr == config->gateway.s_addr;
    return memcmp(&to->v6.sin6_addr, &config->gateway6, sizeof(config->gateway6)) == 0;
}

int host_destination(const struct uplink *uplink, const union endpoint *to, union endpoint *ret,
                     union endpoint *ret_second)
{
    const struct uplink_config *config = uplink_config(uplink);
    int family = to->any.sa_family;

    if (family != AF_INET && family != AF_INET6)
        return -EAFNOSUPPORT;
    if (!(family == AF_INET ? config->nat44 : config->nat66) || !guest_may_reach(to))
        return -ENETUNREACH;
    if (is_gateway(config, to))
        return host_itself(config, to, ret, ret_second);
    if (in_network(config, to))
        return -EHOSTUNREACH;
    if (family == AF_INET)
        *ret = (union endpoint){.v4 = {.sin_family = AF_INET,
                                       .sin_port = to->v4.sin_port,
                                       .sin_addr = to->v4.sin_addr}};
    else
        *ret = (union endpoint){.v6 = {.sin6_family = AF_INET6,
                                       .sin6_port = to->v6.sin6_port,
                                       .sin6_addr = to->v6.sin6_addr}};
    *ret_second = (union endpoint){.any.sa_family = AF_UNSPEC};
    return 0;
}
