/* SPDX-License-Identifier: Apache-2.0 */
/* See icmp.h. */
#include "uplink/icmp.h"

#include <errno.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/log.h"
#include "uplink/flows.h"
#include "uplink/hostsock.h"
#include "uplink/sockerr.h"
#include "uplink/tun.h"

enum {
    TOTAL_MAX = 8192,
    PER_GUEST_MAX = 1024,
    IDLE_MS = 30000,
    ECHO_HEADER = 8,
    RECEIVE_BATCH = 16, /* replies read in one event, so that others get their turn */
    DATA_MAX = 65536,
};

/* One ping at a time has the guest's identifier as the port of flow.guest. */
struct icmp_flow {
    struct flow flow;
    struct icmp *icmp;
    struct hostsock socket;
};

struct icmp {
    struct tun *tun;
    const char *network;
    struct flows *flows;
    bool refused; /* was logged */
    uint8_t buffer[PACKET_IP_MAX + DATA_MAX];
};

/* By family: the protocol and its two messages. */
static const struct echo {
    uint8_t protocol, request, reply;
} echo4 = {IPPROTO_ICMP, ICMP_ECHO, ICMP_ECHOREPLY},
  echo6 = {IPPROTO_ICMPV6, ICMPV6_ECHO_REQUEST, ICMPV6_ECHO_REPLY};

static const struct echo *echo_of(int family)
{
    return family == AF_INET ? &echo4 : &echo6;
}

/* Where an endpoint keeps its port. */
static in_port_t *identifier(union endpoint *e)
{
    return e->any.sa_family == AF_INET ? &e->v4.sin_port : &e->v6.sin6_port;
}

/* Puts the IP header in front of the message of size bytes that stands at PACKET_IP_MAX of buffer,
 * gives the message the guest's identifier and its checksum. Returns the packet's first byte. */
static uint8_t *message_finish(struct icmp_flow *f, uint8_t *buffer, size_t size,
                               const struct packet_head *head, size_t *ret_size)
{
    uint8_t *message = buffer + PACKET_IP_MAX;
    size_t ip = head->src->any.sa_family == AF_INET ? 20 : 40;
    uint16_t checksum = 0;
    uint32_t sum = 0;

    memcpy(message + 4, identifier(&f->flow.guest), 2);
    memcpy(message + 2, &checksum, 2);
    if (head->protocol == IPPROTO_ICMPV6)
        sum = checksum_pseudo(head->src, head->dst, head->protocol, size);
    checksum = checksum_fold(checksum_add(sum, message, size));
    memcpy(message + 2, &checksum, 2);
    packet_ip(message - ip, head, size);
    *ret_size = ip + size;
    return message - ip;
}

static void flow_errors(struct hostsock *socket)
{
    struct icmp_flow *f = container_of(socket, struct icmp_flow, socket);
    uint8_t buffer[PACKET_IP_MAX + SOCKERR_QUOTE_MAX], *packet;
    struct packet_head head = {.src = &f->flow.guest,
                               .dst = &f->flow.remote,
                               .protocol = echo_of(f->flow.guest.any.sa_family)->protocol,
                               .hop_limit = 1};
    struct sockerr e;
    size_t size;

    while (sockerr_read(f->socket.fd, &e) == 0) {
        if (!e.icmp || e.size < ECHO_HEADER)
            continue;
        memcpy(buffer + PACKET_IP_MAX, e.data, e.size);
        packet = message_finish(f, buffer, e.size, &head, &size);
        sockerr_tell(f->icmp->tun, &e, &f->socket.host, &f->flow.remote, packet, size);
    }
}

static bool flow_reply(struct icmp_flow *f)
{
    struct icmp *icmp = f->icmp;
    const struct echo *echo = echo_of(f->flow.guest.any.sa_family);
    struct packet_head head = {
        .src = &f->flow.remote, .dst = &f->flow.guest, .protocol = echo->protocol};
    uint8_t *message = icmp->buffer + PACKET_IP_MAX, *packet;
    ssize_t got = recv(f->socket.fd, message, DATA_MAX, MSG_DONTWAIT);
    size_t size;

    if (got < 0)
        return false;
    if (got < ECHO_HEADER || message[0] != echo->reply || got > 65535 - 20)
        return true;
    head.id = tun_take_ids(icmp->tun, 1);
    packet = message_finish(f, icmp->buffer, (size_t)got, &head, &size);
    tun_write(icmp->tun, packet, size);
    return true;
}

static void flow_replies(struct hostsock *socket)
{
    struct icmp_flow *f = container_of(socket, struct icmp_flow, socket);

    for (int i = 0; i < RECEIVE_BATCH && flow_reply(f); i++)
        continue;
}

static const struct hostsock_events flow_events = {flow_errors, flow_replies};

static void flow_free(struct icmp_flow *f)
{
    hostsock_close(&f->socket);
    free(f);
}

static void flow_ended(void *context, struct flow *flow)
{
    (void)context;
    flow_free(container_of(flow, struct icmp_flow, flow));
}

static void refused_log(struct icmp *icmp, int error)
{
    if (icmp->refused || (error != EACCES && error != EPERM))
        return;
    icmp->refused = true;
    log_warn(icmp->network, "this machine allows no ping sockets (net.ipv4.ping_group_range): "
                            "pings from the network are answered with \"prohibited\"");
}

/* The flow of a request, made if it is the first; NULL when it may not or can't be: the guest was
 * told. */
static struct icmp_flow *flow_get(struct icmp *icmp, const union endpoint *guest,
                                  const uint8_t *data, const struct packet *packet)
{
    struct flow *known = flows_find(icmp->flows, guest, &packet->dst);
    struct icmp_flow *f;
    int r;

    if (known)
        return container_of(known, struct icmp_flow, flow);
    f = alloc_new(struct icmp_flow);
    f->icmp = icmp;
    f->socket = HOSTSOCK_NULL;
    f->flow.guest = *guest;
    f->flow.remote = packet->dst;
    r = hostsock_open(tun_uplink(icmp->tun), icmp->flows, &packet->dst, packet->protocol,
                      &flow_events, &f->socket);
    if (r < 0) {
        flow_free(f);
        refused_log(icmp, -r);
        tun_error(icmp->tun, packet_error_of(-r), 0, data, packet);
        return NULL;
    }
    flows_add(icmp->flows, &f->flow, 0);
    return f;
}

void icmp_input(struct icmp *icmp, const uint8_t *data, const struct packet *packet)
{
    const uint8_t *message = data + packet->l4;
    union endpoint guest = packet->src;
    struct iovec piece = {(void *)message, packet->size - packet->l4};
    struct icmp_flow *f;
    int r;

    if (message[0] != echo_of(guest.any.sa_family)->request || message[1] != 0)
        return;
    memcpy(identifier(&guest), message + 4, 2);
    f = flow_get(icmp, &guest, data, packet);
    if (!f)
        return;
    flows_touch(icmp->flows, &f->flow, 0);
    hostsock_carry(&f->socket, packet);
    r = hostsock_send(&f->socket, &(struct msghdr){.msg_iov = &piece, .msg_iovlen = 1});
    if (r < 0)
        hostsock_tell(&f->socket, icmp->tun, -r, data, packet);
}

int icmp_new(struct tun *tun, struct icmp **ret)
{
    struct uplink *uplink = tun_uplink(tun);
    struct icmp *icmp = alloc_new(struct icmp);
    struct flows_limits limits = {
        .total = TOTAL_MAX,
        .per_guest = PER_GUEST_MAX,
        .idle_ms = {IDLE_MS, IDLE_MS, IDLE_MS},
        .name = "ping",
        .network = uplink_config(uplink)->network,
    };
    int r;

    icmp->tun = tun;
    icmp->network = limits.network;
    r = flows_new(uplink_loop(uplink), &limits, flow_ended, icmp, &icmp->flows);
    if (r < 0)
        icmp_free(icmp);
    else
        *ret = icmp;
    return r;
}

void icmp_free(struct icmp *icmp)
{
    if (!icmp)
        return;
    flows_free(icmp->flows);
    free(icmp);
}

unsigned icmp_flows(const struct icmp *icmp)
{
    return flows_count(icmp->flows);
}
