/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a lease file: each lease that comes out is complete, and none of it is expired. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/own.h"
#include "network/leases.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const int64_t now = 1700000000;
    OWN(json) json_t *leases = leases_parse((const char *)data, size, now);
    json_t *lease;
    size_t i;

    json_array_foreach(leases, i, lease) {
        json_int_t expires = json_integer_value(json_object_get(lease, "expires"));
        json_t *mac = json_object_get(lease, "mac"), *name = json_object_get(lease, "name");

        if (!json_is_string(json_object_get(lease, "address")))
            abort();
        if (!json_is_string(mac) && !json_is_null(mac))
            abort();
        if (!json_is_string(name) && !json_is_null(name))
            abort();
        if (expires != 0 && expires <= now)
            abort();
    }
    return 0;
}
