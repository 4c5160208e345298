/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collecting faults: all that is wrong is said at once, so that a file has to be mended only once.
 * The checkers of this folder add, whoever called them owns the struct faults (spec.h).
 */
#pragma once

#include "config/spec.h"

/* Adds a fault (-EINVAL, ERROR_INVALID) and returns it, borrowed, so that error_hint() can add the
 * cure; NULL, which error_hint() accepts, when FAULTS_MAX are kept already. */
struct error *faults_add(struct faults *faults, const char *where, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A value as messages show it: scalars as JSON on one line, cut when long (never inside a UTF-8
 * sequence: messages travel as JSON), of collections only the kind. Both return text. */
#define FAULTS_VALUE_SIZE 72
char *faults_value(const json_t *value, char text[FAULTS_VALUE_SIZE]);
char *faults_quote(const char *value, char text[FAULTS_VALUE_SIZE]);
