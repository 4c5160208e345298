/* SPDX-License-Identifier: Apache-2.0 */
/* See alloc.h. */
#include "base/alloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *alloc_checked(void *pointer)
{
    if (!pointer) {
        fputs("vmlan: out of memory\n", stderr);
        abort();
    }
    return pointer;
}

void *alloc_zero(size_t count, size_t size)
{
    return alloc_checked(calloc(count ? count : 1, size));
}

void *alloc_resize(void *pointer, size_t size)
{
    return alloc_checked(realloc(pointer, size));
}

char *alloc_text(const char *text)
{
    return alloc_checked(strdup(text));
}

char *alloc_vprintf(const char *format, va_list args)
{
    char *text;
    int length = vasprintf(&text, format, args);

    return alloc_checked(length < 0 ? NULL : text);
}

char *alloc_printf(const char *format, ...)
{
    va_list args;
    char *text;

    va_start(args, format);
    text = alloc_vprintf(format, args);
    va_end(args);
    return text;
}
