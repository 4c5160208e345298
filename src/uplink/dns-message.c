/* SPDX-License-Identifier: Apache-2.0 */
/* See dns-message.h. */
#include "uplink/dns-message.h"

#include <string.h>

/* Bits of the third and fourth byte. */
enum {
    DNS_ANSWER = 0x80,
    DNS_KEPT = 0x79, /* of a query in its answer: opcode, recursion desired */
    DNS_RECURSION_AVAILABLE = 0x80,
    DNS_CODE = 0x0f,
};

enum { DNS_NAME_MAX = 255, DNS_LABEL_MAX = 63, DNS_TYPE_AND_CLASS = 4 };

uint16_t dns_message_id(const uint8_t *message)
{
    return (uint16_t)(message[0] << 8 | message[1]);
}

void dns_message_set_id(uint8_t *message, uint16_t id)
{
    message[0] = (uint8_t)(id >> 8);
    message[1] = (uint8_t)id;
}

enum dns_code dns_message_code(const uint8_t *message)
{
    return message[3] & DNS_CODE;
}

/* The size of the name; 0 when it is not whole or, what the first name of a message can't be,
 * compressed. */
static size_t name_size(const uint8_t *name, size_t size)
{
    size_t at = 0;

    while (at < size && at < DNS_NAME_MAX) {
        if (name[at] == 0)
            return at + 1;
        if (name[at] > DNS_LABEL_MAX)
            return 0;
        at += 1 + (size_t)name[at];
    }
    return 0;
}

size_t dns_message_question(const uint8_t *message, size_t size, bool answer)
{
    size_t name;

    if (size < DNS_HEADER_SIZE || !(message[2] & DNS_ANSWER) == answer || message[4] != 0 ||
        message[5] != 1)
        return 0;
    name = name_size(message + DNS_HEADER_SIZE, size - DNS_HEADER_SIZE);
    if (name == 0 || size - DNS_HEADER_SIZE - name < DNS_TYPE_AND_CLASS)
        return 0;
    return DNS_HEADER_SIZE + name + DNS_TYPE_AND_CLASS;
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

bool dns_message_answers(const uint8_t *answer, size_t size, const uint8_t *query, size_t head)
{
    size_t name_end = head - DNS_TYPE_AND_CLASS;

    if (dns_message_question(answer, size, true) != head ||
        dns_message_id(answer) != dns_message_id(query))
        return false;
    for (size_t i = DNS_HEADER_SIZE; i < name_end; i++)
        if (lower(answer[i]) != lower(query[i]))
            return false;
    return memcmp(answer + name_end, query + name_end, DNS_TYPE_AND_CLASS) == 0;
}

void dns_message_fail(uint8_t *query, enum dns_code code)
{
    query[2] = (query[2] & DNS_KEPT) | DNS_ANSWER;
    query[3] = DNS_RECURSION_AVAILABLE | (uint8_t)code;
    memset(query + 6, 0, DNS_HEADER_SIZE - 6); /* no records */
}
