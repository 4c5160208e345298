/* SPDX-License-Identifier: Apache-2.0 */
/* What networks have counted; and vmlan metrics, which prints it for Prometheus. */
#pragma once

#include "cli/verb.h"

/* A new array of NetworkCounters (io.vmlan.Broker), of one network or, NULL, of all. Starts no
 * network, and a broker only where there are networks: else the array is empty. */
int counters_get(const char *network, json_t **ret, struct error *error);

extern const struct verb verb_metrics;
