/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growable byte buffer, read from the front and written at the end. data[size] is always a
 * readable NUL once anything was appended, so text can be used as a C string. Memory that can't
 * be had ends the process: nothing here could go on without it.
 */
#pragma once

#include <stddef.h>

struct buf {
    char *data;
    size_t size;     /* bytes held */
    size_t capacity; /* bytes allocated, less the NUL */
};

#define BUF_NULL ((struct buf){0})

void buf_done(struct buf *b);
static inline void own_buf(struct buf *b)
{
    buf_done(b);
}

/* Makes room for count more bytes and returns where they go; buf_commit() then adds them. */
char *buf_reserve(struct buf *b, size_t count);
void buf_commit(struct buf *b, size_t count);

void buf_append(struct buf *b, const void *data, size_t count);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Drops count bytes from the front. */
void buf_consume(struct buf *b, size_t count);

/* The text so far, "" when empty; borrowed. */
const char *buf_text(const struct buf *b);
