/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See host-link.h. A veth pair: one end is the host's interface, the other goes into the network's
 * namespace, where the holder makes a port of it (backend host_link) and so sees to its end.
 * Nothing else on the host changes: no route but that of the subnet, no sysctl but the link's own.
 */
#include "cli/host-link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/capability.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "config/spec.h"
#include "kernel/ns.h"
#include "kernel/rtnl.h"

/* What the holder looks for: network/port.h, which the command line can't include. */
#define INNER_NAME "host0"
/* The port's name, so that a network has one such link at most. */
#define GUEST_NAME "host-link"

enum { LINKS_MAX = 1000 };

struct host_link {
    struct rtnl *rtnl; /* of the host's namespace */
    char name[IF_NAMESIZE];
    struct in_addr ip;
    struct in6_addr ip6;
    unsigned prefix, mtu;
    bool has6;
    uint8_t mac[6];
};

int host_link_check(struct error *error)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct have[2] = {0};

    if (syscall(SYS_capget, &header, have) == 0 && (have[0].effective & (1U << CAP_NET_ADMIN)))
        return 0;
    error_set(error, -EPERM, ERROR_PERMISSION, "only root can give the host an interface");
    error_hint(error, "as root (or with CAP_NET_ADMIN) it can; without, vmlan exec NET -- CMD "
                      "reaches the guests");
    return -EPERM;
}

/* The lowest free vmlanN. */
static void name_choose(char name[IF_NAMESIZE])
{
    for (uint16_t number = 0; number < LINKS_MAX; number++) {
        snprintf(name, IF_NAMESIZE, "vmlan%u", number);
        if (!if_nametoindex(name))
            return;
    }
}

static int pair_make(struct host_link *link, int net, struct error *error)
{
    struct rtnl_link here = {.name = link->name}, there = {.name = INNER_NAME};
    int r;

    name_choose(link->name);
    r = rtnl_add_veth(link->rtnl, &here, &there, net, error);
    if (r == -EEXIST)
        error_hint(error, "somebody else is making such a link at this moment: try again");
    return r;
}

static int reply_take(struct host_link *link, const json_t *reply, struct error *error)
{
    const char *ip = json_string_value(json_object_get(reply, "ip")),
               *ip6 = json_string_value(json_object_get(reply, "gateway6"));
    struct subnet4 subnet;

    if (!ip || inet_pton(AF_INET, ip, &link->ip) != 1 ||
        mac_parse(json_string_value(json_object_get(reply, "mac")), link->mac) < 0 ||
        subnet4_parse(json_string_value(json_object_get(reply, "subnet")), &subnet) < 0)
        return error_set(error, -EPROTO, ERROR_FAILED, "the broker gave no address");
    link->prefix = subnet.prefix;
    link->mtu = (unsigned)json_integer_value(json_object_get(reply, "mtu"));
    link->has6 = ip6 && inet_pton(AF_INET6, ip6, &link->ip6) == 1;
    link->ip6.s6_addr[15]++; /* behind the gateway's; DHCPv6 begins at ::1000 */
    return 0;
}

static int addresses_set(struct host_link *link, struct error *error)
{
    int ifindex = (int)if_nametoindex(link->name);
    struct rtnl_link up = {.mac = link->mac, .mtu = link->mtu, .up = 1};
    char path[64];
    int r;

    /* The network's router advertisements are for guests: they would give the host a route. */
    snprintf(path, sizeof(path), "net/ipv6/conf/%s/accept_ra", link->name);
    ns_sysctl(path, "0");
    r = rtnl_set_link(link->rtnl, ifindex, &up, error);
    if (r >= 0)
        r = rtnl_add_address(link->rtnl, ifindex, AF_INET, &link->ip, link->prefix, error);
    if (r >= 0 && link->has6) {
        r = rtnl_add_address(link->rtnl, ifindex, AF_INET6, &link->ip6, 64, error);
        link->has6 = r >= 0;
        if (r == -EACCES || r == -EPERM || r == -EOPNOTSUPP)
            r = 0; /* a host without IPv6 */
    }
    return r;
}

static void print(const struct host_link *link)
{
    char ip[INET_ADDRSTRLEN], ip6[INET6_ADDRSTRLEN];

    printf("%s  %s/%u", link->name, inet_ntop(AF_INET, &link->ip, ip, sizeof(ip)), link->prefix);
    if (link->has6)
        printf("  %s/64", inet_ntop(AF_INET6, &link->ip6, ip6, sizeof(ip6)));
    printf("\n");
}

static int port_ask(const char *network, json_t **ret, struct error *error)
{
    OWN(client) struct client *client = NULL;
    int r = client_open(CLIENT_START, &client, error);

    if (r < 0)
        return r;
    r = client_call(
        client, "Attach",
        json_pack("{ss ss ss}", "network", network, "backend", "host_link", "name", GUEST_NAME),
        ret, NULL, error);
    if (r < 0 && strcmp(error->where, "Attach.name") == 0) {
        error_set(error, r, ERROR_CONFLICT, "network %s has a host link already", network);
        error_hint(error, "vmlan ls and ip addr show it");
    }
    return r;
}

static int link_make(struct host_link *link, const char *network, int net, struct error *error)
{
    OWN(json) json_t *reply = NULL;
    int r = rtnl_open(&link->rtnl, error);

    if (r >= 0)
        r = pair_make(link, net, error);
    if (r < 0)
        return r;
    r = port_ask(network, &reply, error);
    if (r >= 0)
        r = reply_take(link, reply, error);
    if (r >= 0)
        r = addresses_set(link, error);
    if (r < 0)
        rtnl_delete_link(link->rtnl, (int)if_nametoindex(link->name), NULL);
    return r;
}

int host_link_make(const struct cli *cli, const char *network)
{
    OWN(json) json_t *reply = NULL;
    OWN(client_fds) struct client_fds fds = {0};
    struct host_link link = {0};
    struct error error;
    int r = session_ask(cli, "Acquire", json_pack("{ss}", "network", network), &reply, &fds);

    if (r < 0)
        return r;
    r = link_make(&link, network, fds.fds[1], &error);
    rtnl_free(link.rtnl);
    if (r < 0)
        cli_fail(cli, &error);
    else
        print(&link);
    return r;
}
