/* SPDX-License-Identifier: Apache-2.0 */
/* See offload.h. The header's fields: virtio 1.2, 5.1.6.2. */
#include "adapter/offload.h"

#include <errno.h>

enum offload_checksum offload_checksum(const uint8_t *data, const struct frame *frame,
                                       bool may_be_partial)
{
    uint32_t pseudo = frame_pseudo(data, frame);
    uint16_t field, partial = (uint16_t)~checksum_fold(pseudo);

    memcpy(&field, data + frame_checksum_at(frame), sizeof(field));
    if (may_be_partial && field == partial)
        return OFFLOAD_PARTIAL;
    if (field == 0 && frame->protocol == IPPROTO_UDP && !frame->v6)
        return OFFLOAD_NONE;
    if (checksum_fold(checksum_add(pseudo, data + frame->l4, frame->end - frame->l4)) == 0)
        return OFFLOAD_RIGHT;
    return OFFLOAD_WRONG;
}

void offload_place(const struct frame *frame, struct virtio_net_hdr *header)
{
    header->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    header->csum_start = (uint16_t)frame->l4;
    header->csum_offset = (uint16_t)(frame_checksum_at(frame) - frame->l4);
}

void offload_leave_checksum(uint8_t *data, const struct frame *frame, struct virtio_net_hdr *header)
{
    frame_put_checksum(data + frame_checksum_at(frame),
                       (uint16_t)~checksum_fold(frame_pseudo(data, frame)));
    offload_place(frame, header);
}

void offload_infer(const uint8_t *data, size_t size, struct virtio_net_hdr *ret)
{
    struct frame frame;

    *ret = (struct virtio_net_hdr){0};
    if (frame_parse(data, size, &frame) && offload_checksum(data, &frame, true) == OFFLOAD_PARTIAL)
        offload_place(&frame, ret);
}

/* What is repeated before each piece of the payload, IP header included. */
static unsigned overhead(const struct frame *frame)
{
    if (frame->protocol == IPPROTO_TCP)
        return frame->payload - frame->l3;
    return frame->l4 - frame->l3 + (frame->v6 ? (unsigned)sizeof(struct ip6_frag) : 0);
}

static uint8_t large_type(const uint8_t *data, const struct frame *frame)
{
    uint8_t type = frame->v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;

    if (frame->protocol == IPPROTO_UDP)
        return VIRTIO_NET_HDR_GSO_UDP;
    return data[frame->l4 + TCP_FLAGS] & TCP_CWR ? type | VIRTIO_NET_HDR_GSO_ECN : type;
}

int offload_infer_large(uint8_t *data, size_t size, unsigned mtu, struct virtio_net_hdr *ret)
{
    struct virtio_net_hdr header = {0};
    struct frame frame;
    unsigned step;

    if (!frame_parse(data, size, &frame) || frame.end != size || mtu < overhead(&frame) + 8 ||
        offload_checksum(data, &frame, true) == OFFLOAD_WRONG)
        return -EBADMSG;
    step = mtu - overhead(&frame);
    if (frame.protocol == IPPROTO_UDP)
        step &= ~7u; /* RFC 791 3.2: all fragments but the last */
    offload_leave_checksum(data, &frame, &header);
    header.gso_type = large_type(data, &frame);
    header.gso_size = (uint16_t)step;
    header.hdr_len = (uint16_t)frame.payload;
    *ret = header;
    return 0;
}
