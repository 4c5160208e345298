/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UDP forwards: a flow for each client and address it sent to, with a socket inside of its own.
 * Answers leave from that very address: listeners on all addresses learn it with each datagram.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/own.h"
#include "uplink/forwards-private.h"

enum { KIND_NEW, KIND_ANSWERED }; /* as flows_limits.idle_ms */

struct udp_flow {
    struct flow flow; /* guest: the client; remote: the host's address that it sent to */
    struct list link; /* rule->udp */
    struct listener *listener;
    struct waiter waiter;
    struct source source;
    int guest;  /* connected; -1 while waiting */
    void *held; /* the first datagram, while waiting */
    size_t held_size;
};

static void flow_ended(void *context, struct flow *base)
{
    struct udp_flow *flow = container_of(base, struct udp_flow, flow);

    (void)context;
    list_remove(&flow->link);
    list_remove(&flow->waiter.link);
    source_remove(&flow->source);
    fd_close(&flow->guest);
    free(flow->held);
    free(flow);
}

int forward_udp_init(struct forwards *forwards)
{
    const struct flows_limits limits = {
        .total = FORWARD_UDP_MAX,
        .per_guest = FORWARD_UDP_CLIENT_MAX,
        .idle_ms = {[KIND_NEW] = 30000, [KIND_ANSWERED] = 180000},
        .name = "UDP flows of forwards",
        .network = forwards->network->network,
    };

    return flows_new(forwards->loop, &limits, flow_ended, forwards, &forwards->udp_flows);
}

int forward_udp_prepare(int fd, int family)
{
    static const int yes = 1, queue = FORWARD_QUEUE;
    int r = family == AF_INET ? setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &yes, sizeof(yes))
                              : setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &yes, sizeof(yes));

    /* New flows cost more than a datagram: a burst of them has to wait somewhere. */
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &queue, sizeof(queue));
    return r < 0 ? -errno : 0;
}

union control {
    struct cmsghdr align;
    char v4[CMSG_SPACE(sizeof(struct in_pktinfo))];
    char v6[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

/* The host's address that a datagram was sent to, from its control message. */
static void local_of(struct msghdr *message, union endpoint *local)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
            local->v4.sin_addr = ((struct in_pktinfo *)CMSG_DATA(c))->ipi_spec_dst;
        if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)
            local->v6.sin6_addr = ((struct in6_pktinfo *)CMSG_DATA(c))->ipi6_addr;
    }
}

/* Makes the control message that sends from local. */
static void send_from(struct msghdr *message, union control *control, const union endpoint *local)
{
    bool v4 = local->any.sa_family == AF_INET;
    struct in_pktinfo info4 = {.ipi_spec_dst = local->v4.sin_addr};
    struct in6_pktinfo info6 = {.ipi6_addr = local->v6.sin6_addr};
    struct cmsghdr *c = &control->align;

    memset(control, 0, sizeof(*control));
    c->cmsg_level = v4 ? IPPROTO_IP : IPPROTO_IPV6;
    c->cmsg_type = v4 ? IP_PKTINFO : IPV6_PKTINFO;
    c->cmsg_len = CMSG_LEN(v4 ? sizeof(info4) : sizeof(info6));
    memcpy(CMSG_DATA(c), v4 ? (void *)&info4 : (void *)&info6, v4 ? sizeof(info4) : sizeof(info6));
    message->msg_control = control;
    message->msg_controllen = v4 ? sizeof(control->v4) : sizeof(control->v6);
}

/* Back to the client; what it can't take now is lost, as on any link. */
static void flow_answer(struct udp_flow *flow, char *data, size_t size)
{
    struct iovec bytes = {data, size};
    union control control;
    struct msghdr message = {
        .msg_name = &flow->flow.guest,
        .msg_namelen = endpoint_size(&flow->flow.guest),
        .msg_iov = &bytes,
        .msg_iovlen = 1,
    };

    send_from(&message, &control, &flow->flow.remote);
    if (sendmsg(flow->listener->fd, &message, 0) < 0)
        return;
}

static void flow_ready(struct source *source, uint32_t events)
{
    struct udp_flow *flow = container_of(source, struct udp_flow, source);
    struct forwards *forwards = flow->listener->rule->forwards;

    (void)events;
    for (int i = 0; i < FORWARD_BATCH; i++) {
        ssize_t size = recv(flow->guest, forwards->buffer, sizeof(forwards->buffer), 0);

        if (size < 0 && errno == EAGAIN)
            return;
        if (size < 0)
            continue; /* the guest refused one datagram; that was the error's only use */
        flows_touch(forwards->udp_flows, &flow->flow, KIND_ANSWERED);
        flow_answer(flow, forwards->buffer, (size_t)size);
    }
}

static void flow_send(const struct udp_flow *flow, const void *data, size_t size)
{
    /* An error that is reported here belongs to an earlier datagram, and this one was not sent. */
    if (send(flow->guest, data, size, 0) < 0 && errno != EAGAIN &&
        send(flow->guest, data, size, 0) < 0)
        return;
}

static int flow_connect(struct udp_flow *flow)
{
    struct forwards *forwards = flow->listener->rule->forwards;
    union endpoint to = rule_destination(flow->listener, 0);
    OWN(fd)
    int fd = forwards->inside.socket(forwards->inside.context, to.any.sa_family, SOCK_DGRAM);
    int r;

    if (fd < 0)
        return fd;
    if (connect(fd, &to.any, endpoint_size(&to)) < 0)
        return -errno;
    r = source_add(forwards->loop, &flow->source, fd, EPOLLIN, flow_ready);
    if (r == 0)
        flow->guest = take_fd(&fd);
    return r;
}

static void flow_go(struct waiter *waiter, int found)
{
    struct udp_flow *flow = container_of(waiter, struct udp_flow, waiter);
    struct rule *rule = flow->listener->rule;
    int r = found < 0 ? found : flow_connect(flow);

    if (r == -EAGAIN) {
        rule_wait(rule, waiter);
        return;
    }
    if (r < 0) {
        flows_end(rule->forwards->udp_flows, &flow->flow);
        return;
    }
    if (flow->held)
        flow_send(flow, flow->held, flow->held_size);
    free(take_ptr(flow->held));
}

static struct udp_flow *flow_new(struct listener *listener, const union endpoint *client,
                                 const union endpoint *local)
{
    struct udp_flow *flow = alloc_new(struct udp_flow);

    flow->flow.guest = *client;
    flow->flow.remote = *local;
    flow->listener = listener;
    flow->guest = -1;
    flow->waiter.go = flow_go;
    list_init(&flow->waiter.link);
    list_init(&flow->link);
    list_append(&listener->rule->udp, &flow->link);
    flows_add(listener->rule->forwards->udp_flows, &flow->flow, KIND_NEW);
    rule_wait(listener->rule, &flow->waiter);
    return flow;
}

static void datagram_take(struct listener *listener, const union endpoint *client,
                          const union endpoint *local, size_t size)
{
    struct forwards *forwards = listener->rule->forwards;
    struct flow *base = flows_find(forwards->udp_flows, client, local);
    struct udp_flow *flow =
        base ? container_of(base, struct udp_flow, flow) : flow_new(listener, client, local);

    if (flow->guest >= 0) {
        flows_touch(forwards->udp_flows, &flow->flow, flow->flow.kind);
        flow_send(flow, forwards->buffer, size);
    } else if (!flow->held && size <= FORWARD_HELD_MAX) {
        flow->held = alloc_zero(1, size + 1);
        memcpy(flow->held, forwards->buffer, size);
        flow->held_size = size;
    }
}

/* One datagram. false: there is none. */
static bool datagram_read(struct listener *listener)
{
    struct forwards *forwards = listener->rule->forwards;
    struct iovec bytes = {forwards->buffer, sizeof(forwards->buffer)};
    union endpoint client, local = listener->rule->what.listen;
    union control control;
    struct msghdr message = {
        .msg_name = &client,
        .msg_namelen = sizeof(client),
        .msg_iov = &bytes,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof(control),
    };
    ssize_t size = recvmsg(listener->fd, &message, 0);

    if (size < 0)
        return errno != EAGAIN;
    local_of(&message, &local);
    endpoint_set_port(&local, listener_port(listener));
    datagram_take(listener, &client, &local, (size_t)size);
    return true;
}

void forward_udp_ready(struct source *source, uint32_t events)
{
    struct listener *listener = container_of(source, struct listener, source);

    (void)events;
    for (int i = 0; i < FORWARD_BATCH && datagram_read(listener); i++)
        continue;
    rule_advance(listener->rule);
}

void forward_udp_drop_rule(struct rule *rule)
{
    struct udp_flow *flow;

    while ((flow = list_first(&rule->udp, struct udp_flow, link)))
        flows_end(rule->forwards->udp_flows, &flow->flow);
}
