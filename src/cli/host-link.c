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
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "config/spec.h"
#include "kernel/capabilities.h"
#include "kernel/ns.h"
#include "kernel/rtnl.h"
#include "wire/fds.h"

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
    if (capabilities_have(CAP_NET_ADMIN))
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

/* The child of namespaces_ask(). */
static void namespaces_tell(const struct cli *cli, const char *network, int tell)
    __attribute__((noreturn));
static void namespaces_tell(const struct cli *cli, const char *network, int tell)
{
    struct client_fds got = {0};
    struct fds fds = FDS_NULL;
    json_t *reply = NULL;

    if (capabilities_drop() < 0 ||
        session_ask(cli, "Acquire", json_pack("{ss}", "network", network), &reply, &got) < 0)
        _exit(1);
    fds.count = got.count;
    memcpy(fds.fd, got.fds, got.count * sizeof(int));
    _exit(fds_send(tell, "", 1, &fds) != 1);
}

/* A broker without capabilities is not shown by the kernel what program a process with some runs,
 * and gives namespaces to none but vmlan. So a process that has dropped them asks. It prints what
 * went wrong. */
static int namespaces_ask(const struct cli *cli, const char *network, struct fds *ret)
{
    int ends[2], status = -1;
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return cli_fail_text(cli, "no socket: %s", strerror(errno));
    pid = fork();
    if (pid == 0)
        namespaces_tell(cli, network, ends[1]);
    if (pid < 0)
        cli_fail_text(cli, "cannot fork: %s", strerror(errno));
    else
        waitpid(pid, &status, 0);
    if (status == 0 && fds_receive(ends[0], &(char){0}, 1, ret) != 1)
        status = -1;
    close(ends[0]);
    close(ends[1]);
    return status;
}

int host_link_make(const struct cli *cli, const char *network)
{
    OWN(fds) struct fds fds = FDS_NULL;
    struct host_link link = {0};
    struct error error;
    int r = namespaces_ask(cli, network, &fds);

    if (r != 0)
        return -1;
    r = link_make(&link, network, fds.fd[1], &error);
    rtnl_free(link.rtnl);
    if (r < 0)
        cli_fail(cli, &error);
    else
        print(&link);
    return r;
}
