/* SPDX-License-Identifier: Apache-2.0 */
/* See fragments.h. */
#include "uplink/fragments.h"

#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <string.h>

#include "base/alloc.h"
#include "uplink/packet.h"

enum {
    SLOTS = 8, /* packets whose pieces may alternate */
    IP6_HEADER = 40,
    FRAGMENT_HEADER = 8,
    PACKET_MAX = IP6_HEADER + 65535,
};

/* What the headers of one piece say. */
struct piece {
    uint32_t id;
    uint8_t protocol; /* of what was cut */
    size_t head;      /* bytes that are repeated in each piece, without the fragment header */
    size_t body;      /* offset of the cut part's bytes */
    size_t offset;    /* of these bytes in the whole */
    size_t size;      /* bytes */
    bool more;
};

struct slot {
    union endpoint src, dst; /* addresses; family AF_UNSPEC: free */
    uint32_t id;
    uint8_t protocol;
    size_t head, have; /* bytes in data: of the head, and of the cut part so far */
    uint8_t data[PACKET_MAX];
};

struct fragments {
    unsigned next; /* the slot to take for a new packet: the oldest */
    struct slot slots[SLOTS];
};

struct fragments *fragments_new(void)
{
    return alloc_new(struct fragments);
}

void fragments_free(struct fragments *fragments)
{
    free(fragments);
}

static bool piece_read4(const uint8_t *data, const struct packet *packet, struct piece *ret)
{
    struct iphdr ip;
    uint16_t place;

    memcpy(&ip, data, sizeof(ip));
    place = ntohs(ip.frag_off);
    ret->id = ip.id;
    ret->protocol = ip.protocol;
    ret->head = ret->body = packet->l4;
    ret->offset = (place & IP_OFFMASK) * 8u;
    ret->more = place & IP_MF;
    ret->size = packet->size - packet->l4;
    return true;
}

/* The kernel puts the fragment header right behind the IPv6 header unless there are hop-by-hop or
 * routing headers, which no guest has a use for beyond its own network. */
static bool piece_read6(const uint8_t *data, const struct packet *packet, struct piece *ret)
{
    struct ip6_hdr ip;
    struct ip6_frag fragment;

    if (packet->size < IP6_HEADER + FRAGMENT_HEADER)
        return false;
    memcpy(&ip, data, sizeof(ip));
    memcpy(&fragment, data + IP6_HEADER, sizeof(fragment));
    if (ip.ip6_nxt != IPPROTO_FRAGMENT)
        return false;
    ret->id = fragment.ip6f_ident;
    ret->protocol = fragment.ip6f_nxt;
    ret->head = IP6_HEADER;
    ret->body = IP6_HEADER + FRAGMENT_HEADER;
    ret->offset = ntohs(fragment.ip6f_offlg & IP6F_OFF_MASK);
    ret->more = fragment.ip6f_offlg & IP6F_MORE_FRAG;
    ret->size = packet->size - ret->body;
    return true;
}

static struct slot *slot_find(struct fragments *fragments, const union endpoint *src,
                              const union endpoint *dst, const struct piece *piece)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        struct slot *s = &fragments->slots[i];

        if (s->src.any.sa_family == src->any.sa_family && s->id == piece->id &&
            s->protocol == piece->protocol && endpoint_equal(&s->src, src) &&
            endpoint_equal(&s->dst, dst))
            return s;
    }
    return NULL;
}

/* The slot of the packet this piece goes on with, or a new one for a first piece. */
static struct slot *slot_get(struct fragments *fragments, const uint8_t *data,
                             const struct packet *packet, const struct piece *piece)
{
    union endpoint src = endpoint_address(&packet->src), dst = endpoint_address(&packet->dst);
    struct slot *s = slot_find(fragments, &src, &dst, piece);

    if (piece->offset > 0)
        return s;
    if (!s) {
        s = &fragments->slots[fragments->next];
        fragments->next = (fragments->next + 1) % SLOTS;
    }
    s->src = src;
    s->dst = dst;
    s->id = piece->id;
    s->protocol = piece->protocol;
    s->head = piece->head;
    s->have = 0;
    memcpy(s->data, data, piece->head);
    return s;
}

/* Makes the head that of a packet which was never cut. */
static size_t slot_finish(struct slot *s)
{
    size_t size = s->head + s->have;

    if (s->src.any.sa_family == AF_INET) {
        struct iphdr *ip = (struct iphdr *)s->data;

        ip->frag_off = 0;
        ip->tot_len = htons((uint16_t)size);
        ip->check = 0;
        ip->check = checksum_fold(checksum_add(0, s->data, s->head));
    } else {
        struct ip6_hdr *ip = (struct ip6_hdr *)s->data;

        ip->ip6_nxt = s->protocol;
        ip->ip6_plen = htons((uint16_t)s->have);
    }
    s->src.any.sa_family = AF_UNSPEC;
    return size;
}

uint8_t *fragments_add(struct fragments *fragments, const uint8_t *data,
                       const struct packet *packet, size_t *ret_size)
{
    bool ip4 = packet->src.any.sa_family == AF_INET;
    struct piece piece;
    struct slot *s;

    if (packet->cut || !(ip4 ? piece_read4 : piece_read6)(data, packet, &piece))
        return NULL;
    s = slot_get(fragments, data, packet, &piece);
    if (!s)
        return NULL;
    if (piece.offset != s->have || (piece.more && piece.size % 8 != 0) ||
        (ip4 ? s->head : 0) + s->have + piece.size > UINT16_MAX) {
        s->src.any.sa_family = AF_UNSPEC;
        return NULL;
    }
    memcpy(s->data + s->head + s->have, data + piece.body, piece.size);
    s->have += piece.size;
    if (piece.more)
        return NULL;
    *ret_size = slot_finish(s);
    return s->data;
}
