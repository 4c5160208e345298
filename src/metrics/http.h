/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As much of HTTP (RFC 9112) as a client needs that asks for metrics: one request without a body,
 * one answer, and the connection is over.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* Bytes of a request's head: more is refused. */
#define HTTP_HEAD_MAX 8192

struct http_request {
    int status; /* what to answer: 200, or 4xx */
    bool head;  /* the answer goes without its body */
};

/* Looks at what has come so far. false: the head is not complete yet. target: the only one there
 * is, besides "/". */
bool http_request_parse(const char *data, size_t size, const char *target,
                        struct http_request *ret);

/* The whole answer. body: of status 200; others get one that says what they are. */
void http_answer(const struct http_request *request, const char *type, const struct buf *body,
                 struct buf *out);
