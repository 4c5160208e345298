/* SPDX-License-Identifier: Apache-2.0 */
/* See pcapng.h. A block is its type, its size, what is in it, options, and its size again. */
#include "cli/pcapng.h"

#include <string.h>

enum {
    BLOCK_SECTION = 0x0a0d0d0a,
    BLOCK_INTERFACE = 1,
    BLOCK_STATISTICS = 5,
    BLOCK_PACKET = 6,
    BYTE_ORDER_MAGIC = 0x1a2b3c4d,
    LINKTYPE_ETHERNET = 1,

    OPTION_END = 0,
    SECTION_APPLICATION = 4,
    INTERFACE_NAME = 2,
    INTERFACE_DESCRIPTION = 3,
    INTERFACE_TIME = 9,
    INTERFACE_FILTER = 11,
    PACKET_FLAGS = 2,
    STATISTICS_ACCEPTED = 6,
    STATISTICS_DROPPED = 7,
};

static void number_add(struct buf *out, uint32_t number)
{
    buf_append(out, &number, sizeof(number));
}

static void short_add(struct buf *out, uint16_t number)
{
    buf_append(out, &number, sizeof(number));
}

static void padded_add(struct buf *out, const void *data, size_t size)
{
    buf_append(out, data, size);
    buf_append(out, "\0\0\0", -size & 3);
}

static void option_add(struct buf *out, uint16_t code, const void *data, size_t size)
{
    short_add(out, code);
    short_add(out, (uint16_t)size);
    padded_add(out, data, size);
}

static void text_add(struct buf *out, uint16_t code, const char *text)
{
    if (text[0])
        option_add(out, code, text, strlen(text));
}

/* Returns where the block begins, for block_end(). */
static size_t block_begin(struct buf *out, uint32_t type)
{
    size_t begin = out->size;

    number_add(out, type);
    number_add(out, 0);
    return begin;
}

static void block_end(struct buf *out, size_t begin)
{
    uint32_t size;

    option_add(out, OPTION_END, NULL, 0);
    size = (uint32_t)(out->size - begin + sizeof(size));
    memcpy(out->data + begin + sizeof(size), &size, sizeof(size));
    number_add(out, size);
}

static void time_add(struct buf *out, struct timespec time)
{
    uint64_t ns = (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;

    number_add(out, (uint32_t)(ns >> 32));
    number_add(out, (uint32_t)ns);
}

void pcapng_section(struct buf *out, const char *application)
{
    size_t begin = block_begin(out, BLOCK_SECTION);

    number_add(out, BYTE_ORDER_MAGIC);
    short_add(out, 1); /* version 1.0 */
    short_add(out, 0);
    buf_append(out, "\377\377\377\377\377\377\377\377", 8); /* up to the end */
    text_add(out, SECTION_APPLICATION, application);
    block_end(out, begin);
}

void pcapng_interface(struct buf *out, const struct pcapng_interface *interface)
{
    size_t begin = block_begin(out, BLOCK_INTERFACE);
    size_t words = strlen(interface->filter);
    struct buf filter = BUF_NULL;

    short_add(out, LINKTYPE_ETHERNET);
    short_add(out, 0);
    number_add(out, interface->snaplen);
    text_add(out, INTERFACE_NAME, interface->name);
    text_add(out, INTERFACE_DESCRIPTION, interface->description);
    option_add(out, INTERFACE_TIME, "\11", 1); /* nanoseconds: 10 to the -9 */
    if (words) {
        buf_append(&filter, "\0", 1); /* libpcap's words, not BPF */
        buf_append(&filter, interface->filter, words);
        option_add(out, INTERFACE_FILTER, filter.data, filter.size);
        buf_done(&filter);
    }
    block_end(out, begin);
}

void pcapng_packet(struct buf *out, const struct pcapng_packet *packet)
{
    size_t begin = block_begin(out, BLOCK_PACKET);
    uint32_t flags = packet->direction;

    number_add(out, packet->interface);
    time_add(out, packet->time);
    number_add(out, packet->size);
    number_add(out, packet->length);
    padded_add(out, packet->data, packet->size);
    option_add(out, PACKET_FLAGS, &flags, sizeof(flags));
    block_end(out, begin);
}

void pcapng_statistics(struct buf *out, uint32_t interface, struct timespec time, uint64_t accepted,
                       uint64_t dropped)
{
    size_t begin = block_begin(out, BLOCK_STATISTICS);

    number_add(out, interface);
    time_add(out, time);
    option_add(out, STATISTICS_ACCEPTED, &accepted, sizeof(accepted));
    option_add(out, STATISTICS_DROPPED, &dropped, sizeof(dropped));
    block_end(out, begin);
}
