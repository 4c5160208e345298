/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as the answer to a question for a guest's address: as they are, and behind a header and
 * question that fit, so that the records are reached.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "uplink/lookup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void answer(const uint8_t *bytes, size_t size, int family, bool whole)
{
    uint8_t query[LOOKUP_QUERY_MAX];
    size_t query_size = lookup_query("web.lab.internal", family, 0x1234, query);
    OWN(mem) uint8_t *message = malloc(query_size + size + 1);
    union endpoint found = {.any.sa_family = AF_UNSPEC};
    size_t head = whole ? 0 : query_size;
    int r;

    if (!message || query_size == 0)
        abort();
    memcpy(message, query, head);
    if (head > 0) {
        message[2] |= 0x80;
        message[6] = 1; /* more records than there can be */
    }
    memcpy(message + head, bytes, size);
    r = lookup_answer(message, head + size, query, query_size, &found);
    if ((r == 1) != (found.any.sa_family == family) || r > 1)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    answer(data, size, AF_INET, true);
    answer(data, size, AF_INET, false);
    answer(data, size, AF_INET6, false);
    return 0;
}
