/* SPDX-License-Identifier: Apache-2.0 */
/* See frame.h. */
#include "adapter/frame.h"

enum {
    HOPS = 0, /* IPPROTO_HOPOPTS, a name glibc keeps in an enum of its own */
    EXTENSIONS_MAX = 8,
};

/* The Ethernet type behind the VLAN tags, and where the packet starts; 0: cut short. */
static uint16_t type_find(const uint8_t *data, size_t size, uint32_t *ret_l3)
{
    size_t at = ETH_HLEN - 2;

    for (int tags = 0; at + 2 <= size; tags++, at += 4) {
        uint16_t type = frame_get16(data + at);

        if ((type != ETHERTYPE_VLAN && type != 0x88a8) || tags == FRAME_TAGS_MAX / 4) {
            *ret_l3 = (uint32_t)(at + 2);
            return type;
        }
    }
    return 0;
}

static bool ip4_parse(const uint8_t *data, size_t size, struct frame *f)
{
    const uint8_t *ip = data + f->l3;
    size_t head, length;

    if (size < f->l3 + sizeof(struct iphdr) || ip[0] >> 4 != 4)
        return false;
    head = (size_t)(ip[0] & 15) * 4;
    length = frame_get16(ip + IP4_LENGTH);
    if (head < sizeof(struct iphdr) || length < head || length > size - f->l3)
        return false;
    if (frame_get16(ip + IP4_FRAGMENT) & (IP_MF | IP_OFFMASK))
        return false;
    f->l4 = f->l3 + (uint32_t)head;
    f->end = f->l3 + (uint32_t)length;
    f->protocol = ip[offsetof(struct iphdr, protocol)];
    return true;
}

/* RFC 8200 4; a fragment header ends the walk without TCP or UDP. */
static bool ip6_extensions(const uint8_t *data, struct frame *f)
{
    size_t at = f->l3 + sizeof(struct ip6_hdr);
    uint8_t next = data[f->l3 + offsetof(struct ip6_hdr, ip6_nxt)];

    for (int i = 0; i < EXTENSIONS_MAX; i++) {
        if (next != HOPS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS)
            break;
        if (at + 8 > f->end)
            return false;
        next = data[at];
        at += ((size_t)data[at + 1] + 1) * 8;
    }
    if (at > f->end)
        return false;
    f->l4 = (uint32_t)at;
    f->protocol = next;
    return true;
}

static bool ip6_parse(const uint8_t *data, size_t size, struct frame *f)
{
    const uint8_t *ip = data + f->l3;
    size_t length;

    if (size < f->l3 + sizeof(struct ip6_hdr) || ip[0] >> 4 != 6)
        return false;
    length = sizeof(struct ip6_hdr) + frame_get16(ip + IP6_LENGTH);
    if (length > size - f->l3)
        return false;
    f->v6 = true;
    f->end = f->l3 + (uint32_t)length;
    return ip6_extensions(data, f);
}

static bool transport_parse(const uint8_t *data, struct frame *f)
{
    size_t room = f->end - f->l4, head;

    if (f->protocol == IPPROTO_UDP)
        head = sizeof(struct udphdr);
    else if (f->protocol == IPPROTO_TCP && room >= sizeof(struct tcphdr))
        head = (size_t)(data[f->l4 + 12] >> 4) * 4;
    else
        return false;
    if (head > room || (f->protocol == IPPROTO_TCP && head < sizeof(struct tcphdr)))
        return false;
    f->payload = f->l4 + (uint32_t)head;
    return true;
}

bool frame_parse(const uint8_t *data, size_t size, struct frame *ret)
{
    struct frame f = {0};
    uint16_t type = type_find(data, size, &f.l3);
    bool ip = (type == ETHERTYPE_IP && ip4_parse(data, size, &f)) ||
              (type == ETHERTYPE_IPV6 && ip6_parse(data, size, &f));

    if (!ip || !transport_parse(data, &f))
        return false;
    *ret = f;
    return true;
}

uint32_t frame_pseudo(const uint8_t *data, const struct frame *frame)
{
    uint32_t sum = htons((uint16_t)(frame->end - frame->l4)) + htons(frame->protocol);

    if (frame->v6)
        return checksum_add(sum, data + frame->l3 + offsetof(struct ip6_hdr, ip6_src), 32);
    return checksum_add(sum, data + frame->l3 + offsetof(struct iphdr, saddr), 8);
}
