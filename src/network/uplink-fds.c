/* SPDX-License-Identifier: Apache-2.0 */
/* See uplink-fds.h. */
#include "network/uplink-fds.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <stddef.h>

#include <libmnl/libmnl.h>

#include "base/own.h"
#include "kernel/ns.h"
#include "kernel/tap.h"
#include "network/rules.h"

/* Tables of routes, and where their rules stand: before the host's own addresses (local), because
 * what guests send to the gateway's address is partly the host's. */
enum { TABLE_LOCAL_ALL = 100, TABLE_OUT = 200, RT_LOCAL = 255, TUN_MTU = 65535, LISTEN_MAX = 4096 };

/* Packets that wait for the forwarder: a fifth of a second of 200 Mbit/s, for a busy machine may
 * let it wait longer than the 25 ms that the kernel's 500 are. */
enum { TUN_QUEUE = 4096 };

static const struct rtnl_rule rules_wanted[] = {
    {10, RULES_MARK_LOCAL, TABLE_LOCAL_ALL},
    {20, RULES_MARK_OUT, TABLE_OUT},
    {100, 0, RT_LOCAL},
};
static const struct rtnl_rule rule_local_first = {0, 0, RT_LOCAL};

static bool nats6(const struct spec *spec)
{
    return spec->nat66 && ns_has_ipv6();
}

static int family_policy(struct rtnl *rtnl, int family, struct error *error)
{
    int r = rtnl_set_table(rtnl, (int)if_nametoindex("lo"), family, TABLE_LOCAL_ALL, true, error);

    for (size_t i = 0; i < ARRAY_SIZE(rules_wanted) && r >= 0; i++)
        r = rtnl_add_rule(rtnl, family, &rules_wanted[i], error);
    return r < 0 ? r : rtnl_delete_rule(rtnl, family, &rule_local_first, error);
}

int uplink_fds_policy(const struct spec *spec, struct rtnl *rtnl, struct error *error)
{
    int r = 0;

    if (spec->nat44)
        r = family_policy(rtnl, AF_INET, error);
    if (r >= 0 && nats6(spec))
        r = family_policy(rtnl, AF_INET6, error);
    return r;
}

/* --- sockets --- */

static int option_set(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof(value)) < 0 ? -errno : 0;
}

static int address_bind(int fd, int family, const char *text, uint16_t port)
{
    union endpoint e = {.any.sa_family = (sa_family_t)family};

    if (family == AF_INET) {
        e.v4.sin_port = htons(port);
        inet_pton(AF_INET, text, &e.v4.sin_addr);
    } else {
        e.v6.sin6_port = htons(port);
        inet_pton(AF_INET6, text, &e.v6.sin6_addr);
    }
    return bind(fd, &e.any, endpoint_size(&e)) < 0 ? -errno : 0;
}

/* What TPROXY hands flows to. The way to a guest is a bridge in memory: pacing (BBR) would only
 * cost. */
static int listener_open(int family)
{
    OWN(fd) int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int r;

    if (fd < 0)
        return -errno;
    r = family == AF_INET ? option_set(fd, SOL_IP, IP_TRANSPARENT, 1)
                          : option_set(fd, SOL_IPV6, IPV6_TRANSPARENT, 1);
    if (r >= 0 && family == AF_INET6)
        r = option_set(fd, SOL_IPV6, IPV6_V6ONLY, 1);
    if (r >= 0)
        r = option_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    setsockopt(fd, SOL_TCP, TCP_CONGESTION, "cubic", 5);
    if (r >= 0)
        r = address_bind(fd, family, family == AF_INET ? "127.0.0.1" : "::1", UPLINK_TCP_PORT);
    if (r >= 0 && listen(fd, LISTEN_MAX) < 0)
        r = -errno;
    return r < 0 ? r : take_fd(&fd);
}

static int raw_open(int family)
{
    int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW);

    return fd < 0 ? -errno : fd;
}

static int mark_open(int family)
{
    OWN(fd) int fd = raw_open(family);
    int r = fd < 0 ? fd : option_set(fd, SOL_SOCKET, SO_MARK, RULES_MARK_LOCAL);

    return r < 0 ? r : take_fd(&fd);
}

/* One request to nfnetlink_log, answered: net/netfilter/nfnetlink_log.c, nfulnl_recv_config(). */
static int nflog_configure(struct mnl_socket *socket, int group, uint16_t type, const void *data,
                           size_t size)
{
    char buffer[256] = {0}, answer[1024];
    struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
    struct nfgenmsg *header;
    ssize_t got;

    message->nlmsg_type = (NFNL_SUBSYS_ULOG << 8) | NFULNL_MSG_CONFIG;
    message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    message->nlmsg_seq = 1;
    header = mnl_nlmsg_put_extra_header(message, sizeof(*header));
    header->nfgen_family = AF_UNSPEC;
    header->res_id = htons((uint16_t)group);
    mnl_attr_put(message, type, size, data);
    if (mnl_socket_sendto(socket, message, message->nlmsg_len) < 0)
        return -errno;
    got = mnl_socket_recvfrom(socket, answer, sizeof(answer));
    if (got < 0 ||
        mnl_cb_run(answer, (size_t)got, 1, mnl_socket_get_portid(socket), NULL, NULL) < 0)
        return -errno;
    return 0;
}

static int nflog_setup(struct mnl_socket *socket, int group)
{
    struct nfulnl_msg_config_cmd bind_group = {NFULNL_CFG_CMD_BIND};
    struct nfulnl_msg_config_mode copy = {.copy_mode = NFULNL_COPY_PACKET,
                                          .copy_range = htonl(160)};
    uint32_t one = htonl(1);
    int r = mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 ? -errno : 0;

    if (r >= 0)
        r = nflog_configure(socket, group, NFULA_CFG_CMD, &bind_group, sizeof(bind_group));
    if (r >= 0)
        r = nflog_configure(socket, group, NFULA_CFG_MODE, &copy, sizeof(copy));
    if (r >= 0)
        r = nflog_configure(socket, group, NFULA_CFG_QTHRESH, &one, sizeof(one));
    return r;
}

static int nflog_open(int group)
{
    struct mnl_socket *socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
    int r = socket ? nflog_setup(socket, group) : -errno;
    int fd = -1;

    /* A burst of SYNs must not be lost: each costs its guest a second. */
    if (r >= 0)
        option_set(mnl_socket_get_fd(socket), SOL_SOCKET, SO_RCVBUF, 4 * 1024 * 1024);
    if (r >= 0)
        fd = fcntl(mnl_socket_get_fd(socket), F_DUPFD_CLOEXEC, 0);
    if (fd >= 0)
        fcntl(fd, F_SETFL, O_NONBLOCK);
    if (socket)
        mnl_socket_close(socket);
    return r < 0 ? r : fd;
}

static int dns_open(int type)
{
    OWN(fd) int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int r = fd < 0 ? -errno : option_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);

    if (r >= 0)
        r = address_bind(fd, AF_INET, "127.0.0.1", UPLINK_DNS_PORT);
    if (r >= 0 && type == SOCK_STREAM && listen(fd, 64) < 0)
        r = -errno;
    return r < 0 ? r : take_fd(&fd);
}

int uplink_fds_socket(int family, int type)
{
    int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    return fd < 0 ? -errno : fd;
}

/* --- the device --- */

static int device_routes(const struct spec *spec, struct rtnl *rtnl, int ifindex,
                         struct error *error)
{
    int r = 0;

    for (int i = 0; i < 2 && r >= 0; i++) {
        int family = i ? AF_INET6 : AF_INET;

        if (!(i ? nats6(spec) : spec->nat44))
            continue;
        r = rtnl_set_route(rtnl, ifindex, family, NULL, 0, NULL, error);
        if (r >= 0)
            r = rtnl_set_table(rtnl, ifindex, family, TABLE_OUT, false, error);
    }
    return r;
}

static int device_open(const struct spec *spec, struct rtnl *rtnl, struct error *error)
{
    struct rtnl_link up = {.mtu = TUN_MTU, .queue = TUN_QUEUE, .up = 1};
    OWN(fd) int fd = -1;
    int ifindex = RULES_DEVICE_OUT, r = tun_open(UPLINK_DEVICE, RULES_DEVICE_OUT, &fd, error);

    /* What the host answers in the gateway's name comes in with an address of ours as its source.
     */
    if (r >= 0)
        r = ns_setting("net/ipv4/conf/" UPLINK_DEVICE "/accept_local", "1", error);
    if (r >= 0)
        r = ns_setting("net/ipv6/conf/" UPLINK_DEVICE "/disable_ipv6", "0", error);
    if (r >= 0)
        r = ns_setting("net/ipv6/conf/" UPLINK_DEVICE "/accept_ra", "0", error);
    if (r >= 0)
        r = rtnl_set_link(rtnl, ifindex, &up, error);
    if (r >= 0)
        r = device_routes(spec, rtnl, ifindex, error);
    return r < 0 ? r : take_fd(&fd);
}

/* --- all of it --- */

enum need { NEED_4 = 1, NEED_6 = 2, NEED_ANY = 3, NEED_DNS = 4 };

/* Each by its name on the wire: what it takes part in, and how it is opened. */
static const struct member {
    const char *name;
    size_t offset;
    unsigned needs; /* any of these */
    int (*open)(int argument);
    int argument;
} members[UPLINK_FDS] = {
    {"listen4", offsetof(struct uplink_fds, listen4), NEED_4, listener_open, AF_INET},
    {"listen6", offsetof(struct uplink_fds, listen6), NEED_6, listener_open, AF_INET6},
    {"raw4", offsetof(struct uplink_fds, raw4), NEED_4, raw_open, AF_INET},
    {"raw6", offsetof(struct uplink_fds, raw6), NEED_6, raw_open, AF_INET6},
    {"mark4", offsetof(struct uplink_fds, mark4), NEED_4, mark_open, AF_INET},
    {"mark6", offsetof(struct uplink_fds, mark6), NEED_6, mark_open, AF_INET6},
    {"nflog", offsetof(struct uplink_fds, nflog), NEED_ANY, nflog_open, UPLINK_NFLOG_GROUP},
    {"dnsUdp", offsetof(struct uplink_fds, dns_udp), NEED_DNS, dns_open, SOCK_DGRAM},
    {"dnsTcp", offsetof(struct uplink_fds, dns_tcp), NEED_DNS, dns_open, SOCK_STREAM},
    {"tun", offsetof(struct uplink_fds, tun), NEED_ANY, NULL, 0}, /* device_open() */
};

const char *uplink_fds_name(size_t index)
{
    return members[index].name;
}

int *uplink_fds_field(struct uplink_fds *fds, size_t index)
{
    return (int *)((char *)fds + members[index].offset);
}

void uplink_fds_close(struct uplink_fds *fds)
{
    for (size_t i = 0; i < UPLINK_FDS; i++)
        fd_close(uplink_fds_field(fds, i));
}

static unsigned needs_of(const struct spec *spec)
{
    unsigned needs = 0;

    if (spec->mode != SPEC_SHARED)
        return 0;
    needs |= spec->nat44 ? NEED_4 : 0;
    needs |= nats6(spec) ? NEED_6 : 0;
    return needs | (needs && spec->dns_proxy ? NEED_DNS : 0);
}

int uplink_fds_open(const struct spec *spec, struct rtnl *rtnl, struct uplink_fds *ret,
                    struct error *error)
{
    struct uplink_fds fds;
    unsigned needs = needs_of(spec);
    int r = 0;

    for (size_t i = 0; i < UPLINK_FDS; i++)
        *uplink_fds_field(&fds, i) = -1;
    for (size_t i = 0; i < UPLINK_FDS && r >= 0; i++) {
        const struct member *member = &members[i];

        if (!(needs & member->needs))
            continue;
        r = member->open ? member->open(member->argument) : device_open(spec, rtnl, error);
        if (r >= 0)
            *uplink_fds_field(&fds, i) = r;
        else if (member->open)
            error_system(error, r, "cannot open the uplink's %s", member->name);
    }
    if (r < 0) {
        uplink_fds_close(&fds);
        return r;
    }
    *ret = fds;
    return 0;
}
