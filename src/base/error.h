/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one message a person or a peer gets when something can't be done: what, where, and the cure.
 *
 * Low layers return negative errno and stay silent. The layer that knows what was being attempted
 * fills a struct error once; everyone above passes it on unchanged, and the program or the wire
 * writes it out. The texts live in the struct, so the error path never allocates.
 */
#pragma once

#include <stddef.h>

struct error {
    int code;         /* negative errno; 0: no error */
    const char *id;   /* static name for programs, e.g. "InvalidParameter"; the protocol's errors */
    char where[256];  /* file:line:column, or the method and field; "" where there is no place */
    char reason[512]; /* what is wrong */
    char hint[512];   /* what to do; "" when there is nothing better than the reason */
};

/* The names of errors that cross the wire; protocol: src/wire/io.vmlan.Broker.varlink. */
#define ERROR_INVALID     "InvalidParameter" /* the request or configuration is wrong */
#define ERROR_NO_NETWORK  "NetworkNotFound"  /* no network of that name runs or is configured */
#define ERROR_CONFLICT    "Conflict"         /* taken by another port or network */
#define ERROR_LIMIT       "LimitReached"     /* too many of something */
#define ERROR_PERMISSION  "PermissionDenied" /* this peer may not do that */
#define ERROR_UNAVAILABLE "Unavailable"      /* this machine lacks something */
#define ERROR_FAILED      "Failed"           /* an operation that should work did not */

/* Fills *e (which may be NULL) and returns code, so that callers can `return error_set(...)`. */
int error_set(struct error *e, int code, const char *id, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Says where, and what to do, about the error that error_set() just filled; e may be NULL. */
void error_where(struct error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
void error_hint(struct error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* As error_set() with "what: strerror" of code, for a system call that failed. */
int error_system(struct error *e, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Writes "where: reason; hint" to text, leaving out what is empty. Returns text. */
char *error_text(const struct error *e, char *text, size_t size);

#define ERROR_TEXT_SIZE 1400
