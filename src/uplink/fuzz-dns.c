/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a message: what is taken for a query can be answered, and only what has the id and
 * the question of a query is taken for its answer. */
#include <stdlib.h>
#include <string.h>

#include "uplink/dns-message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEAD_MAX = DNS_HEADER_SIZE + 255 + 4 };

/* The corpus has answers to this: id 0x0102, "a.example", A, IN. */
static const uint8_t query[] = {1, 2,   1,   0,   0,   1,   0,   0,   0, 0, 0, 0, 1, 'a',
                                7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0, 0, 1, 0, 1};

static void query_check(const uint8_t *data, size_t size)
{
    size_t head = dns_message_question(data, size, false);
    uint8_t answer[HEAD_MAX];

    if (head == 0)
        return;
    if (head > size || head > HEAD_MAX)
        abort();
    memcpy(answer, data, head);
    dns_message_fail(answer, DNS_SERVFAIL);
    if (!dns_message_answers(answer, head, data, head))
        abort();
    dns_message_set_id(answer, (uint16_t)(dns_message_id(data) + 1));
    if (dns_message_answers(answer, head, data, head))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    query_check(data, size);
    if (dns_message_question(data, size, true) > size)
        abort();
    if (dns_message_answers(data, size, query, sizeof(query)) &&
        (size < sizeof(query) || dns_message_id(data) != dns_message_id(query)))
        abort();
    return 0;
}
