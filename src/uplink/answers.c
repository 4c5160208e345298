/* SPDX-License-Identifier: Apache-2.0 */
/* See answers.h. */
#include "uplink/answers.h"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "uplink/pace.h"
#include "uplink/tun.h"

enum {
    JOIN_BYTES = 65000, /* of one super-packet: 65507 is the end */
    HEADROOM = 64,      /* in front of what is received: IP and UDP headers */
    DATA_MAX = 65536,
};

/* Room for recvmmsg(). */
struct incoming {
    struct mmsghdr messages[PACE_BATCH];
    struct iovec iov[PACE_BATCH];
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int)) * 2];
    } control[PACE_BATCH];
    uint8_t data[PACE_BATCH][HEADROOM + DATA_MAX];
};

/* One message: a datagram, or several of `unit` bytes, of which the last may be shorter. There are
 * HEADROOM bytes in front of it. */
struct message {
    uint8_t *payload;
    size_t size, unit;
    uint8_t traffic_class;
};

/* Messages that go on together: all their datagrams are `unit` bytes long but the last. */
struct burst {
    size_t unit, bytes;
    uint8_t traffic_class;
    bool full;
    int count;
    struct iovec pieces[2 + PACE_BATCH]; /* vnet header, IP and UDP headers, count messages */
};

struct answers {
    struct tun *tun;
    const union endpoint *from, *to; /* during answers_carry() */
    struct burst burst;
    struct incoming in;
};

static struct message message_of(struct incoming *in, int index)
{
    struct msghdr *header = &in->messages[index].msg_hdr;
    struct message m = {.payload = in->data[index] + HEADROOM, .size = in->messages[index].msg_len};
    int segment = 0, class = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO)
            memcpy(&segment, CMSG_DATA(c), sizeof(segment));
        else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS)
            class = *CMSG_DATA(c);
        else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS)
            memcpy(&class, CMSG_DATA(c), sizeof(class));
    }
    m.unit = segment > 0 && (size_t)segment < m.size ? (size_t)segment : m.size;
    m.traffic_class = (uint8_t) class;
    return m;
}

static struct packet_head head_of(const struct answers *a, size_t datagrams)
{
    return (struct packet_head){
        .src = a->from,
        .dst = a->to,
        .protocol = IPPROTO_UDP,
        .traffic_class = a->burst.traffic_class,
        .id = tun_take_ids(a->tun, (unsigned)datagrams),
    };
}

/* One datagram. */
static void single_write(struct answers *a, uint8_t *payload, size_t size)
{
    int family = a->from->any.sa_family;
    uint8_t *packet = payload - (family == AF_INET ? 28 : 48);
    struct packet_head head = head_of(a, 1);
    struct virtio_net_hdr hdr;
    bool offload = tun_offload(a->tun, family, size, 0, &hdr);
    struct iovec pieces[2] = {[1] = {packet, packet_udp(packet, &head, size, offload) + size}};

    if (offload)
        tun_write_offload(a->tun, &hdr, pieces, 2);
    else
        tun_write(a->tun, packet, pieces[1].iov_len);
}

/* Each headers overwrite the end of the datagram before, which is gone already. */
static void singles_write(struct answers *a, struct iovec *piece)
{
    uint8_t *payload = piece->iov_base;
    size_t left = piece->iov_len, unit = a->burst.unit;

    do {
        size_t size = left < unit ? left : unit;

        single_write(a, payload, size);
        payload += size;
        left -= size;
    } while (left > 0);
}

static void burst_write(struct answers *a)
{
    struct burst *b = &a->burst;
    uint8_t headers[PACKET_UDP_MAX];
    struct virtio_net_hdr hdr;

    if (b->count > 0 && b->bytes > b->unit &&
        tun_offload(a->tun, a->from->any.sa_family, b->bytes, (unsigned)b->unit, &hdr)) {
        struct packet_head head = head_of(a, b->bytes / b->unit + 1);

        b->pieces[1] = (struct iovec){headers, packet_udp(headers, &head, b->bytes, true)};
        tun_write_offload(a->tun, &hdr, b->pieces, 2 + b->count);
    } else {
        for (int i = 0; i < b->count; i++)
            singles_write(a, &b->pieces[2 + i]);
    }
    b->count = 0;
}

static bool burst_joins(const struct burst *b, const struct message *m)
{
    return b->count > 0 && !b->full && m->size > 0 && b->bytes + m->size <= JOIN_BYTES &&
           m->traffic_class == b->traffic_class &&
           (m->unit == b->unit || (m->size == m->unit && m->size < b->unit));
}

static void burst_add(struct answers *a, const struct message *m)
{
    struct burst *b = &a->burst;

    if (!burst_joins(b, m)) {
        burst_write(a);
        b->unit = m->unit;
        b->bytes = 0;
        b->traffic_class = m->traffic_class;
    }
    b->pieces[2 + b->count++] = (struct iovec){m->payload, m->size};
    b->bytes += m->size;
    b->full = m->size == 0 || m->size % b->unit != 0;
}

unsigned answers_carry(struct answers *a, int fd, const union endpoint *from,
                       const union endpoint *to)
{
    struct incoming *in = &a->in;
    int got = recvmmsg(fd, in->messages, PACE_BATCH, MSG_DONTWAIT, NULL);

    a->from = from;
    a->to = to;
    for (int i = 0; i < got; i++) {
        struct message m = message_of(in, i);

        in->messages[i].msg_hdr.msg_controllen = sizeof(in->control[i]);
        burst_add(a, &m);
    }
    burst_write(a);
    return got > 0 ? (unsigned)got : 0;
}

struct answers *answers_new(struct tun *tun)
{
    struct answers *a = alloc_new(struct answers);
    struct incoming *in = &a->in;

    a->tun = tun;
    for (unsigned i = 0; i < PACE_BATCH; i++) {
        in->iov[i] = (struct iovec){in->data[i] + HEADROOM, DATA_MAX};
        in->messages[i].msg_hdr = (struct msghdr){
            .msg_iov = &in->iov[i],
            .msg_iovlen = 1,
            .msg_control = &in->control[i],
            .msg_controllen = sizeof(in->control[i]),
        };
    }
    return a;
}

void answers_free(struct answers *a)
{
    free(a);
}
