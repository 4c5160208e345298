/* SPDX-License-Identifier: Apache-2.0 */
/* See batch.h. */
#include "adapter/batch.h"

#include "adapter/frame.h"

void batch_add(struct batch *b, uint8_t *head, size_t head_size, uint8_t *body, size_t body_size)
{
    struct iovec *iov = b->iov + (size_t)2 * b->count;

    if (head == batch_head(b))
        b->used += (BATCH_PREFIX + head_size + 7) & ~(size_t)7;
    frame_put32(head - BATCH_PREFIX, (uint32_t)(head_size + body_size));
    iov[0] = (struct iovec){head - BATCH_PREFIX, BATCH_PREFIX + head_size};
    iov[1] = (struct iovec){body, body_size};
    b->bytes += head_size + body_size;
    b->count++;
}
