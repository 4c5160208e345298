/* SPDX-License-Identifier: Apache-2.0 */
/* Reading packets, and what reading and writing share; writing is in packet-build.c. */
#include "uplink/packet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static uint16_t packet_u16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

/* The transport header that p->protocol and p->l4 name: whole, and its ports. */
static int packet_parse_transport(const uint8_t *data, struct packet *p)
{
    const uint8_t *l4 = data + p->l4;
    size_t size = p->size - p->l4;
    uint16_t from, to;

    switch (p->protocol) {
    case IPPROTO_TCP:
        if (size < 20 || l4[12] >> 4 < 5 || (size_t)(l4[12] >> 4) * 4 > size)
            return -EBADMSG;
        break;
    case IPPROTO_UDP:
        if (size < 8 || packet_u16(l4 + 4) < 8)
            return -EBADMSG;
        if (!p->fragment && !p->cut && packet_u16(l4 + 4) > size)
            return -EBADMSG;
        break;
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
        return size < 8 ? -EBADMSG : 0;
    default:
        return 0;
    }
    from = htons(packet_u16(l4));
    to = htons(packet_u16(l4 + 2));
    if (p->src.any.sa_family == AF_INET) {
        p->src.v4.sin_port = from;
        p->dst.v4.sin_port = to;
    } else {
        p->src.v6.sin6_port = from;
        p->dst.v6.sin6_port = to;
    }
    return 0;
}

/* The size the header claims against what there is. */
static int packet_set_size(struct packet *p, size_t claimed, size_t given)
{
    p->cut = claimed > given;
    p->size = p->cut ? given : claimed;
    return p->size < p->l4 ? -EBADMSG : 0;
}

static int packet_parse4(const uint8_t *data, size_t size, struct packet *p)
{
    unsigned fragment;

    if (size < 20 || (data[0] & 15) < 5)
        return -EBADMSG;
    p->src.v4.sin_family = p->dst.v4.sin_family = AF_INET;
    memcpy(&p->src.v4.sin_addr, data + 12, 4);
    memcpy(&p->dst.v4.sin_addr, data + 16, 4);
    p->traffic_class = data[1];
    p->hop_limit = data[8];
    p->protocol = data[9];
    p->next = 9;
    p->l4 = (size_t)(data[0] & 15) * 4;
    fragment = packet_u16(data + 6);
    p->dont_fragment = fragment & 0x4000;
    p->fragment = fragment & 0x3fff;
    if (packet_set_size(p, packet_u16(data + 2), size) < 0)
        return -EBADMSG;
    return fragment & 0x1fff ? 0 : packet_parse_transport(data, p);
}

/* Bytes of the extension header at `at`, of kind `next`, of which 8 are there; 0: not one. */
static size_t packet_extension(uint8_t next, const uint8_t *at)
{
    switch (next) {
    case IPPROTO_HOPOPTS:
    case IPPROTO_ROUTING:
    case IPPROTO_DSTOPTS:
        return ((size_t)at[1] + 1) * 8;
    case IPPROTO_FRAGMENT:
        return 8;
    default:
        return 0;
    }
}

static int packet_parse6(const uint8_t *data, size_t size, struct packet *p)
{
    bool later = false;

    if (size < 40)
        return -EBADMSG;
    p->src.v6.sin6_family = p->dst.v6.sin6_family = AF_INET6;
    memcpy(&p->src.v6.sin6_addr, data + 8, 16);
    memcpy(&p->dst.v6.sin6_addr, data + 24, 16);
    p->traffic_class = (uint8_t)(packet_u16(data) >> 4);
    p->hop_limit = data[7];
    p->protocol = data[6];
    p->next = 6;
    p->l4 = 40;
    p->dont_fragment = true;
    if (packet_set_size(p, 40 + (size_t)packet_u16(data + 4), size) < 0)
        return -EBADMSG;
    while (!later && packet_extension(p->protocol, (const uint8_t[8]){0})) {
        const uint8_t *at = data + p->l4;
        size_t header;

        if (p->size - p->l4 < 8)
            return -EBADMSG;
        header = packet_extension(p->protocol, at);
        if (header > p->size - p->l4)
            return -EBADMSG;
        if (p->protocol == IPPROTO_FRAGMENT) {
            p->fragment = packet_u16(at + 2) & 0xfff9; /* an atomic one is none: RFC 6946 */
            later = packet_u16(at + 2) & 0xfff8;
        }
        p->protocol = at[0];
        p->next = p->l4;
        p->l4 += header;
    }
    return later ? 0 : packet_parse_transport(data, p);
}

int packet_parse(const void *data, size_t size, struct packet *ret)
{
    const uint8_t *bytes = data;
    struct packet p = {0};
    int r = -EBADMSG;

    if (size && bytes[0] >> 4 == 4)
        r = packet_parse4(bytes, size, &p);
    else if (size && bytes[0] >> 4 == 6)
        r = packet_parse6(bytes, size, &p);
    if (r == 0)
        *ret = p;
    return r;
}

uint32_t checksum_pseudo(const union endpoint *src, const union endpoint *dst, uint8_t protocol,
                         size_t l4_size)
{
    uint32_t tail[2] = {htonl((uint32_t)l4_size), htonl(protocol)};
    uint32_t sum = checksum_add(0, tail, sizeof(tail));

    if (src->any.sa_family == AF_INET) {
        sum = checksum_add(sum, &src->v4.sin_addr, 4);
        return checksum_add(sum, &dst->v4.sin_addr, 4);
    }
    sum = checksum_add(sum, &src->v6.sin6_addr, 16);
    return checksum_add(sum, &dst->v6.sin6_addr, 16);
}

/* Where each transport keeps its checksum, and whether it covers the pseudo header. */
static const struct {
    uint8_t protocol, offset;
    bool pseudo;
} checksums[] = {
    {IPPROTO_TCP, 16, true},
    {IPPROTO_UDP, 6, true},
    {IPPROTO_ICMP, 2, false},
    {IPPROTO_ICMPV6, 2, true},
};

static void packet_checksum_transport(uint8_t *data, const struct packet *p)
{
    uint8_t *l4 = data + p->l4;
    size_t size = p->protocol == IPPROTO_UDP ? packet_u16(l4 + 4) : p->size - p->l4;

    for (size_t i = 0; i < sizeof(checksums) / sizeof(checksums[0]); i++) {
        uint32_t sum = 0;
        uint16_t sent;

        if (checksums[i].protocol != p->protocol)
            continue;
        if (checksums[i].pseudo)
            sum = checksum_pseudo(&p->src, &p->dst, p->protocol, size);
        memset(l4 + checksums[i].offset, 0, 2);
        sent = checksum_fold(checksum_add(sum, l4, size));
        if (p->protocol == IPPROTO_UDP && sent == 0)
            sent = 0xffff; /* 0 would say that there is none: RFC 768 */
        memcpy(l4 + checksums[i].offset, &sent, 2);
    }
}

void packet_checksum(void *data, const struct packet *packet)
{
    uint8_t *bytes = data;
    uint16_t sum;

    if (!packet->fragment && !packet->cut)
        packet_checksum_transport(bytes, packet);
    if (packet->src.any.sa_family != AF_INET)
        return;
    memset(bytes + 10, 0, 2);
    sum = checksum_fold(checksum_add(0, bytes, (size_t)(bytes[0] & 15) * 4));
    memcpy(bytes + 10, &sum, 2);
}

static uint64_t hash_mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 0x9e3779b97f4a7c15;
    return hash ^ hash >> 32;
}

static uint64_t hash_endpoint(uint64_t hash, const union endpoint *e)
{
    uint64_t halves[2];

    if (e->any.sa_family == AF_INET)
        return hash_mix(hash, (uint64_t)e->v4.sin_addr.s_addr << 16 | e->v4.sin_port);
    memcpy(halves, &e->v6.sin6_addr, sizeof(halves));
    return hash_mix(hash_mix(hash_mix(hash, halves[0]), halves[1]), e->v6.sin6_port);
}

uint64_t packet_hash(const union endpoint *a, const union endpoint *b, uint64_t seed)
{
    return hash_endpoint(hash_endpoint(seed, a), b);
}

bool endpoint_equal(const union endpoint *a, const union endpoint *b)
{
    if (a->any.sa_family != b->any.sa_family)
        return false;
    if (a->any.sa_family == AF_INET)
        return a->v4.sin_port == b->v4.sin_port && a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
    return a->v6.sin6_port == b->v6.sin6_port &&
           memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof(a->v6.sin6_addr)) == 0;
}

char *endpoint_text(const union endpoint *e, char *text)
{
    char address[INET6_ADDRSTRLEN] = "?";

    if (e->any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &e->v4.sin_addr, address, sizeof(address));
        snprintf(text, ENDPOINT_TEXT_SIZE, "%s:%d", address, ntohs(e->v4.sin_port));
    } else {
        inet_ntop(AF_INET6, &e->v6.sin6_addr, address, sizeof(address));
        snprintf(text, ENDPOINT_TEXT_SIZE, "[%s]:%d", address, ntohs(e->v6.sin6_port));
    }
    return text;
}
