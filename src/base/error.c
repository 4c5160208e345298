/* SPDX-License-Identifier: Apache-2.0 */
/* See error.h. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *e, int code, const char *id, const char *format, ...)
{
    va_list args;

    if (!e)
        return code;
    *e = (struct error){.code = code, .id = id};
    va_start(args, format);
    vsnprintf(e->reason, sizeof(e->reason), format, args);
    va_end(args);
    return code;
}

void error_where(struct error *e, const char *format, ...)
{
    va_list args;

    if (!e)
        return;
    va_start(args, format);
    vsnprintf(e->where, sizeof(e->where), format, args);
    va_end(args);
}

void error_hint(struct error *e, const char *format, ...)
{
    va_list args;

    if (!e)
        return;
    va_start(args, format);
    vsnprintf(e->hint, sizeof(e->hint), format, args);
    va_end(args);
}

int error_system(struct error *e, int code, const char *format, ...)
{
    va_list args;
    size_t used;

    if (!e)
        return code;
    *e = (struct error){.code = code, .id = ERROR_FAILED};
    va_start(args, format);
    vsnprintf(e->reason, sizeof(e->reason), format, args);
    va_end(args);
    used = strlen(e->reason);
    snprintf(e->reason + used, sizeof(e->reason) - used, ": %s", strerror(-code));
    return code;
}

char *error_text(const struct error *e, char *text, size_t size)
{
    snprintf(text, size, "%s%s%s%s%s", e->where, e->where[0] ? ": " : "", e->reason,
             e->hint[0] ? "; " : "", e->hint);
    return text;
}
