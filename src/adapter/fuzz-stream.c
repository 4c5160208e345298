/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes on the stream wire: the same frames come out wherever a read ends. First byte: where.
 */
#include <stdlib.h>

#include "adapter/batch.h"
#include "adapter/deframer.h"
#include "adapter/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct frames {
    uint64_t digest; /* FNV-1a of lengths and bytes */
    size_t count;
};

static void check(bool good)
{
    if (!good)
        abort();
}

static void digest(struct frames *frames, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        frames->digest = (frames->digest ^ data[i]) * 0x100000001b3;
}

static void frame_arrived(void *context, uint8_t *frame, size_t size)
{
    struct frames *frames = context;
    uint32_t length = (uint32_t)size;

    check(size <= FRAME_MAX);
    digest(frames, (const uint8_t *)&length, sizeof(length));
    digest(frames, frame, size);
    frames->count++;
}

static ssize_t run(const uint8_t *data, size_t size, struct frames *frames)
{
    uint8_t *copy = malloc(size ? size : 1);
    ssize_t used;

    check(copy);
    memcpy(copy, data, size);
    used = deframer_run(copy, size, frame_arrived, frames);
    free(copy);
    check(used < 0 || (size_t)used <= size);
    return used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct frames whole = {0}, pieces = {0};
    ssize_t used, first;
    size_t cut;

    if (size < 2)
        return 0;
    cut = data[0] * (size - 1) / 256;
    data++, size--;
    used = run(data, size, &whole);
    first = run(data, cut, &pieces);
    if (first >= 0) {
        ssize_t second = run(data + first, size - (size_t)first, &pieces);

        check(second < 0 ? second == used : first + second == used);
    } else {
        check(first == used);
    }
    check(whole.count == pieces.count && whole.digest == pieces.digest);
    return 0;
}
