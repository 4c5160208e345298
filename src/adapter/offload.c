/* SPDX-License-Identifier: Apache-2.0 */
/* See offload.h. The header's fields: virtio 1.2, 5.1.6.2. */
#include "adapter/offload.h"

#include <errno.h>

enum offload_checksum offload_checksum(const uint8_t *data, const struct frame *frame,
                                       bool may_be_partial)
{
    uint32_t pseudo = frame_pseudo(data, frame);
    uint16_t field;

    memcpy(&field, data + frame_checksum_at(frame), sizeof(field));
    if (may_be_partial && field == (uint16_t)~checksum_fold(pseudo))
        return OFFLOAD_PARTIAL;
    if (field == 0 && frame->protocol == IPPROTO_UDP && !frame->v6)
        return OFFLOAD_NONE;
    if (checksum_fold(checksum_add(pseudo, data + frame->l4, frame->end - frame->l4)) == 0)
        return OFFLOAD_RIGHT;
    return OFFLOAD_WRONG;
}

static void checksum_place(const struct frame *frame, struct virtio_net_hdr *header)
{
    header->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    header->csum_start = (uint16_t)frame->l4;
    header->csum_offset = (uint16_t)(frame_checksum_at(frame) - frame->l4);
}

void offload_leave_checksum(uint8_t *data, const struct frame *frame, struct virtio_net_hdr *header)
{
    frame_put_checksum(data + frame_checksum_at(frame),
                       (uint16_t)~checksum_fold(frame_pseudo(data, frame)));
    checksum_place(frame, header);
}

void offload_infer(const uint8_t *data, size_t size, bool may_be_partial,
                   struct virtio_net_hdr *ret)
{
    struct virtio_net_hdr header = {0};
    struct frame frame;

    if (frame_parse(data, size, &frame)) {
        enum offload_checksum state = offload_checksum(data, &frame, may_be_partial);

        if (state == OFFLOAD_PARTIAL)
            checksum_place(&frame, &header);
        else if (state == OFFLOAD_RIGHT)
            header.flags = VIRTIO_NET_HDR_F_DATA_VALID;
    }
    *ret = header;
}

/* RFC 791 3.2: fragments but the last are multiples of 8 bytes. */
static unsigned large_step(const uint8_t *data, const struct frame *frame, unsigned mtu,
                           struct virtio_net_hdr *header)
{
    bool tcp = frame->protocol == IPPROTO_TCP;
    unsigned head = (tcp ? frame->payload : frame->l4) - frame->l3;

    if (!tcp) {
        header->gso_type = VIRTIO_NET_HDR_GSO_UDP;
        return mtu > head + (frame->v6 ? sizeof(struct ip6_frag) : 0)
                   ? (mtu - head - (frame->v6 ? sizeof(struct ip6_frag) : 0)) & ~7u
                   : 0;
    }
    header->gso_type = frame->v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
    if (data[frame->l4 + TCP_FLAGS] & TCP_CWR)
        header->gso_type |= VIRTIO_NET_HDR_GSO_ECN;
    return mtu > head ? mtu - head : 0;
}

int offload_infer_large(uint8_t *data, size_t size, unsigned mtu, struct virtio_net_hdr *ret)
{
    struct virtio_net_hdr header = {0};
    struct frame frame;

    if (!frame_parse(data, size, &frame) || frame.end != size)
        return -EBADMSG;
    if (offload_checksum(data, &frame, true) == OFFLOAD_WRONG)
        return -EBADMSG;
    header.gso_size = (uint16_t)large_step(data, &frame, mtu, &header);
    if (header.gso_size == 0)
        return -EBADMSG;
    offload_leave_checksum(data, &frame, &header);
    header.hdr_len = (uint16_t)frame.payload;
    *ret = header;
    return 0;
}
