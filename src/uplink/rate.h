/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines that a guest could cause without end: each kind at most once a minute. */
#pragma once

#include "base/loop.h"

/* True when *last, zero at first, is a minute or more ago; then it becomes now. */
static inline bool rate_due(uint64_t *last)
{
    uint64_t now = clock_ms();

    if (*last && now - *last < 60000)
        return false;
    *last = now;
    return true;
}
