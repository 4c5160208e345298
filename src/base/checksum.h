/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Internet checksum (RFC 1071), inline: the adapters do hardly anything else.
 *
 * Words are added in memory order, without swapping (RFC 1071, 2 B). How they are grouped does not
 * matter either (RFC 1071, 2 C), so whole vectors are added, each half of a 64-bit lane by itself;
 * GCC and clang make of it what the processor has.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint64_t checksum_lanes __attribute__((vector_size(16)));

static inline uint64_t checksum_bulk(const uint8_t *bytes, size_t blocks)
{
    checksum_lanes low = {0, 0}, high = {0, 0};

    for (; blocks > 0; blocks--, bytes += 64) {
        checksum_lanes v[4];

        memcpy(v, bytes, sizeof(v));
        low +=
            (v[0] & UINT32_MAX) + (v[1] & UINT32_MAX) + (v[2] & UINT32_MAX) + (v[3] & UINT32_MAX);
        high += (v[0] >> 32) + (v[1] >> 32) + (v[2] >> 32) + (v[3] >> 32);
    }
    return low[0] + low[1] + high[0] + high[1];
}

/* The one's complement sum, to be continued; only the last piece may be of odd size. */
static inline uint32_t checksum_add(uint32_t sum, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    uint64_t total = sum + checksum_bulk(bytes, size / 64);
    uint32_t word;

    bytes += size & ~(size_t)63;
    for (size &= 63; size >= 4; bytes += 4, size -= 4) {
        memcpy(&word, bytes, 4);
        total += word;
    }
    if (size > 0) {
        word = 0;
        memcpy(&word, bytes, size);
        total += word;
    }
    total = (total & UINT32_MAX) + (total >> 32);
    return (uint32_t)((total & UINT32_MAX) + (total >> 32));
}

/* The checksum, complemented, as it is stored: network byte order. */
static inline uint16_t checksum_fold(uint32_t sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t) ~((sum & 0xffff) + (sum >> 16));
}
