/* SPDX-License-Identifier: Apache-2.0 */
/* See rtnl.h: the socket, and links. */
#include "kernel/rtnl-private.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/own.h"

/* The kernel builds dump messages of up to this: NLMSG_GOODSIZE, include/linux/netlink.h. */
enum { RTNL_BUFFER = 32768 };

/* How often a dump is begun again that was overtaken by changes. */
enum { DUMP_TRIES = 100 };

/* Room for what some hundred links say when they come or go at once; a few messages each. */
enum { MONITOR_BYTES = 4 * 1024 * 1024 };

struct rtnl {
    struct mnl_socket *socket;
    unsigned sequence;
    char kernel_says[256];    /* text of the last extended ack, "" if none */
    char buffer[RTNL_BUFFER]; /* of the answer being read */
};

int rtnl_open(struct rtnl **ret, struct error *error)
{
    struct mnl_socket *socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
    struct rtnl *rtnl;
    int one = 1, r;

    if (!socket || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0) {
        r = error_system(error, -errno, "cannot open a routing socket");
        if (socket)
            mnl_socket_close(socket);
        return r;
    }
    /* Refinements: without them messages are only less precise. */
    mnl_socket_setsockopt(socket, NETLINK_EXT_ACK, &one, sizeof(one));
    mnl_socket_setsockopt(socket, NETLINK_GET_STRICT_CHK, &one, sizeof(one));
    rtnl = alloc_new(struct rtnl);
    rtnl->socket = socket;
    *ret = rtnl;
    return 0;
}

void rtnl_free(struct rtnl *rtnl)
{
    if (!rtnl)
        return;
    mnl_socket_close(rtnl->socket);
    free(rtnl);
}

/* The text attribute of an extended ack: Documentation/userspace-api/netlink/intro.rst. */
static int ext_ack_attribute(const struct nlattr *attribute, void *data)
{
    struct rtnl *rtnl = data;

    if (mnl_attr_get_type(attribute) == NLMSGERR_ATTR_MSG &&
        mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) >= 0)
        snprintf(rtnl->kernel_says, sizeof(rtnl->kernel_says), "%s", mnl_attr_get_str(attribute));
    return MNL_CB_OK;
}

static int on_answer(const struct nlmsghdr *message, void *data)
{
    const struct nlmsgerr *answer = mnl_nlmsg_get_payload(message);
    struct query *query = data;
    size_t offset = sizeof(*answer);

    if (message->nlmsg_flags & NLM_F_ACK_TLVS) {
        if (!(message->nlmsg_flags & NLM_F_CAPPED))
            offset += mnl_nlmsg_get_payload_len(&answer->msg);
        mnl_attr_parse(message, (unsigned)offset, ext_ack_attribute, query->rtnl);
    }
    errno = -answer->error;
    return answer->error ? MNL_CB_ERROR : MNL_CB_STOP;
}

/* Only the answer is ours to handle; the end of a dump (NLMSG_DONE) is libmnl's. */
static mnl_cb_t control_calls[] = {[NLMSG_ERROR] = on_answer};

static int query_send(struct rtnl *rtnl, struct nlmsghdr *message, uint16_t flags)
{
    rtnl->kernel_says[0] = '\0';
    message->nlmsg_seq = ++rtnl->sequence;
    message->nlmsg_flags |= NLM_F_REQUEST | flags;
    return mnl_socket_sendto(rtnl->socket, message, message->nlmsg_len) < 0 ? -errno : 0;
}

/* The next messages of the answer; passes over what is left of a query that failed half-way. */
static ssize_t answer_receive(struct rtnl *rtnl, char *buffer)
{
    const struct nlmsghdr *message = (const void *)buffer;
    ssize_t got;

    do
        got = mnl_socket_recvfrom(rtnl->socket, buffer, RTNL_BUFFER);
    while (got < 0 ? errno == EINTR
                   : mnl_nlmsg_ok(message, (int)got) && message->nlmsg_seq != rtnl->sequence);
    return got < 0 ? -errno : got;
}

/* Sends message and reads until the kernel's answer. */
static int query_run(struct query *query, struct nlmsghdr *message, mnl_cb_t on_data)
{
    struct rtnl *rtnl = query->rtnl;
    unsigned port = mnl_socket_get_portid(rtnl->socket);
    int r = query_send(rtnl, message, NLM_F_ACK);

    if (r < 0)
        return r;
    r = MNL_CB_OK;
    while (r > MNL_CB_STOP) {
        ssize_t got = answer_receive(rtnl, rtnl->buffer);

        if (got < 0)
            return (int)got;
        r = mnl_cb_run2(rtnl->buffer, (size_t)got, rtnl->sequence, port, on_data, query,
                        control_calls, ARRAY_SIZE(control_calls));
    }
    return r < 0 ? -errno : 0;
}

/* Whether a dump ends with these messages. */
static bool dump_ends(const char *data, size_t size, bool *ret_interrupted)
{
    const struct nlmsghdr *message = (const void *)data;

    for (int left = (int)size; mnl_nlmsg_ok(message, left);
         message = mnl_nlmsg_next(message, &left)) {
        if (message->nlmsg_flags & NLM_F_DUMP_INTR)
            *ret_interrupted = true;
        if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR)
            return true;
    }
    return false;
}

static int dump_read(struct rtnl *rtnl, struct buf *all)
{
    bool interrupted = false, over = false;

    all->size = 0;
    while (!over) {
        char *room = buf_reserve(all, RTNL_BUFFER);
        ssize_t got = answer_receive(rtnl, room);

        if (got <= 0)
            return got < 0 ? (int)got : -EIO;
        over = dump_ends(room, (size_t)got, &interrupted);
        buf_commit(all, (size_t)got);
    }
    return interrupted ? -EINTR : 0;
}

int query_dump(struct query *query, struct nlmsghdr *message, mnl_cb_t on_data)
{
    OWN(buf) struct buf all = BUF_NULL;
    struct rtnl *rtnl = query->rtnl;
    int r = -EINTR;

    for (int tries = 0; r == -EINTR && tries < DUMP_TRIES; tries++) {
        r = query_send(rtnl, message, NLM_F_DUMP);
        if (r >= 0)
            r = dump_read(rtnl, &all);
    }
    if (r < 0)
        return r;
    r = mnl_cb_run2(all.data, all.size, rtnl->sequence, mnl_socket_get_portid(rtnl->socket),
                    on_data, query, control_calls, ARRAY_SIZE(control_calls));
    return r < 0 ? -errno : 0;
}

int rtnl_change(struct rtnl *rtnl, struct nlmsghdr *message, struct error *error, const char *what,
                const char *object)
{
    struct query query = {.rtnl = rtnl};
    int r = query_run(&query, message, NULL);

    if (r >= 0)
        return 0;
    error_system(error, r, "the kernel would not %s %s", what, object);
    if (rtnl->kernel_says[0])
        error_hint(error, "the kernel says: %s", rtnl->kernel_says);
    return r;
}

static struct nlmsghdr *link_message(char *buffer, uint16_t type, uint16_t flags, int ifindex,
                                     const struct rtnl_link *link)
{
    struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
    struct ifinfomsg *info = mnl_nlmsg_put_extra_header(message, sizeof(*info));

    message->nlmsg_type = type;
    message->nlmsg_flags = flags;
    info->ifi_family = AF_UNSPEC;
    info->ifi_index = ifindex;
    if (link && link->up) {
        info->ifi_change = IFF_UP;
        info->ifi_flags = link->up > 0 ? IFF_UP : 0;
    }
    return message;
}

static void link_attributes(struct nlmsghdr *message, const struct rtnl_link *link)
{
    if (link->name)
        mnl_attr_put_strz(message, IFLA_IFNAME, link->name);
    if (link->mac)
        mnl_attr_put(message, IFLA_ADDRESS, 6, link->mac);
    if (link->mtu)
        mnl_attr_put_u32(message, IFLA_MTU, link->mtu);
    if (link->queue)
        mnl_attr_put_u32(message, IFLA_TXQLEN, link->queue);
    if (link->alias)
        mnl_attr_put_str(message, IFLA_IFALIAS, link->alias);
    if (link->master)
        mnl_attr_put_u32(message, IFLA_MASTER, link->master > 0 ? (uint32_t)link->master : 0);
}

int rtnl_add_bridge(struct rtnl *rtnl, const struct rtnl_link *link, struct error *error)
{
    char buffer[REQUEST_SIZE] = {0};
    struct nlmsghdr *message =
        link_message(buffer, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0, link);
    struct nlattr *kind, *data;

    link_attributes(message, link);
    kind = mnl_attr_nest_start(message, IFLA_LINKINFO);
    mnl_attr_put_strz(message, IFLA_INFO_KIND, "bridge");
    data = mnl_attr_nest_start(message, IFLA_INFO_DATA);
    mnl_attr_put_u32(message, IFLA_BR_FORWARD_DELAY, 0); /* guests' first frames count */
    mnl_attr_nest_end(message, data);
    mnl_attr_nest_end(message, kind);
    return rtnl_change(rtnl, message, error, "make bridge", link->name);
}

int rtnl_add_veth(struct rtnl *rtnl, const struct rtnl_link *link, const struct rtnl_link *peer,
                  int peer_net, struct error *error)
{
    char buffer[REQUEST_SIZE] = {0};
    struct nlmsghdr *message =
        link_message(buffer, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0, link);
    struct nlattr *kind, *data, *other;

    link_attributes(message, link);
    kind = mnl_attr_nest_start(message, IFLA_LINKINFO);
    mnl_attr_put_strz(message, IFLA_INFO_KIND, "veth");
    data = mnl_attr_nest_start(message, IFLA_INFO_DATA);
    other = mnl_attr_nest_start(message, VETH_INFO_PEER);
    mnl_nlmsg_put_extra_header(message, sizeof(struct ifinfomsg));
    link_attributes(message, peer);
    mnl_attr_put_u32(message, IFLA_NET_NS_FD, (uint32_t)peer_net);
    mnl_attr_nest_end(message, other);
    mnl_attr_nest_end(message, data);
    mnl_attr_nest_end(message, kind);
    return rtnl_change(rtnl, message, error, "make veth pair", link->name);
}

/* Bridge port attributes go by AF_BRIDGE: net/bridge/br_netlink.c. */
static int port_isolate(struct rtnl *rtnl, int ifindex, bool isolated, struct error *error)
{
    char buffer[REQUEST_SIZE] = {0}, number[16];
    struct nlmsghdr *message = link_message(buffer, RTM_SETLINK, 0, ifindex, NULL);
    struct ifinfomsg *info = mnl_nlmsg_get_payload(message);
    struct nlattr *port;

    info->ifi_family = AF_BRIDGE;
    port = mnl_attr_nest_start(message, IFLA_PROTINFO | NLA_F_NESTED);
    mnl_attr_put_u8(message, IFLA_BRPORT_ISOLATED, isolated);
    mnl_attr_nest_end(message, port);
    snprintf(number, sizeof(number), "%d", ifindex);
    return rtnl_change(rtnl, message, error, "isolate bridge port", number);
}

int rtnl_set_link(struct rtnl *rtnl, int ifindex, const struct rtnl_link *link, struct error *error)
{
    char buffer[REQUEST_SIZE] = {0}, number[16];
    struct nlmsghdr *message = link_message(buffer, RTM_NEWLINK, 0, ifindex, link);
    int r;

    snprintf(number, sizeof(number), "%d", ifindex);
    link_attributes(message, link);
    r = rtnl_change(rtnl, message, error, "change link", number);
    if (r >= 0 && link->isolated)
        r = port_isolate(rtnl, ifindex, link->isolated > 0, error);
    return r;
}

int rtnl_delete_link(struct rtnl *rtnl, int ifindex, struct error *error)
{
    char buffer[REQUEST_SIZE] = {0}, number[16];
    struct nlmsghdr *message = link_message(buffer, RTM_DELLINK, 0, ifindex, NULL);

    snprintf(number, sizeof(number), "%d", ifindex);
    return rtnl_change(rtnl, message, error, "delete link", number);
}

void rtnl_settle(struct rtnl *rtnl, int ifindex)
{
    char buffer[REQUEST_SIZE] = {0};
    struct query query = {.rtnl = rtnl};

    query_run(&query, link_message(buffer, RTM_GETLINK, 0, ifindex, NULL), NULL);
}

static void counters_take(struct rtnl_counters *ret, const void *data, size_t size)
{
    struct rtnl_link_stats64 stats = {0};

    /* The attribute is aligned to 4 bytes only, and grows with the kernel. */
    memcpy(&stats, data, size < sizeof(stats) ? size : sizeof(stats));
    *ret = (struct rtnl_counters){
        .receive_bytes = stats.rx_bytes,
        .receive_packets = stats.rx_packets,
        .receive_dropped = stats.rx_dropped,
        .transmit_bytes = stats.tx_bytes,
        .transmit_packets = stats.tx_packets,
        .transmit_dropped = stats.tx_dropped,
    };
}

static void link_info_attribute(struct rtnl_link_info *link, const struct nlattr *attribute)
{
    size_t size = mnl_attr_get_payload_len(attribute);
    const void *data = mnl_attr_get_payload(attribute);

    switch (mnl_attr_get_type(attribute)) {
    case IFLA_IFNAME:
        snprintf(link->name, sizeof(link->name), "%.*s", (int)size, (const char *)data);
        break;
    case IFLA_IFALIAS:
        snprintf(link->alias, sizeof(link->alias), "%.*s", (int)size, (const char *)data);
        break;
    case IFLA_STATS64:
        counters_take(&link->counters, data, size);
        break;
    case IFLA_MASTER:
        if (size >= sizeof(uint32_t))
            link->master = (int)mnl_attr_get_u32(attribute);
        break;
    case IFLA_ADDRESS:
        if (size == sizeof(link->mac))
            memcpy(link->mac, data, size);
        break;
    }
}

static int on_link(const struct nlmsghdr *message, void *data)
{
    const struct ifinfomsg *info = mnl_nlmsg_get_payload(message);
    struct query *query = data;
    struct rtnl_link_info link = {0};
    const struct nlattr *attribute;

    /* The bridge tells of its ports too (AF_BRIDGE), also when a port only leaves it. */
    if (mnl_nlmsg_get_payload_len(message) < sizeof(*info) || info->ifi_family != AF_UNSPEC)
        return MNL_CB_OK;
    link.ifindex = info->ifi_index;
    link.up = info->ifi_flags & IFF_UP;
    link.gone = message->nlmsg_type == RTM_DELLINK;
    mnl_attr_for_each(attribute, message, sizeof(*info))
        link_info_attribute(&link, attribute);
    query->on_link(query->context, &link);
    return MNL_CB_OK;
}

int rtnl_dump_links(struct rtnl *rtnl, rtnl_link_fn *call, void *context, struct error *error)
{
    char buffer[REQUEST_SIZE] = {0};
    struct query query = {.rtnl = rtnl, .on_link = call, .context = context};
    struct nlmsghdr *message = link_message(buffer, RTM_GETLINK, 0, 0, NULL);
    int r = query_dump(&query, message, on_link);

    return r < 0 ? error_system(error, r, "the kernel would not list links") : 0;
}

static int monitor_open(uint32_t groups, const char *what, int *ret_fd, struct error *error)
{
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = groups};
    OWN(fd) int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return error_system(error, -errno, "cannot watch %s", what);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &(int){MONITOR_BYTES}, sizeof(int));
    *ret_fd = take_fd(&fd);
    return 0;
}

int rtnl_monitor_open(int *ret_fd, struct error *error)
{
    return monitor_open(RTMGRP_LINK, "links", ret_fd, error);
}

int rtnl_monitor_routes6(int *ret_fd, struct error *error)
{
    /* The groups of old have bits; that of rules is only known by its number: rtnetlink.h. */
    return monitor_open(RTMGRP_IPV6_ROUTE | RTMGRP_IPV6_IFADDR | 1U << (RTNLGRP_IPV6_RULE - 1),
                        "routes", ret_fd, error);
}

int rtnl_monitor_read(int fd, rtnl_link_fn *call, void *context)
{
    struct query query = {.on_link = call, .context = context};
    char buffer[RTNL_BUFFER];
    int lost = 0;

    for (;;) {
        ssize_t got = recv(fd, buffer, sizeof(buffer), 0);

        if (got >= 0)
            mnl_cb_run(buffer, (size_t)got, 0, 0, on_link, &query);
        else if (errno == ENOBUFS)
            lost = -ENOBUFS; /* and more may be, unsaid, until the queue is empty: af_netlink.c */
        else
            return errno == EAGAIN ? lost : -errno;
    }
}
