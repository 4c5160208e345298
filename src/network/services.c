/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See services.h. Each write_* function is one group of the file, in the order of the file; the
 * options are those of dnsmasq(8), 2.90. Text inside the file says why where an option does not.
 */
#include "network/services.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/own.h"

#define HOURS_TEXT(hours) #hours "h"
#define HOURS(hours)      HOURS_TEXT(hours)
#define LEASE_TIME        HOURS(SERVICES_LEASE_HOURS)
/* Seconds. RFC 4861, 6.2.1: the lifetime is three intervals by default. */
#define RA_INTERVAL 600
#define RA_LIFETIME 1800
/* Leases a network keeps at most, IPv4 and IPv6 together; guests can ask for any number. */
#define LEASES_MAX 4096

struct services {
    const struct spec *spec;
    const struct plan *plan;
    const struct services_paths *paths;
    const struct services_upstream *upstream;
    struct buf text;
};

struct address_text {
    char text[INET6_ADDRSTRLEN];
};

static struct address_text text4(struct in_addr address)
{
    struct address_text t;

    inet_ntop(AF_INET, &address, t.text, sizeof(t.text));
    return t;
}

static struct address_text text6(const struct in6_addr *address)
{
    struct address_text t;

    inet_ntop(AF_INET6, address, t.text, sizeof(t.text));
    return t;
}

/* Network mode "host" has no way out, whatever its other keys say. */
static bool routes4(const struct spec *spec)
{
    return spec->mode == SPEC_SHARED && spec->nat44;
}

static bool routes6(const struct spec *spec)
{
    return spec->mode == SPEC_SHARED && spec->nat66;
}

static bool advertises(const struct spec *spec)
{
    return spec->mode == SPEC_SHARED && spec->router_advertisement;
}

bool services_needed(const struct spec *spec)
{
    return spec->dhcp || spec->dns_proxy || advertises(spec);
}

/* A path as a quoted string: dnsmasq, src/option.c, read_file(). */
static void write_path(struct services *s, const char *option, const char *path)
{
    buf_printf(&s->text, "%s=\"", option);
    for (; *path; path++) {
        if (*path == '\n')
            buf_printf(&s->text, "\\n");
        else
            buf_printf(&s->text, "%s%c", strchr("\"\\", *path) ? "\\" : "", *path);
    }
    buf_printf(&s->text, "\"\n");
}

static void write_process(struct services *s)
{
    buf_printf(&s->text,
               "# DHCP, DNS and router advertisements of the vmlan network %s.\n"
               "\n"
               "keep-in-foreground\n"
               "log-facility=-\n"
               "pid-file=\n"
               "# The namespace maps one id: there is no other user or group to change to.\n"
               "user=\n"
               "group=\n"
               "\n"
               "interface=" PLAN_BRIDGE "\n"
               "except-interface=lo\n"
               "# Follows the bridge's addresses: its link-local one comes with the first port.\n"
               "bind-dynamic\n",
               s->spec->name);
}

/* The first name of the line is the one that the address is resolved to. */
static void write_gateway_names(struct services *s)
{
    buf_printf(&s->text, "host-record=gateway.%s,%s,host.internal,host.lima.internal,%s",
               s->plan->domain, s->plan->domain, text4(s->plan->gateway).text);
    /* Without advertisements guests have no IPv6 address to reach it from. */
    if (advertises(s->spec) && s->plan->has6)
        buf_printf(&s->text, ",%s", text6(&s->plan->gateway6).text);
    buf_printf(&s->text, "\n");
}

static void write_relay(struct services *s)
{
    if (!s->upstream->relay || !(routes4(s->spec) || routes6(s->spec))) {
        buf_printf(&s->text, "# No way out: names of others are refused.\n");
        return;
    }
    buf_printf(&s->text,
               "# Everything else goes to the host's resolver, at each query: it knows of changes\n"
               "# that a cache here would hide.\n"
               "server=%s\n"
               "cache-size=0\n"
               "domain-needed\n",
               s->upstream->relay);
}

static void write_dns(struct services *s)
{
    char subnet[SUBNET4_TEXT_SIZE];

    buf_printf(&s->text, "\n");
    if (!s->spec->dns_proxy) {
        buf_printf(&s->text, "# No DNS service.\nport=0\n");
        return;
    }
    buf_printf(&s->text,
               "no-resolv\n"
               "no-hosts\n"
               "# What is not known here under these is known nowhere, and is not asked outside.\n"
               "local=/" PLAN_DOMAIN_TOP "/\n"
               "rev-server=%s\n",
               subnet4_text(&s->spec->subnet, subnet));
    if (advertises(s->spec) && s->plan->has6)
        buf_printf(&s->text, "rev-server=%s/%u\n", text6(&s->plan->prefix_address6).text,
                   s->plan->prefix6);
    write_gateway_names(s);
    if (s->paths->names) {
        buf_printf(&s->text, "expand-hosts\n");
        write_path(s, "hostsdir", s->paths->names);
    }
    write_relay(s);
}

unsigned services_leases_max(const struct spec *spec)
{
    unsigned twice = 2u << (32 - spec->subnet.prefix);

    return twice < LEASES_MAX ? twice : LEASES_MAX;
}

/* What the IPv4 and the IPv6 side of dnsmasq's DHCP share. */
static void write_dhcp(struct services *s)
{
    if (!s->spec->dhcp && !advertises(s->spec))
        return;
    buf_printf(&s->text, "\n");
    /* Without the DNS service nobody answers for names in this domain. */
    if (s->spec->dns_proxy)
        buf_printf(&s->text, "domain=%s\n", s->plan->domain);
    if (s->paths->leases)
        write_path(s, "dhcp-leasefile", s->paths->leases);
    if (!s->spec->dhcp)
        return;
    buf_printf(&s->text,
               "dhcp-lease-max=%u\n"
               "# The only DHCP server here: a guest that comes back with an old address is\n"
               "# answered at once.\n"
               "dhcp-authoritative\n"
               "dhcp-rapid-commit\n"
               "no-ping\n"
               "# One MAC address is one guest: clones of a disk image share their client id.\n"
               "dhcp-host=*:*:*:*:*:*,id:*\n"
               "# A guest may not become the web proxy of the others by its name.\n"
               "dhcp-name-match=set:refused,wpad\n"
               "dhcp-ignore-names=tag:refused\n",
               services_leases_max(s->spec));
    if (s->paths->reservations)
        write_path(s, "dhcp-hostsdir", s->paths->reservations);
}

/* A guest can't reach the host's loopback, where local stub resolvers listen. */
static bool resolver_usable(const char *text)
{
    struct in_addr address;

    return inet_pton(AF_INET, text, &address) == 1 && ntohl(address.s_addr) >> 24 != 127;
}

/* An option with no value is not offered, which otherwise dnsmasq does by itself. */
static void write_resolvers4(struct services *s)
{
    buf_printf(&s->text, "dhcp-option=option:dns-server");
    if (s->spec->dns_proxy)
        buf_printf(&s->text, ",%s", text4(s->plan->gateway).text);
    else if (routes4(s->spec) && s->upstream->resolvers)
        for (const char *const *r = s->upstream->resolvers; *r; r++)
            if (resolver_usable(*r))
                buf_printf(&s->text, ",%s", *r);
    buf_printf(&s->text, "\n");
}

static void write_dhcp4(struct services *s)
{
    struct in_addr netmask = {htonl(~(UINT32_MAX >> s->spec->subnet.prefix))};

    if (!s->spec->dhcp)
        return;
    buf_printf(&s->text,
               "\ndhcp-range=%s,%s,%s," LEASE_TIME "\n"
               "dhcp-option=option:router%s%s\n",
               text4(s->plan->first).text, text4(s->plan->last).text, text4(netmask).text,
               routes4(s->spec) ? "," : "", routes4(s->spec) ? text4(s->plan->gateway).text : "");
    write_resolvers4(s);
    if (s->spec->dns_proxy)
        buf_printf(&s->text, "dhcp-option=option:domain-search,%s\n", s->plan->domain);
    buf_printf(&s->text, "dhcp-option=option:mtu,%u\n", s->spec->mtu);
    for (size_t i = 0; i < s->spec->dhcp_option_count; i++)
        buf_printf(&s->text, "dhcp-option=%u,%s\n", s->spec->dhcp_options[i].code,
                   s->spec->dhcp_options[i].value);
}

/* Where the IPv6 addresses come from: the guest itself, and DHCPv6 unless there is to be no DHCP.
 */
static void write_range6(struct services *s)
{
    struct in6_addr first = s->plan->prefix_address6, last = first;

    first.s6_addr[14] = 0x10;
    last.s6_addr[14] = last.s6_addr[15] = 0xff;
    if (s->spec->dhcp)
        buf_printf(&s->text, "dhcp-range=%s,%s,slaac,ra-names,%u," LEASE_TIME "\n",
                   text6(&first).text, text6(&last).text, s->plan->prefix6);
    else
        buf_printf(&s->text, "dhcp-range=%s,ra-only,%u," LEASE_TIME "\n",
                   text6(&s->plan->prefix_address6).text, s->plan->prefix6);
}

static void write_ipv6(struct services *s)
{
    bool route = s->upstream->route6 && routes6(s->spec);

    if (!advertises(s->spec) || !s->plan->has6)
        return;
    buf_printf(&s->text, "\nenable-ra\n");
    if (!route)
        buf_printf(&s->text, "# No way out over IPv6: lifetime 0 makes no default route.\n");
    buf_printf(&s->text, "ra-param=" PLAN_BRIDGE ",mtu:%u,%d,%d\n", s->spec->mtu, RA_INTERVAL,
               route ? RA_LIFETIME : 0);
    write_range6(s);
    if (!s->spec->dns_proxy)
        return;
    buf_printf(&s->text,
               "# Not the link-local address, which is dnsmasq's choice: many resolvers of guests\n"
               "# can't say on which link it is.\n"
               "dhcp-option=option6:dns-server,[%s]\n"
               "dhcp-option=option6:domain-search,%s\n",
               text6(&s->plan->gateway6).text, s->plan->domain);
}

/* The line without its newline. id:* stands for "whatever client id": see write_dhcp(). */
static void write_reservation(struct buf *text, const uint8_t mac[6], const char *name,
                              const struct in_addr *ip)
{
    char mac_string[MAC_TEXT_SIZE];

    buf_printf(text, "%s,id:*", mac_text(mac, mac_string));
    if (ip)
        buf_printf(text, ",%s", text4(*ip).text);
    if (name)
        buf_printf(text, ",%s", name);
}

static void write_reservations(struct services *s)
{
    if (!s->spec->dhcp || s->spec->reservation_count == 0)
        return;
    buf_printf(&s->text, "\n");
    for (size_t i = 0; i < s->spec->reservation_count; i++) {
        const struct spec_reservation *r = &s->spec->reservations[i];

        buf_printf(&s->text, "dhcp-host=");
        write_reservation(&s->text, r->mac, r->name, &r->ip);
        buf_printf(&s->text, "\n");
    }
}

char *services_reservation(const struct spec *spec, const uint8_t mac[6], const char *name,
                           const struct in_addr *ip)
{
    struct buf line = BUF_NULL;

    for (size_t i = 0; i < spec->reservation_count; i++) {
        const struct spec_reservation *r = &spec->reservations[i];

        if (memcmp(r->mac, mac, sizeof(r->mac)) != 0)
            continue;
        name = name ? name : r->name;
        ip = ip ? ip : &r->ip;
    }
    write_reservation(&line, mac, name, ip);
    buf_append(&line, "\n", 1);
    return line.data;
}

char *services_text(const struct spec *spec, const struct plan *plan,
                    const struct services_paths *paths, const struct services_upstream *upstream)
{
    struct services s = {spec, plan, paths, upstream, BUF_NULL};

    write_process(&s);
    write_dns(&s);
    write_dhcp(&s);
    write_dhcp4(&s);
    write_ipv6(&s);
    write_reservations(&s);
    return s.text.data;
}
