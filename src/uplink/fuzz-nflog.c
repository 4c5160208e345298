/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as messages of NFLOG: what they are said to carry lies inside them. */
#include <stdlib.h>
#include <string.h>

#include "uplink/nflog.h"
#include "uplink/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bounds {
    const uint8_t *start, *end;
};

static void packet_check(void *context, const void *bytes, size_t size)
{
    const struct bounds *bounds = context;
    const uint8_t *start = bytes;
    struct packet packet;

    if (start < bounds->start || start > bounds->end || size > (size_t)(bounds->end - start))
        abort();
    packet_parse(bytes, size, &packet);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + 1); /* aligned, as what was received is */
    struct bounds bounds = {copy, copy + size};

    if (size)
        memcpy(copy, data, size);
    nflog_each(copy, size, packet_check, &bounds);
    free(copy);
    return 0;
}
