/* SPDX-License-Identifier: Apache-2.0 */
/* OWN(json): a jansson reference that is dropped at the end of its scope. */
#pragma once

#include <jansson.h>

static inline void own_json(json_t **json)
{
    json_decref(*json);
}
