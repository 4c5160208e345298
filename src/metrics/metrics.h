/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What networks have counted, as text for Prometheus:
 * https://prometheus.io/docs/instrumenting/exposition_formats/, version 0.0.4.
 */
#pragma once

#include "base/buf.h"
#include "base/json.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* networks: an array of NetworkCounters of io.vmlan.Broker; what is missing in one is left out. */
void metrics_text(const json_t *networks, struct buf *out);
