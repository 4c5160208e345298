/* SPDX-License-Identifier: Apache-2.0 */
/* Writing packets: packet.h says which. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <string.h>

#include "uplink/packet.h"

enum { HOP_LIMIT = 64 };

static void packet_put16(uint8_t *at, size_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void packet_put32(uint8_t *at, uint32_t value)
{
    value = htonl(value);
    memcpy(at, &value, 4);
}

static size_t packet_ip4(uint8_t *to, const struct packet_head *head, size_t payload)
{
    uint16_t sum;

    memset(to, 0, 20);
    to[0] = 0x45;
    to[1] = head->traffic_class;
    packet_put16(to + 2, 20 + payload);
    packet_put16(to + 4, head->id);
    to[6] = head->dont_fragment ? 0x40 : 0;
    to[8] = head->hop_limit ? head->hop_limit : HOP_LIMIT;
    to[9] = head->protocol;
    memcpy(to + 12, &head->src->v4.sin_addr, 4);
    memcpy(to + 16, &head->dst->v4.sin_addr, 4);
    sum = checksum_fold(checksum_add(0, to, 20));
    memcpy(to + 10, &sum, 2);
    return 20;
}

static size_t packet_ip6(uint8_t *to, const struct packet_head *head, size_t payload)
{
    memset(to, 0, 8);
    packet_put16(to, 0x6000u | (unsigned)head->traffic_class << 4);
    packet_put16(to + 4, payload);
    to[6] = head->protocol;
    to[7] = head->hop_limit ? head->hop_limit : HOP_LIMIT;
    memcpy(to + 8, &head->src->v6.sin6_addr, 16);
    memcpy(to + 24, &head->dst->v6.sin6_addr, 16);
    return 40;
}

size_t packet_ip(void *to, const struct packet_head *head, size_t payload)
{
    return head->src->any.sa_family == AF_INET ? packet_ip4(to, head, payload)
                                               : packet_ip6(to, head, payload);
}

static uint16_t endpoint_port(const union endpoint *e)
{
    return e->any.sa_family == AF_INET ? e->v4.sin_port : e->v6.sin6_port;
}

size_t packet_udp(void *to, const struct packet_head *head, size_t payload, bool partial)
{
    struct packet_head udp = *head;
    uint16_t ports[2] = {endpoint_port(head->src), endpoint_port(head->dst)};
    uint32_t sum = checksum_pseudo(head->src, head->dst, IPPROTO_UDP, payload + 8);
    uint8_t *l4;
    uint16_t sent;

    udp.protocol = IPPROTO_UDP;
    l4 = (uint8_t *)to + packet_ip(to, &udp, payload + 8);
    memcpy(l4, ports, 4);
    packet_put16(l4 + 4, payload + 8);
    memset(l4 + 6, 0, 2);
    sent =
        partial ? (uint16_t)~checksum_fold(sum) : checksum_fold(checksum_add(sum, l4, payload + 8));
    if (!partial && sent == 0)
        sent = 0xffff; /* RFC 768 */
    memcpy(l4 + 6, &sent, 2);
    return (size_t)(l4 - (uint8_t *)to) + 8;
}

size_t packet_reset(void *to, const void *data, const struct packet *syn)
{
    const struct packet_head head = {&syn->dst, &syn->src, .protocol = IPPROTO_TCP};
    const uint8_t *from = (const uint8_t *)data + syn->l4;
    uint8_t *l4 = (uint8_t *)to + packet_ip(to, &head, 20);
    uint32_t sequence;
    uint16_t sum;

    memset(l4, 0, 20);
    memcpy(l4, from + 2, 2);
    memcpy(l4 + 2, from, 2);
    memcpy(&sequence, from + 4, 4);
    packet_put32(l4 + 8, ntohl(sequence) + 1);
    l4[12] = 5 << 4;
    l4[13] = 0x14; /* RST, ACK */
    sum =
        checksum_fold(checksum_add(checksum_pseudo(&syn->dst, &syn->src, IPPROTO_TCP, 20), l4, 20));
    memcpy(l4 + 16, &sum, 2);
    return (size_t)(l4 - (uint8_t *)to) + 20;
}

/* Linux's own tables, backwards: icmp_err_convert (net/ipv4/icmp.c), tab_unreach (net/ipv6/icmp.c):
 * what a guest's process then gets is the errno that a process of the host got. */
static const struct {
    uint8_t type4, code4, type6, code6;
} errors[] = {
    [PACKET_NET_UNREACHABLE] = {ICMP_DEST_UNREACH, ICMP_NET_UNREACH, ICMP6_DST_UNREACH,
                                ICMP6_DST_UNREACH_NOROUTE},
    [PACKET_HOST_UNREACHABLE] = {ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, ICMP6_DST_UNREACH,
                                 ICMP6_DST_UNREACH_ADDR},
    [PACKET_PORT_UNREACHABLE] = {ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, ICMP6_DST_UNREACH,
                                 ICMP6_DST_UNREACH_NOPORT},
    [PACKET_PROTOCOL_UNREACHABLE] = {ICMP_DEST_UNREACH, ICMP_PROT_UNREACH, ICMP6_PARAM_PROB,
                                     ICMP6_PARAMPROB_NEXTHEADER},
    [PACKET_PROHIBITED] = {ICMP_DEST_UNREACH, ICMP_PKT_FILTERED, ICMP6_DST_UNREACH,
                           ICMP6_DST_UNREACH_ADMIN},
    [PACKET_TOO_BIG] = {ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, ICMP6_PACKET_TOO_BIG, 0},
    [PACKET_TIME_EXCEEDED] = {ICMP_TIME_EXCEEDED, ICMP_EXC_TTL, ICMP6_TIME_EXCEEDED,
                              ICMP6_TIME_EXCEED_TRANSIT},
};

enum packet_error packet_error_of(int error)
{
    switch (error) {
    case ENETUNREACH:
    case ENETDOWN:
        return PACKET_NET_UNREACHABLE;
    case ECONNREFUSED:
        return PACKET_PORT_UNREACHABLE;
    case ENOPROTOOPT:
    case EPROTO:
        return PACKET_PROTOCOL_UNREACHABLE;
    case EACCES:
    case EPERM:
        return PACKET_PROHIBITED;
    case EMSGSIZE:
        return PACKET_TOO_BIG;
    default:
        return PACKET_HOST_UNREACHABLE;
    }
}

size_t packet_icmp_error(void *to, const union endpoint *from, enum packet_error error,
                         uint32_t value, const void *data, const struct packet *packet)
{
    if (from->any.sa_family == AF_INET)
        return packet_icmp(to, from, errors[error].type4, errors[error].code4, value, data, packet);
    if (error == PACKET_PROTOCOL_UNREACHABLE)
        value = (uint32_t)packet->next; /* the pointer of RFC 4443 3.4 */
    return packet_icmp(to, from, errors[error].type6, errors[error].code6, value, data, packet);
}

/* One host's own address, of which and to which errors may be sent. */
static bool endpoint_single(const union endpoint *e)
{
    if (e->any.sa_family == AF_INET)
        return e->v4.sin_addr.s_addr != htonl(INADDR_ANY) &&
               !IN_MULTICAST(ntohl(e->v4.sin_addr.s_addr)) &&
               e->v4.sin_addr.s_addr != htonl(INADDR_BROADCAST);
    return !IN6_IS_ADDR_UNSPECIFIED(&e->v6.sin6_addr) && !IN6_IS_ADDR_MULTICAST(&e->v6.sin6_addr);
}

/* RFC 1122 3.2.2, RFC 4443 2.4(e): no error about an error, a later fragment, to or from many. */
static bool packet_may_answer(const uint8_t *data, const struct packet *p)
{
    const uint8_t *l4 = data + p->l4;

    if (!endpoint_single(&p->src) || !endpoint_single(&p->dst))
        return false;
    if (p->src.any.sa_family == AF_INET) {
        if ((data[6] & 0x1f) || data[7])
            return false;
        return p->protocol != IPPROTO_ICMP || l4[0] == ICMP_ECHO || l4[0] == ICMP_ECHOREPLY;
    }
    /* A later fragment of IPv6 has no header to look at; an error about an unknown piece is none
     * too many. */
    return !p->fragment && (p->protocol != IPPROTO_ICMPV6 || (l4[0] & ICMP6_INFOMSG_MASK));
}

size_t packet_icmp(void *to, const union endpoint *from, uint8_t type, uint8_t code, uint32_t value,
                   const void *data, const struct packet *packet)
{
    bool v4 = from->any.sa_family == AF_INET;
    const struct packet_head head = {from, &packet->src,
                                     .protocol = v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6};
    size_t room = v4 ? 576 - 28 : PACKET_ERROR_MAX - 48;
    size_t quote = packet->size < room ? packet->size : room;
    uint32_t sum = 0;
    uint16_t sent;
    uint8_t *l4;

    if (!packet_may_answer(data, packet))
        return 0;
    l4 = (uint8_t *)to + packet_ip(to, &head, 8 + quote);
    l4[0] = type;
    l4[1] = code;
    memset(l4 + 2, 0, 2);
    packet_put32(l4 + 4, value);
    memcpy(l4 + 8, data, quote);
    if (!v4)
        sum = checksum_pseudo(from, &packet->src, IPPROTO_ICMPV6, 8 + quote);
    sent = checksum_fold(checksum_add(sum, l4, 8 + quote));
    memcpy(l4 + 2, &sent, 2);
    return (size_t)(l4 - (uint8_t *)to) + 8 + quote;
}
