/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log lines, to stderr, as text or as one JSON object a line. A line carries the role that speaks
 * (set once by the role's main) and the object it is about: a network, a port, a peer.
 */
#pragma once

#include <stdbool.h>

enum log_level { LOG_TRACE, LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_TEXT, LOG_JSON };

/* role: static text. Level and format start as info and text. */
void log_init(const char *role, enum log_level level, enum log_format format);

/* Table look-ups for the command line; false when text names none. */
bool log_level_parse(const char *text, enum log_level *ret_level);
bool log_format_parse(const char *text, enum log_format *ret_format);
const char *log_level_name(enum log_level level);
const char *log_format_name(enum log_format format);
enum log_level log_current_level(void);
enum log_format log_current_format(void);

/* object may be NULL. Adds the newline. Leaves errno alone. */
void log_line(enum log_level level, const char *object, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_trace(object, ...) log_line(LOG_TRACE, object, __VA_ARGS__)
#define log_debug(object, ...) log_line(LOG_DEBUG, object, __VA_ARGS__)
#define log_info(object, ...)  log_line(LOG_INFO, object, __VA_ARGS__)
#define log_warn(object, ...)  log_line(LOG_WARN, object, __VA_ARGS__)
#define log_error(object, ...) log_line(LOG_ERROR, object, __VA_ARGS__)
