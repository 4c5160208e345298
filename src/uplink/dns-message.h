/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the relay has to know of DNS messages (RFC 1035 section 4): the header and the question.
 * Pure functions that never read beyond the size they are given.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    DNS_HEADER_SIZE = 12,
    DNS_MESSAGE_MAX = 65535, /* bytes */
};

/* RFC 1035 4.1.1, RFC 6895 2.3 */
enum dns_code { DNS_NOERROR = 0, DNS_SERVFAIL = 2, DNS_NOTIMP = 4, DNS_REFUSED = 5 };

uint16_t dns_message_id(const uint8_t *message);
void dns_message_set_id(uint8_t *message, uint16_t id);
enum dns_code dns_message_code(const uint8_t *message);

/* The size of header and question, when message is a query (answer: an answer) with exactly one
 * question; else 0. At most DNS_HEADER_SIZE + 255 + 4. */
size_t dns_message_question(const uint8_t *message, size_t size, bool answer);

/* Whether answer (any bytes) has the id and the question of query, of which head bytes are header
 * and question. Case does not count in names (RFC 4343). */
bool dns_message_answers(const uint8_t *answer, size_t size, const uint8_t *query, size_t head);

/* Makes the query's header and question (head bytes) an answer with that code, in place. */
void dns_message_fail(uint8_t *query, enum dns_code code);
