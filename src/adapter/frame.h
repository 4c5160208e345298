/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ethernet frames as bytes: where the headers of a TCP or UDP packet are. Pure functions; they
 * never read beyond the size they are given.
 */
#pragma once

#include <arpa/inet.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/checksum.h"

enum {
    FRAME_TAGS_MAX = 8, /* two VLAN tags: IEEE 802.1ad */
    FRAME_HEAD_MAX = ETH_HLEN + FRAME_TAGS_MAX,
    FRAME_MAX = FRAME_HEAD_MAX + IP_MAXPACKET,
};

/* A frame that was read. Offsets count from its first byte. */
struct frame {
    uint32_t l3, l4, payload;
    uint32_t end;     /* of the IP packet; what is behind it is padding */
    uint8_t protocol; /* IPPROTO_TCP or IPPROTO_UDP */
    bool v6;
};

/* False: not an IPv4 or IPv6 packet with a whole TCP or UDP header (behind up to two VLAN tags, IP
 * options, extension headers), or a fragment. Checksums are not looked at. */
bool frame_parse(const uint8_t *data, size_t size, struct frame *ret);

/* The sum of the pseudo header of TCP or UDP (RFC 9293 3.1, RFC 8200 8.1), as IPv6 without a
 * routing header has it, to be continued with checksum_add(). */
uint32_t frame_pseudo(const uint8_t *data, const struct frame *frame);

/* Where the TCP or UDP checksum is. */
static inline size_t frame_checksum_at(const struct frame *frame)
{
    return frame->l4 + (frame->protocol == IPPROTO_TCP ? offsetof(struct tcphdr, th_sum)
                                                       : offsetof(struct udphdr, uh_sum));
}

/* Headers lie at any address, so fields are copied. */
static inline uint16_t frame_get16(const uint8_t *at)
{
    uint16_t value;

    memcpy(&value, at, sizeof(value));
    return ntohs(value);
}

static inline uint32_t frame_get32(const uint8_t *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof(value));
    return ntohl(value);
}

static inline void frame_put16(uint8_t *at, uint32_t value)
{
    uint16_t field = htons((uint16_t)value);

    memcpy(at, &field, sizeof(field));
}

static inline void frame_put32(uint8_t *at, uint32_t value)
{
    value = htonl(value);
    memcpy(at, &value, sizeof(value));
}

/* A checksum as checksum_fold() makes it. */
static inline void frame_put_checksum(uint8_t *at, uint16_t checksum)
{
    memcpy(at, &checksum, sizeof(checksum));
}

/* Where fields are, counted from their header. */
enum {
    IP4_LENGTH = offsetof(struct iphdr, tot_len),
    IP4_ID = offsetof(struct iphdr, id),
    IP4_FRAGMENT = offsetof(struct iphdr, frag_off),
    IP4_CHECKSUM = offsetof(struct iphdr, check),
    IP6_LENGTH = offsetof(struct ip6_hdr, ip6_plen),
    TCP_SEQ = offsetof(struct tcphdr, th_seq),
    TCP_ACK = offsetof(struct tcphdr, th_ack),
    TCP_FLAGS = offsetof(struct tcphdr, th_flags),
    TCP_WINDOW = offsetof(struct tcphdr, th_win),
    TCP_URGENT = offsetof(struct tcphdr, th_urp),
    UDP_LENGTH = offsetof(struct udphdr, uh_ulen),
    TCP_CWR = 0x80, /* RFC 3168 6.1.2 */
};
