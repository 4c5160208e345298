/* SPDX-License-Identifier: Apache-2.0 */
/* See buf.h. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/own.h"

void buf_done(struct buf *b)
{
    free(b->data);
    *b = BUF_NULL;
}

char *buf_reserve(struct buf *b, size_t count)
{
    if (b->capacity - b->size < count) {
        size_t wanted = b->capacity ? b->capacity : 256;

        while (wanted - b->size < count)
            wanted *= 2;
        b->data = alloc_resize(b->data, wanted + 1);
        b->capacity = wanted;
    }
    return b->data + b->size;
}

void buf_commit(struct buf *b, size_t count)
{
    b->size += count;
    b->data[b->size] = '\0';
}

void buf_append(struct buf *b, const void *data, size_t count)
{
    if (count == 0)
        return;
    memcpy(buf_reserve(b, count), data, count);
    buf_commit(b, count);
}

void buf_printf(struct buf *b, const char *format, ...)
{
    OWN(mem) char *text = NULL;
    va_list args;

    va_start(args, format);
    text = alloc_vprintf(format, args);
    va_end(args);
    buf_append(b, text, strlen(text));
}

void buf_consume(struct buf *b, size_t count)
{
    if (count == 0)
        return;
    memmove(b->data, b->data + count, b->size - count);
    b->size -= count;
    b->data[b->size] = '\0';
}

const char *buf_text(const struct buf *b)
{
    return b->data ? b->data : "";
}
