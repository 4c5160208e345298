/* SPDX-License-Identifier: Apache-2.0 */
/* Frames for the adapter's tests: made from a flow, and looked at by plain code of their own. */
#pragma once

#include <linux/virtio_net.h>

#include "adapter/frame.h"
#include "adapter/segment.h"
#include "base/own.h"
#include "base/test.h"

/* One direction of a connection, and what is special about its headers. */
struct flow {
    bool v6, udp;
    unsigned tags;        /* VLAN, 0 to 2 */
    unsigned ip_options;  /* bytes: options (4s, at most 40) or a destination options header (8s) */
    unsigned tcp_options; /* bytes, 4s, at most 40 */
    uint8_t tos, ttl, flags, option; /* option: each byte of TCP options */
    bool dont_fragment;
    uint16_t id, port, window;
    uint32_t seq, ack;
};

#define FLOW                              \
    ((struct flow){.ttl = 64,             \
                   .flags = TH_ACK,       \
                   .option = 1,           \
                   .dont_fragment = true, \
                   .id = 7,               \
                   .port = 4000,          \
                   .window = 500,         \
                   .seq = 1000,           \
                   .ack = 1})

/* RFC 1071, word for word. */
static inline uint16_t plain_sum(uint32_t sum, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i + 1 < size; i += 2)
        sum += (uint32_t)(bytes[i] << 8 | bytes[i + 1]);
    if (size & 1)
        sum += (uint32_t)bytes[size - 1] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

static inline uint16_t plain_pseudo(const uint8_t *data, const struct frame *at)
{
    uint32_t sum = at->protocol + (at->end - at->l4);

    return at->v6 ? plain_sum(sum, data + at->l3 + 8, 32) : plain_sum(sum, data + at->l3 + 12, 8);
}

/* That a TCP or UDP frame's checksums are right. */
static inline bool frame_is_right(const uint8_t *data, const struct frame *at)
{
    uint16_t sum = plain_sum(plain_pseudo(data, at), data + at->l4, at->end - at->l4);

    return sum == 0xffff && (at->v6 || plain_sum(0, data + at->l3, at->l4 - at->l3) == 0xffff);
}

static inline uint8_t *flow_ethernet(const struct flow *f, uint8_t *at)
{
    memcpy(at, "\x02\0\0\0\0\x02\x02\0\0\0\0\x01", 12);
    at += 12;
    for (unsigned i = 0; i < f->tags; i++, at += 4) {
        frame_put16(at, i + 1 == f->tags ? 0x8100 : 0x88a8);
        frame_put16(at + 2, 100 + i);
    }
    frame_put16(at, f->v6 ? ETHERTYPE_IPV6 : ETHERTYPE_IP);
    return at + 2;
}

static inline uint8_t *flow_ip4(const struct flow *f, uint8_t *ip, size_t payload)
{
    size_t head = 20 + f->ip_options;

    memset(ip, 1, head); /* options: no operation */
    ip[0] = (uint8_t)(0x40 | head / 4);
    ip[1] = f->tos;
    frame_put16(ip + 2, (uint32_t)(head + payload));
    frame_put16(ip + 4, f->id);
    frame_put16(ip + 6, f->dont_fragment ? 0x4000 : 0);
    ip[8] = f->ttl;
    ip[9] = f->udp ? IPPROTO_UDP : IPPROTO_TCP;
    frame_put16(ip + 10, 0);
    memcpy(ip + 12, "\x0a\x09\0\1\x0a\x09\0\2", 8);
    frame_put16(ip + 10, (uint16_t)~plain_sum(0, ip, head));
    return ip + head;
}

static inline uint8_t *flow_ip6(const struct flow *f, uint8_t *ip, size_t payload)
{
    uint8_t protocol = f->udp ? IPPROTO_UDP : IPPROTO_TCP;

    frame_put32(ip, 0x60000000 | (uint32_t)f->tos << 20 | 0x12345);
    frame_put16(ip + 4, (uint32_t)(f->ip_options + payload));
    ip[6] = f->ip_options ? IPPROTO_DSTOPTS : protocol;
    ip[7] = f->ttl;
    memcpy(ip + 8, "\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\2", 32);
    if (f->ip_options) {
        memset(ip + 40, 0, f->ip_options); /* Pad1 */
        ip[40] = protocol;
        ip[41] = (uint8_t)(f->ip_options / 8 - 1);
    }
    return ip + 40 + f->ip_options;
}

static inline size_t flow_head_size(const struct flow *f)
{
    return ETH_HLEN + (size_t)f->tags * 4 + (f->v6 ? 40 : 20) + f->ip_options +
           (f->udp ? 8 : 20 + f->tcp_options);
}

static inline void flow_transport(const struct flow *f, uint8_t *l4, size_t payload)
{
    frame_put16(l4, f->port);
    frame_put16(l4 + 2, 80);
    if (f->udp) {
        frame_put16(l4 + 4, (uint32_t)(8 + payload));
        return;
    }
    frame_put32(l4 + 4, f->seq);
    frame_put32(l4 + 8, f->ack);
    l4[12] = (uint8_t)((20 + f->tcp_options) / 4 << 4);
    l4[13] = f->flags;
    frame_put16(l4 + 14, f->window);
    frame_put16(l4 + 18, 0);
    memset(l4 + 20, f->option, f->tcp_options);
}

/* Writes a frame with this payload; its checksum is complete, or partial if header is given (which
 * then says so). Returns its size. */
static inline size_t flow_frame(const struct flow *f, const void *payload, size_t size,
                                uint8_t *data, struct virtio_net_hdr *header)
{
    size_t head = flow_head_size(f), l4_size = (f->udp ? 8 : 20 + f->tcp_options) + size;
    uint8_t *ip = flow_ethernet(f, data);
    uint8_t *l4 = f->v6 ? flow_ip6(f, ip, l4_size) : flow_ip4(f, ip, l4_size);
    struct frame at;

    flow_transport(f, l4, size);
    memcpy(data + head, payload, size);
    frame_put16(l4 + (f->udp ? 6 : 16), 0);
    CHECK(frame_parse(data, head + size, &at));
    CHECK(at.l3 == (size_t)(ip - data) && at.l4 == (size_t)(l4 - data) && at.payload == head);
    CHECK(at.end == head + size && at.v6 == f->v6);
    frame_put16(l4 + (f->udp ? 6 : 16), plain_pseudo(data, &at));
    if (header) {
        *header = (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM};
        header->csum_start = (uint16_t)at.l4;
        header->csum_offset = f->udp ? 6 : 16;
    } else {
        uint16_t sum = (uint16_t)~plain_sum(0, l4, l4_size);

        frame_put16(l4 + (f->udp ? 6 : 16), sum ? sum : 0xffff);
    }
    return head + size;
}

/* The same as a super-frame. */
static inline size_t flow_large(const struct flow *f, const void *payload, size_t size,
                                unsigned step, uint8_t *data, struct virtio_net_hdr *header)
{
    size_t total = flow_frame(f, payload, size, data, header);

    header->gso_type = f->udp  ? SEGMENT_GSO_UDP_L4
                       : f->v6 ? VIRTIO_NET_HDR_GSO_TCPV6
                               : VIRTIO_NET_HDR_GSO_TCPV4;
    header->gso_size = (uint16_t)step;
    header->hdr_len = (uint16_t)flow_head_size(f);
    return total;
}

/* Copies a frame of a batch to data; returns its size. */
static inline size_t batch_copy(const struct batch *b, unsigned i, uint8_t *data)
{
    const struct iovec *iov = b->iov + (size_t)2 * i;
    size_t head = iov[0].iov_len - BATCH_PREFIX;

    CHECK(frame_get32(iov[0].iov_base) == head + iov[1].iov_len);
    memcpy(data, (uint8_t *)iov[0].iov_base + BATCH_PREFIX, head);
    if (iov[1].iov_len > 0)
        memcpy(data + head, iov[1].iov_base, iov[1].iov_len);
    return head + iov[1].iov_len;
}
