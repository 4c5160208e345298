/* SPDX-License-Identifier: Apache-2.0 */
/* Any datagram as the frame of a peer with offload, which says nothing of what it leaves to us:
 * what is inferred is what the kernel can work with. First two bytes: the MTU. */
#include <stdlib.h>

#include "adapter/offload.h"
#include "adapter/segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct batch batch;

static void check(bool good)
{
    if (!good)
        abort();
}

static void header_check(const struct virtio_net_hdr *header, size_t size)
{
    check(!(header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) ||
          (size_t)header->csum_start + header->csum_offset + 2 <= size);
}

/* TCP is cut as the kernel will: each frame keeps to the MTU. */
static void large_check(const struct virtio_net_hdr *header, uint8_t *frame, size_t size,
                        unsigned mtu)
{
    struct segment_run run;

    header_check(header, size);
    check(header->gso_size > 0 && header->hdr_len <= size);
    if ((header->gso_type & 0x7f) == VIRTIO_NET_HDR_GSO_UDP)
        return;
    if (segment_begin(&run, header, frame, size, mtu + FRAME_HEAD_MAX, false) < 0) {
        struct frame at;

        check(frame_parse(frame, size, &at) && at.payload > BATCH_HEAD_MAX - BATCH_PREFIX);
        return;
    }
    do
        batch_clear(&batch);
    while (segment_next(&run, &batch));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct virtio_net_hdr header;
    unsigned mtu;
    uint8_t *copy;

    if (size < 2 + ETH_HLEN || size > 2 + FRAME_MAX)
        return 0;
    mtu = frame_get16(data);
    data += 2, size -= 2;
    copy = malloc(BATCH_PREFIX + size);
    check(copy);
    memcpy(copy + BATCH_PREFIX, data, size);
    offload_infer(copy + BATCH_PREFIX, size, &header);
    header_check(&header, size);
    if (offload_infer_large(copy + BATCH_PREFIX, size, mtu, &header) == 0)
        large_check(&header, copy + BATCH_PREFIX, size, mtu);
    free(copy);
    return 0;
}
