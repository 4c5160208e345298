/* SPDX-License-Identifier: Apache-2.0 */
/* See pointer.h. */
#include "config/pointer.h"

#include <string.h>

size_t pointer_push(struct buf *pointer, const char *token)
{
    size_t mark = pointer->size;

    buf_append(pointer, "/", 1);
    for (; *token; token++) {
        if (*token == '~')
            buf_append(pointer, "~0", 2);
        else if (*token == '/')
            buf_append(pointer, "~1", 2);
        else
            buf_append(pointer, token, 1);
    }
    return mark;
}

size_t pointer_push_index(struct buf *pointer, size_t index)
{
    size_t mark = pointer->size;

    buf_printf(pointer, "/%zu", index);
    return mark;
}

void pointer_pop(struct buf *pointer, size_t mark)
{
    pointer->size = mark;
    if (pointer->data)
        pointer->data[mark] = '\0';
}

void pointer_field(const char *pointer, struct buf *text)
{
    while (*pointer == '/') {
        const char *token = pointer + 1;
        size_t length = strcspn(token, "/");

        if (length > 0 && strspn(token, "0123456789") == length) {
            buf_printf(text, "[%.*s]", (int)length, token);
        } else {
            buf_printf(text, "%s%.*s", text->size ? "." : "", (int)length, token);
        }
        pointer = token + length;
    }
}
