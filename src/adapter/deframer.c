/* SPDX-License-Identifier: Apache-2.0 */
/* See deframer.h. */
#include "adapter/deframer.h"

#include <errno.h>

#include "adapter/batch.h"
#include "adapter/frame.h"

ssize_t deframer_run(uint8_t *data, size_t size, deframer_fn *call, void *context)
{
    size_t at = 0;

    while (size - at >= BATCH_PREFIX) {
        uint32_t length = frame_get32(data + at);

        if (length > FRAME_MAX)
            return -EBADMSG;
        if (length > size - at - BATCH_PREFIX)
            break;
        call(context, data + at + BATCH_PREFIX, length);
        at += BATCH_PREFIX + length;
    }
    return (ssize_t)at;
}
