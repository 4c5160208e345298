/* SPDX-License-Identifier: Apache-2.0 */
/* See udp.h. */
#include "uplink/udp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/log.h"
#include "uplink/answers.h"
#include "uplink/flows.h"
#include "uplink/hostsock.h"
#include "uplink/pace.h"
#include "uplink/sockerr.h"
#include "uplink/tun.h"

enum {
    TOTAL_MAX = 8192,
    PER_GUEST_MAX = 1024,
    FRESH_MS = 30000,
    ANSWERED_MS = 180000,
    QUERY_MS = 20000, /* DNS: a resolver gives up long before */
    DNS_PORT = 53,

    JOIN_MAX = 64,      /* datagrams in one super-datagram: UDP_MAX_SEGMENTS of older kernels */
    JOIN_BYTES = 60000, /* of them together: 65507 is the end */
    RECEIVE_BUFFER = 1 << 22, /* of the socket; net.core.rmem_max may cap it */
    RESEND_MAX = 512,         /* what an ICMP error of 576 bytes quotes whole */
};

enum { KIND_FRESH, KIND_ANSWERED, KIND_QUERY };

struct udp_flow {
    struct flow flow;
    struct udp *udp;
    struct hostsock socket;
    struct paced paced;
    bool single; /* super-datagrams were refused: the path is narrower than the network */
};

/* Datagrams of one flow on their way to the host: all `unit` bytes long but the last. */
struct outgoing {
    struct udp_flow *flow; /* NULL: none */
    const uint8_t *data;   /* the packet of the first, for what is told to the guest */
    struct packet packet;
    size_t unit, bytes;
    bool full;
    int count;
    struct iovec pieces[JOIN_MAX];
};

struct udp {
    struct tun *tun;
    const char *network;
    struct flows *flows;
    struct outgoing out;
    struct answers *answers;
};

static void flow_log(const struct udp_flow *f, const char *what)
{
    char guest[ENDPOINT_TEXT_SIZE], remote[ENDPOINT_TEXT_SIZE];

    if (log_current_level() <= LOG_DEBUG)
        log_debug(f->udp->network, "udp %s -> %s: %s", endpoint_text(&f->flow.guest, guest),
                  endpoint_text(&f->flow.remote, remote), what);
}

static unsigned flow_fetch(struct paced *paced)
{
    struct udp_flow *f = container_of(paced, struct udp_flow, paced);
    unsigned count = answers_carry(f->udp->answers, f->socket.fd, &f->flow.remote, &f->flow.guest);

    if (count == 0)
        return 0;
    f->socket.second.any.sa_family = AF_UNSPEC;
    flows_touch(f->udp->flows, &f->flow,
                f->flow.kind == KIND_FRESH ? (unsigned)KIND_ANSWERED : f->flow.kind);
    return count;
}

/* The guest's datagram that an error is about, as far as it came back. */
static void error_tell(struct udp_flow *f, const struct sockerr *e)
{
    uint8_t packet[PACKET_UDP_MAX + SOCKERR_QUOTE_MAX];
    struct packet_head head = {
        .src = &f->flow.guest, .dst = &f->flow.remote, .protocol = IPPROTO_UDP, .hop_limit = 1};
    size_t headers = f->flow.guest.any.sa_family == AF_INET ? 28 : 48;

    memcpy(packet + headers, e->data, e->size);
    packet_udp(packet, &head, e->size, false);
    sockerr_tell(f->udp->tun, e, &f->socket.host, &f->flow.remote, packet, headers + e->size);
    flow_log(f, strerror(e->error));
}

/* Empties the error queue. What this kernel says itself is seen by who sends. */
static void flow_errors(struct hostsock *socket)
{
    struct udp_flow *f = container_of(socket, struct udp_flow, socket);
    struct sockerr e;

    while (sockerr_read(f->socket.fd, &e) == 0) {
        if (!e.icmp)
            continue;
        if (e.error == ECONNREFUSED && hostsock_second(&f->socket)) {
            if (e.size <= RESEND_MAX)
                send(f->socket.fd, e.data, e.size, MSG_DONTWAIT | MSG_NOSIGNAL);
            continue;
        }
        error_tell(f, &e);
    }
}

static void flow_answers(struct hostsock *socket)
{
    paced_ready(&container_of(socket, struct udp_flow, socket)->paced);
}

static const struct hostsock_events flow_events = {flow_errors, flow_answers};

/* Answers come with their size when joined and with their traffic class; best effort. */
static void flow_options(struct udp_flow *f)
{
    const int on = 1, buffer = RECEIVE_BUFFER;
    int fd = f->socket.fd;

    if (f->flow.guest.any.sa_family == AF_INET)
        setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &on, sizeof(on));
    else
        setsockopt(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, &on, sizeof(on));
    setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
}

static void flow_free(struct udp_flow *f)
{
    paced_done(&f->paced);
    hostsock_close(&f->socket);
    free(f);
}

static void flow_ended(void *context, struct flow *flow)
{
    struct udp *udp = context;
    struct udp_flow *f = container_of(flow, struct udp_flow, flow);

    if (udp->out.flow == f)
        udp_flush(udp);
    flow_log(f, "ended");
    flow_free(f);
}

/* The flow of a packet, made if it is the first; NULL when it may not or can't be: the guest was
 * told. */
static struct udp_flow *flow_get(struct udp *udp, const uint8_t *data, const struct packet *packet)
{
    struct flow *known = flows_find(udp->flows, &packet->src, &packet->dst);
    struct udp_flow *f;
    in_port_t port;
    int r;

    if (known)
        return container_of(known, struct udp_flow, flow);
    f = alloc_new(struct udp_flow);
    f->udp = udp;
    f->socket = HOSTSOCK_NULL;
    paced_init(&f->paced, tun_pace(udp->tun), &f->socket.source, flow_fetch);
    f->flow.guest = packet->src;
    f->flow.remote = packet->dst;
    r = hostsock_open(tun_uplink(udp->tun), udp->flows, &packet->dst, IPPROTO_UDP, &flow_events,
                      &f->socket);
    if (r < 0) {
        flow_log(f, strerror(-r));
        flow_free(f);
        tun_error(udp->tun, packet_error_of(-r), 0, data, packet);
        return NULL;
    }
    flow_options(f);
    port = f->flow.remote.any.sa_family == AF_INET ? packet->dst.v4.sin_port
                                                   : packet->dst.v6.sin6_port;
    flows_add(udp->flows, &f->flow, port == htons(DNS_PORT) ? KIND_QUERY : KIND_FRESH);
    flow_log(f, "new");
    return f;
}

/* Sends pieces as datagrams of `unit` bytes; negative errno. */
static int pieces_send(struct udp_flow *f, struct iovec *pieces, int count, size_t unit,
                       bool several)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(uint16_t))];
    } control = {0};
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = (size_t)count};

    if (several) {
        uint16_t segment = (uint16_t)unit;

        message.msg_control = &control;
        message.msg_controllen = sizeof(control);
        control.align = (struct cmsghdr){CMSG_LEN(sizeof(segment)), SOL_UDP, UDP_SEGMENT};
        memcpy(CMSG_DATA(&control.align), &segment, sizeof(segment));
    }
    return hostsock_send(&f->socket, &message);
}

static int pieces_send_single(struct outgoing *out)
{
    int r = 0;

    for (int i = 0; i < out->count; i++) {
        uint8_t *at = out->pieces[i].iov_base;
        size_t left = out->pieces[i].iov_len;

        do {
            struct iovec piece = {at, left < out->unit ? left : out->unit};
            int one = pieces_send(out->flow, &piece, 1, 0, false);

            r = one < 0 ? one : r;
            at += piece.iov_len;
            left -= piece.iov_len;
        } while (left > 0);
    }
    return r;
}

void udp_flush(struct udp *udp)
{
    struct outgoing *out = &udp->out;
    struct udp_flow *f = out->flow;
    int r;

    if (!f)
        return;
    hostsock_carry(&f->socket, &out->packet);
    if (out->bytes <= out->unit) {
        r = pieces_send(f, out->pieces, out->count, 0, false);
    } else {
        r = f->single ? -EINVAL : pieces_send(f, out->pieces, out->count, out->unit, true);
        if (r < 0) {
            f->single = true;
            r = pieces_send_single(out);
        }
    }
    out->flow = NULL;
    if (r < 0) {
        flow_log(f, strerror(-r));
        hostsock_tell(&f->socket, udp->tun, -r, out->data, &out->packet);
    }
}

static bool outgoing_joins(const struct outgoing *out, const struct udp_flow *f,
                           const struct packet *packet, size_t size)
{
    return out->flow == f && !out->full && !f->single && size > 0 && size <= out->unit &&
           out->bytes + size <= JOIN_BYTES && packet->hop_limit == out->packet.hop_limit &&
           packet->traffic_class == out->packet.traffic_class &&
           packet->dont_fragment == out->packet.dont_fragment;
}

void udp_input(struct udp *udp, const uint8_t *data, const struct packet *packet, unsigned segment)
{
    struct outgoing *out = &udp->out;
    const uint8_t *l4 = data + packet->l4;
    size_t size = (size_t)(l4[4] << 8 | l4[5]) - 8;
    struct udp_flow *f = flow_get(udp, data, packet);

    if (!f)
        return;
    flows_touch(udp->flows, &f->flow, f->flow.kind);
    if (segment > 0 || !outgoing_joins(out, f, packet, size)) {
        udp_flush(udp);
        *out = (struct outgoing){
            .flow = f, .data = data, .packet = *packet, .unit = segment ? segment : size};
    }
    out->pieces[out->count++] = (struct iovec){(void *)(l4 + 8), size};
    out->bytes += size;
    out->full = segment > 0 || size < out->unit || size == 0 || out->count == JOIN_MAX;
}

int udp_new(struct tun *tun, struct udp **ret)
{
    struct uplink *uplink = tun_uplink(tun);
    struct udp *udp = alloc_new(struct udp);
    struct flows_limits limits = {
        .total = TOTAL_MAX,
        .per_guest = PER_GUEST_MAX,
        .idle_ms =
            {[KIND_FRESH] = FRESH_MS, [KIND_ANSWERED] = ANSWERED_MS, [KIND_QUERY] = QUERY_MS},
        .name = "udp",
        .network = uplink_config(uplink)->network,
    };
    int r;

    udp->tun = tun;
    udp->network = limits.network;
    udp->answers = answers_new(tun);
    r = flows_new(uplink_loop(uplink), &limits, flow_ended, udp, &udp->flows);
    if (r < 0)
        udp_free(udp);
    else
        *ret = udp;
    return r;
}

void udp_free(struct udp *udp)
{
    if (!udp)
        return;
    flows_free(udp->flows);
    answers_free(udp->answers);
    free(udp);
}

unsigned udp_flows(const struct udp *udp)
{
    return flows_count(udp->flows);
}
