/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Composes JSON from the events of libyaml's parser, and remembers where each value stands. Small
 * faults (a key twice, an unknown tag) are added and composing goes on; a text that can't be
 * followed further ends it.
 */
#pragma once

#include "config/spec.h"

#define COMPOSER_DEPTH_MAX 32
#define COMPOSER_NODES_MAX 10000 /* values, aliases expanded */

/* The one document in text, as a new reference; null for an empty text. NULL when composing ended
 * early. Places are added to places (yaml.h); source is for messages. All arguments are borrowed.
 */
json_t *composer_run(const char *text, size_t size, const char *source, json_t *places,
                     struct faults *faults);

/* "file:line:column", the front of a long source left out. Returns text. */
char *composer_place(const char *source, size_t line, size_t column, char *text, size_t size);
