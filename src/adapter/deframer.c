/* SPDX-License-Identifier: Apache-2.0 */
/* See deframer.h. */
#include "adapter/deframer.h"

#include <errno.h>

#include "adapter/batch.h"
#include "adapter/frame.h"

size_t deframer_next(const uint8_t *data, size_t size)
{
    return size < BATCH_PREFIX ? 0 : BATCH_PREFIX + (size_t)frame_get32(data);
}

ssize_t deframer_run(uint8_t *data, size_t size, deframer_fn *call, void *context)
{
    size_t at = 0, next;

    while (size - at >= BATCH_PREFIX) {
        next = deframer_next(data + at, size - at);
        if (next > BATCH_PREFIX + FRAME_MAX)
            return -EBADMSG;
        if (next > size - at)
            break;
        if (call)
            call(context, data + at + BATCH_PREFIX, next - BATCH_PREFIX);
        at += next;
    }
    return (ssize_t)at;
}
