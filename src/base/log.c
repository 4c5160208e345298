/* SPDX-License-Identifier: Apache-2.0 */
/* See log.h. A line is one write(2), so lines of several processes in one file do not mix. */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/own.h"
#include "base/stamp.h"

static const char *const level_names[] = {
    [LOG_TRACE] = "trace", [LOG_DEBUG] = "debug", [LOG_INFO] = "info",
    [LOG_WARN] = "warn",   [LOG_ERROR] = "error",
};
static const char *const format_names[] = {[LOG_TEXT] = "text", [LOG_JSON] = "json"};

static const char *log_role = "vmlan";
static enum log_level log_threshold = LOG_INFO;
static enum log_format log_style = LOG_TEXT;

void log_init(const char *role, enum log_level level, enum log_format format)
{
    log_role = role;
    log_threshold = level;
    log_style = format;
}

static bool name_parse(const char *text, const char *const *names, size_t count, size_t *ret)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(text, names[i]) == 0) {
            *ret = i;
            return true;
        }
    return false;
}

bool log_level_parse(const char *text, enum log_level *ret_level)
{
    size_t index;

    if (!name_parse(text, level_names, ARRAY_SIZE(level_names), &index))
        return false;
    *ret_level = (enum log_level)index;
    return true;
}

bool log_format_parse(const char *text, enum log_format *ret_format)
{
    size_t index;

    if (!name_parse(text, format_names, ARRAY_SIZE(format_names), &index))
        return false;
    *ret_format = (enum log_format)index;
    return true;
}

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

const char *log_format_name(enum log_format format)
{
    return format_names[format];
}

enum log_level log_current_level(void)
{
    return log_threshold;
}

enum log_format log_current_format(void)
{
    return log_style;
}

static void json_text(struct buf *out, const char *text)
{
    buf_append(out, "\"", 1);
    for (const char *c = text; *c; c++) {
        if ((unsigned char)*c < 0x20)
            buf_printf(out, "\\u%04x", (unsigned char)*c);
        else if (*c == '"' || *c == '\\')
            buf_printf(out, "\\%c", *c);
        else
            buf_append(out, c, 1);
    }
    buf_append(out, "\"", 1);
}

static void line_as_json(struct buf *out, const char *time, enum log_level level,
                         const char *object, const char *message)
{
    const char *const fields[][2] = {{"time", time},
                                     {"level", level_names[level]},
                                     {"role", log_role},
                                     {"object", object},
                                     {"message", message}};

    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        if (!fields[i][1])
            continue;
        buf_printf(out, "%s\"%s\":", i ? "," : "{", fields[i][0]);
        json_text(out, fields[i][1]);
    }
    buf_append(out, "}\n", 2);
}

void log_line(enum log_level level, const char *object, const char *format, ...)
{
    OWN(buf) struct buf out = BUF_NULL;
    char message[1600], stamp[STAMP_SIZE];
    int saved = errno;
    va_list args;

    if (level < log_threshold)
        return;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    stamp_now(stamp);
    if (log_style == LOG_JSON)
        line_as_json(&out, stamp, level, object, message);
    else
        buf_printf(&out, "%s %s %s: %s%s%s\n", stamp, level_names[level], log_role,
                   object ? object : "", object ? ": " : "", message);
    (void)!write(STDERR_FILENO, out.data, out.size); /* no place left to say that it failed */
    errno = saved;
}
