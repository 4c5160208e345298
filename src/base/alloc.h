/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for small, bounded things. Every quantity a peer controls has a limit where it is counted,
 * so running out of memory here means the machine has none left: the process says so and ends, and
 * by design any one process of vmlan may end at any instant without a VM losing its network.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

/* Zeroed; the caller owns it and frees it with free(). */
void *alloc_zero(size_t count, size_t size);
void *alloc_resize(void *pointer, size_t size);
char *alloc_text(const char *text);
char *alloc_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
char *alloc_vprintf(const char *format, va_list args) __attribute__((format(printf, 1, 0)));

#define alloc_new(type) ((type *)alloc_zero(1, sizeof(type)))
