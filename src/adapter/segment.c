/* SPDX-License-Identifier: Apache-2.0 */
/* See segment.h. The rules are those of the kernel's software segmentation: tcp_gso_segment() in
 * net/ipv4/tcp_offload.c, __udp_gso_segment() in net/ipv4/udp_offload.c. */
#include "adapter/segment.h"

#include <errno.h>

/* 0 would mean "no checksum" to UDP; for all others 0xffff is the same number. */
static uint16_t checksum_finish(uint32_t sum)
{
    uint16_t checksum = checksum_fold(sum);

    return checksum ? checksum : 0xffff;
}

/* The field holds the sum of the pseudo header: virtio 1.2, 5.1.6.2. */
static int checksum_complete(const struct virtio_net_hdr *header, uint8_t *data, size_t size)
{
    size_t start = header->csum_start, at = start + header->csum_offset;

    if (!(header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
        return 0;
    if (at + 2 > size)
        return -EBADMSG;
    frame_put_checksum(data + at, checksum_finish(checksum_add(0, data + start, size - start)));
    return 0;
}

static bool type_fits(unsigned type, const struct frame *at)
{
    switch (type) {
    case VIRTIO_NET_HDR_GSO_TCPV4:
        return at->protocol == IPPROTO_TCP && !at->v6;
    case VIRTIO_NET_HDR_GSO_TCPV6:
        return at->protocol == IPPROTO_TCP && at->v6;
    case SEGMENT_GSO_UDP_L4:
        return at->protocol == IPPROTO_UDP;
    }
    return false;
}

static bool header_fits(const struct virtio_net_hdr *header, const struct frame *at)
{
    return header->gso_size > 0 && header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM &&
           header->csum_start == at->l4 &&
           header->csum_start + header->csum_offset == frame_checksum_at(at) &&
           at->payload <= BATCH_HEAD_MAX - BATCH_PREFIX;
}

/* Sums of what is the same in all segments. */
static void sums_begin(struct segment_run *run)
{
    const uint8_t *ip = run->data + run->at.l3;
    uint16_t field, length = htons((uint16_t)(run->at.end - run->at.l4));
    uint32_t sum;

    memcpy(&field, run->data + frame_checksum_at(&run->at), sizeof(field));
    run->pseudo_sum = (uint32_t)field + (uint16_t)~length;
    if (!run->at.v6) {
        sum = checksum_add(0, ip, IP4_LENGTH);
        sum = checksum_add(sum, ip + IP4_FRAGMENT, IP4_CHECKSUM - IP4_FRAGMENT);
        sum = checksum_add(sum, ip + IP4_CHECKSUM + 2, run->at.l4 - run->at.l3 - IP4_CHECKSUM - 2);
        run->ip_sum = (uint16_t)~checksum_fold(sum);
    }
}

int segment_begin(struct segment_run *run, const struct virtio_net_hdr *header, uint8_t *data,
                  size_t size, size_t limit, bool tso)
{
    unsigned type = header->gso_type & ~(unsigned)VIRTIO_NET_HDR_GSO_ECN;
    bool tcp = type == VIRTIO_NET_HDR_GSO_TCPV4 || type == VIRTIO_NET_HDR_GSO_TCPV6;

    *run = (struct segment_run){.data = data, .size = size};
    if (type == VIRTIO_NET_HDR_GSO_NONE || (tcp && tso && size <= FRAME_MAX)) {
        if (size > limit && type == VIRTIO_NET_HDR_GSO_NONE)
            return -EBADMSG;
        return checksum_complete(header, data, size);
    }
    if (!frame_parse(data, size, &run->at) || run->at.end != size || !type_fits(type, &run->at) ||
        !header_fits(header, &run->at) || (size_t)run->at.payload + header->gso_size > limit)
        return -EBADMSG;
    run->step = header->gso_size;
    run->next = run->at.payload;
    sums_begin(run);
    return 0;
}

static void ip_write(const struct segment_run *run, uint8_t *head, size_t body)
{
    uint8_t *ip = head + run->at.l3;
    size_t length = run->at.payload - run->at.l3 + body;
    uint16_t id;

    if (run->at.v6) {
        frame_put16(ip + IP6_LENGTH, (uint32_t)(length - sizeof(struct ip6_hdr)));
        return;
    }
    id = (uint16_t)(frame_get16(ip + IP4_ID) + run->count);
    frame_put16(ip + IP4_LENGTH, (uint32_t)length);
    frame_put16(ip + IP4_ID, id);
    frame_put_checksum(ip + IP4_CHECKSUM,
                       checksum_fold(run->ip_sum + htons((uint16_t)length) + htons(id)));
}

/* FIN and PSH belong to the last segment, CWR to the first (RFC 3168 6.1.2). */
static void tcp_write(const struct segment_run *run, uint8_t *tcp, bool last)
{
    size_t done = run->next - run->at.payload;

    frame_put32(tcp + TCP_SEQ, frame_get32(tcp + TCP_SEQ) + (uint32_t)done);
    if (!last)
        tcp[TCP_FLAGS] &= (uint8_t) ~(TH_FIN | TH_PUSH);
    if (run->count > 0)
        tcp[TCP_FLAGS] &= (uint8_t)~TCP_CWR;
}

static void head_write(const struct segment_run *run, uint8_t *head, size_t body, bool last)
{
    uint8_t *l4 = head + run->at.l4, *checksum = head + frame_checksum_at(&run->at);
    size_t l4_head = run->at.payload - run->at.l4;
    uint32_t sum = run->pseudo_sum + htons((uint16_t)(l4_head + body));

    memcpy(head, run->data, run->at.payload);
    ip_write(run, head, body);
    if (run->at.protocol == IPPROTO_TCP)
        tcp_write(run, l4, last);
    else
        frame_put16(l4 + UDP_LENGTH, (uint32_t)(l4_head + body));
    frame_put_checksum(checksum, 0);
    sum = checksum_add(sum, l4, l4_head);
    frame_put_checksum(checksum, checksum_finish(checksum_add(sum, run->data + run->next, body)));
}

bool segment_next(struct segment_run *run, struct batch *batch)
{
    uint8_t *head = batch_head(batch);
    size_t left = run->size - run->next, body = left < run->step ? left : run->step;

    if (run->step == 0) {
        batch_add(batch, run->data, run->size, NULL, 0);
        return false;
    }
    head_write(run, head, body, body == left);
    batch_add(batch, head, run->at.payload, run->data + run->next, body);
    run->next += body;
    run->count++;
    return run->next < run->size;
}
