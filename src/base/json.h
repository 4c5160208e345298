/* SPDX-License-Identifier: Apache-2.0 */
/* What jansson leaves to its users. */
#pragma once

#include <jansson.h>

/* OWN(json): a reference that is dropped at the end of its scope. */
static inline void own_json(json_t **json)
{
    json_decref(*json);
}

/* The text of a field; fallback where there is none. Borrowed. */
static inline const char *json_text(const json_t *json, const char *key, const char *fallback)
{
    const char *text = json_string_value(json_object_get(json, key));

    return text ? text : fallback;
}
