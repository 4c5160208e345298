/* SPDX-License-Identifier: Apache-2.0 */
/* What a YAML scalar without quotes means: the core schema, YAML 1.2.2, 10.3.2. */
#pragma once

#include <jansson.h>

/* null, a boolean, a number, or else the text itself, as a new reference. Numbers that JSON can't
 * hold (infinities, integers of more than 64 bits) stay text. text: UTF-8. */
json_t *scalar_resolve(const char *text);
