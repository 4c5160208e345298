/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as what a tap gives (a virtio-net header and a frame): frames stay within the limit and
 * hold what the super-frame held. First byte: whether the peer takes whole ones. */
#include <stdlib.h>

#include "adapter/segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT = 1500 + FRAME_HEAD_MAX };

static struct batch batch;

static void check(bool good)
{
    if (!good)
        abort();
}

static size_t batch_check(size_t limit)
{
    size_t total = 0;

    for (unsigned i = 0; i < 2 * batch.count; i += 2) {
        size_t size = batch.iov[i].iov_len - BATCH_PREFIX + batch.iov[i + 1].iov_len;

        check(size <= limit && frame_get32(batch.iov[i].iov_base) == size);
        total += size;
    }
    check(total == batch.bytes);
    batch_clear(&batch);
    return total;
}

static void cut(struct segment_run *run, size_t size, size_t limit)
{
    size_t total = 0, frames = 0;
    bool more = true;

    batch_clear(&batch);
    for (; more; frames++) {
        if (batch_full(&batch))
            total += batch_check(limit);
        more = segment_next(run, &batch);
    }
    total += batch_check(limit);
    check(total - (frames - 1) * run->at.payload == size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct virtio_net_hdr header;
    struct segment_run run;
    uint8_t *copy;
    bool tso;

    if (size < 1 + sizeof(header) + ETH_HLEN || size > 1 + sizeof(header) + FRAME_MAX)
        return 0;
    tso = data[0] & 1;
    memcpy(&header, data + 1, sizeof(header));
    data += 1 + sizeof(header);
    size -= 1 + sizeof(header);
    copy = malloc(BATCH_PREFIX + size);
    check(copy);
    memcpy(copy + BATCH_PREFIX, data, size);
    if (segment_begin(&run, &header, copy + BATCH_PREFIX, size, LIMIT, tso) == 0)
        cut(&run, size, tso ? FRAME_MAX : LIMIT);
    free(copy);
    return 0;
}
