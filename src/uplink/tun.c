/* SPDX-License-Identifier: Apache-2.0 */
/* See tun.h. */
#include "uplink/tun.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_tun.h>
#include <netinet/ip6.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include "base/alloc.h"
#include "base/log.h"
#include "uplink/fragments.h"
#include "uplink/icmp.h"
#include "uplink/pace.h"
#include "uplink/rate.h"
#include "uplink/udp.h"

/* Of newer kernel headers than Debian 12 has. */
#define OFFLOAD_USO    (0x20 | 0x40) /* TUN_F_USO4, TUN_F_USO6 */
#define HDR_GSO_UDP_L4 5             /* VIRTIO_NET_HDR_GSO_UDP_L4 */
#define HDR_SIZE       sizeof(struct virtio_net_hdr)

enum {
    ERROR_RATE = 1000, /* ICMP errors a second, as Linux's own icmp_msgs_per_sec */
    ERROR_BURST = 100,
    IP6_HEADER = 40,
    SLOT_SIZE = HDR_SIZE + IP6_HEADER + 65535,
};

struct tun {
    struct uplink *uplink;
    const struct uplink_config *config;
    int fd; /* borrowed */
    bool segments;
    struct source source;
    struct pace pace; /* of the device and of host sockets */
    struct paced paced;
    bool lone; /* the last time there was one packet only */
    struct udp *udp;
    struct icmp *icmp;
    struct fragments *fragments;
    union endpoint gateway4, gateway6;
    uint16_t id;
    uint32_t fragment_id;
    unsigned errors; /* that may still be sent */
    uint64_t errors_at, warned_write;
    uint8_t (*slots)[SLOT_SIZE]; /* PACE_BATCH of them; pages are there once they were used */
};

struct uplink *tun_uplink(const struct tun *tun)
{
    return tun->uplink;
}

struct pace *tun_pace(struct tun *tun)
{
    return &tun->pace;
}

const union endpoint *tun_gateway(const struct tun *tun, int family)
{
    return family == AF_INET ? &tun->gateway4 : &tun->gateway6;
}

bool tun_is_guest(const struct tun *tun, const union endpoint *address)
{
    const uint8_t *a, *net;
    unsigned prefix, rest;

    if (address->any.sa_family == AF_INET) {
        a = (const uint8_t *)&address->v4.sin_addr;
        net = (const uint8_t *)&tun->config->subnet;
        prefix = tun->config->prefix;
    } else {
        a = (const uint8_t *)&address->v6.sin6_addr;
        net = (const uint8_t *)&tun->config->subnet6;
        prefix = tun->config->prefix6;
    }
    rest = prefix % 8;
    return prefix > 0 && memcmp(a, net, prefix / 8) == 0 &&
           (rest == 0 || ((a[prefix / 8] ^ net[prefix / 8]) & (0xff00 >> rest) & 0xff) == 0);
}

uint16_t tun_take_ids(struct tun *tun, unsigned count)
{
    uint16_t first = tun->id;

    tun->id = (uint16_t)(tun->id + count);
    return first;
}

bool tun_offload(const struct tun *tun, int family, size_t payload, unsigned segment,
                 struct virtio_net_hdr *ret)
{
    size_t ip = family == AF_INET ? 20 : IP6_HEADER;

    if (segment > 0 && (!tun->segments || ip + 8 + segment > tun->config->mtu))
        return false;
    if (segment == 0 && family == AF_INET6 && ip + 8 + payload > tun->config->mtu)
        return false;
    *ret = (struct virtio_net_hdr){
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
        .csum_start = (uint16_t)ip,
        .csum_offset = 6,
    };
    if (segment > 0) {
        ret->gso_type = HDR_GSO_UDP_L4;
        ret->gso_size = (uint16_t)segment;
        ret->hdr_len = (uint16_t)(ip + 8);
    }
    return true;
}

static void tun_writev(struct tun *tun, const struct iovec *iov, int count)
{
    if (writev(tun->fd, iov, count) < 0 && rate_due(&tun->warned_write))
        log_warn(tun->config->network, "cannot write a packet to the network: %m");
}

void tun_write_offload(struct tun *tun, const struct virtio_net_hdr *hdr, struct iovec *pieces,
                       int count)
{
    pieces[0] = (struct iovec){(void *)hdr, HDR_SIZE};
    tun_writev(tun, pieces, count);
}

/* RFC 8200 4.5: the source fragments, and here that is this place. */
static void tun_write_fragments6(struct tun *tun, const uint8_t *packet, size_t size)
{
    struct virtio_net_hdr hdr = {0};
    struct ip6_hdr ip;
    size_t room = (tun->config->mtu - IP6_HEADER - sizeof(struct ip6_frag)) & ~(size_t)7;
    struct ip6_frag fragment = {.ip6f_ident = htonl(tun->fragment_id++)};

    memcpy(&ip, packet, sizeof(ip));
    fragment.ip6f_nxt = ip.ip6_nxt;
    ip.ip6_nxt = IPPROTO_FRAGMENT;
    packet += IP6_HEADER;
    size -= IP6_HEADER;
    for (size_t at = 0; at < size; at += room) {
        size_t part = size - at < room ? size - at : room;
        struct iovec iov[] = {{&hdr, sizeof(hdr)},
                              {&ip, sizeof(ip)},
                              {&fragment, sizeof(fragment)},
                              {(void *)(packet + at), part}};

        ip.ip6_plen = htons((uint16_t)(sizeof(fragment) + part));
        fragment.ip6f_offlg = htons((uint16_t)at) | (at + part < size ? IP6F_MORE_FRAG : 0);
        tun_writev(tun, iov, ARRAY_SIZE(iov));
    }
}

void tun_write(struct tun *tun, const void *packet, size_t size)
{
    static const struct virtio_net_hdr plain;
    struct iovec pieces[] = {[1] = {(void *)packet, size}};

    if (size > tun->config->mtu && *(const uint8_t *)packet >> 4 == 6)
        tun_write_fragments6(tun, packet, size);
    else if (size > 0)
        tun_write_offload(tun, &plain, pieces, ARRAY_SIZE(pieces));
}

static bool error_allowed(struct tun *tun)
{
    uint64_t now = clock_ms(), more = (now - tun->errors_at) * ERROR_RATE / 1000;

    if (more > 0) {
        tun->errors = more + tun->errors < ERROR_BURST ? (unsigned)more + tun->errors : ERROR_BURST;
        tun->errors_at = now;
    }
    return tun->errors > 0 && tun->errors--;
}

void tun_error(struct tun *tun, enum packet_error error, uint32_t value, const void *data,
               const struct packet *packet)
{
    uint8_t out[PACKET_ERROR_MAX];

    if (!error_allowed(tun))
        return;
    tun_write(tun, out,
              packet_icmp_error(out, tun_gateway(tun, packet->src.any.sa_family), error, value,
                                data, packet));
}

/* What the sender's checksum must cover: for UDP what its length says. 0: it has none. */
static size_t checksum_extent(const uint8_t *l4, const struct packet *p)
{
    if (p->protocol != IPPROTO_UDP)
        return p->size - p->l4;
    if (l4[6] == 0 && l4[7] == 0 && p->src.any.sa_family == AF_INET)
        return 0; /* RFC 768: the sender made none; in IPv6 it must */
    return (size_t)(l4[4] << 8 | l4[5]);
}

static bool checksum_right(const uint8_t *data, const struct packet *p)
{
    const uint8_t *l4 = data + p->l4;
    size_t extent = checksum_extent(l4, p);
    uint32_t sum = 0;

    if (extent == 0)
        return true;
    if (p->protocol == IPPROTO_UDP && l4[6] == 0 && l4[7] == 0)
        return false;
    if (p->protocol != IPPROTO_ICMP)
        sum = checksum_pseudo(&p->src, &p->dst, p->protocol, extent);
    return checksum_fold(checksum_add(sum, l4, extent)) == 0;
}

/* A packet in one piece. */
static void tun_dispatch(struct tun *tun, const struct virtio_net_hdr *hdr, const uint8_t *data,
                         const struct packet *p)
{
    bool udp = p->protocol == IPPROTO_UDP, gso = hdr->gso_type != VIRTIO_NET_HDR_GSO_NONE;
    bool icmp =
        p->protocol == (p->src.any.sa_family == AF_INET ? (int)IPPROTO_ICMP : (int)IPPROTO_ICMPV6);

    if (!udp && !icmp) {
        tun_error(tun, PACKET_PROTOCOL_UNREACHABLE, 0, data, p);
        return;
    }
    if (gso && (!udp || hdr->gso_type != HDR_GSO_UDP_L4 || hdr->gso_size == 0))
        return;
    if (!(hdr->flags & (VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID)) &&
        !checksum_right(data, p))
        return;
    if (udp)
        udp_input(tun->udp, data, p, gso ? hdr->gso_size : 0);
    else
        icmp_input(tun->icmp, data, p);
}

void tun_input(struct tun *tun, const struct virtio_net_hdr *hdr, uint8_t *data, size_t size)
{
    struct packet p;
    uint8_t *whole;

    if (packet_parse(data, size, &p) < 0 || p.cut || !tun_is_guest(tun, &p.src))
        return;
    if (!p.fragment) {
        tun_dispatch(tun, hdr, data, &p);
        return;
    }
    whole = fragments_add(tun->fragments, data, &p, &size);
    if (whole && packet_parse(whole, size, &p) == 0 && !p.cut && !p.fragment) {
        p.dont_fragment = false; /* it was fragmented: the host may do the same */
        tun_dispatch(tun, &(struct virtio_net_hdr){0}, whole, &p);
        tun_flush(tun);
    }
}

void tun_flush(struct tun *tun)
{
    udp_flush(tun->udp);
}

static unsigned tun_fetch(struct paced *paced)
{
    struct tun *tun = container_of(paced, struct tun, paced);
    struct virtio_net_hdr hdr;
    unsigned count;

    for (count = 0; count < PACE_BATCH; count++) {
        uint8_t *slot = tun->slots[count];
        ssize_t got = read(tun->fd, slot, SLOT_SIZE);

        if (got <= (ssize_t)sizeof(hdr)) {
            if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
                source_remove(&tun->source); /* the device is gone, and the network with it */
            break;
        }
        memcpy(&hdr, slot, sizeof(hdr));
        tun_input(tun, &hdr, slot + sizeof(hdr), (size_t)got - sizeof(hdr));
        if (tun->lone && count == 0) /* likely again: it goes before a second is looked for */
            tun_flush(tun);
    }
    tun_flush(tun);
    tun->lone = count == 1;
    return count;
}

static void tun_ready(struct source *source, uint32_t events)
{
    (void)events;
    paced_ready(&container_of(source, struct tun, source)->paced);
}

static void gateways_set(struct tun *tun)
{
    tun->gateway4.v4 =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = tun->config->gateway};
    tun->gateway6.v6 =
        (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_addr = tun->config->gateway6};
}

/* Checksums are asked for at least; a descriptor that knows neither (a test's) gives whole ones. */
static bool offload_set(int fd)
{
    if (ioctl(fd, TUNSETOFFLOAD, (unsigned long)(TUN_F_CSUM | OFFLOAD_USO)) == 0)
        return true;
    ioctl(fd, TUNSETOFFLOAD, (unsigned long)TUN_F_CSUM);
    return false;
}

int tun_new(struct uplink *uplink, struct tun **ret)
{
    struct tun *tun = alloc_new(struct tun);
    int r;

    tun->uplink = uplink;
    tun->config = uplink_config(uplink);
    tun->fd = uplink_fds(uplink)->tun;
    tun->segments = offload_set(tun->fd);
    tun->errors_at = clock_ms();
    tun->errors = ERROR_BURST;
    tun->slots = alloc_zero(PACE_BATCH, SLOT_SIZE);
    tun->fragments = fragments_new();
    gateways_set(tun);
    paced_init(&tun->paced, &tun->pace, &tun->source, tun_fetch);
    r = pace_init(&tun->pace, uplink_loop(uplink));
    if (r == 0)
        r = udp_new(tun, &tun->udp);
    if (r == 0)
        r = icmp_new(tun, &tun->icmp);
    if (r == 0)
        r = source_add(uplink_loop(uplink), &tun->source, tun->fd, EPOLLIN, tun_ready);
    if (r < 0)
        tun_free(tun);
    else
        *ret = tun;
    return r;
}

void tun_free(struct tun *tun)
{
    if (!tun)
        return;
    source_remove(&tun->source);
    udp_free(tun->udp);
    icmp_free(tun->icmp);
    pace_done(&tun->pace);
    fragments_free(tun->fragments);
    free(tun->slots);
    free(tun);
}

void tun_flows(const struct tun *tun, unsigned *ret_udp, unsigned *ret_ping)
{
    *ret_udp = udp_flows(tun->udp);
    *ret_ping = icmp_flows(tun->icmp);
}
