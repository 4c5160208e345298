/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What networks have counted, gathered: each holder is asked, and its forwarder for what only that
 * one knows. The one source of Counters, and so of inspect, top and metrics.
 */
#pragma once

#include "base/json.h"
#include "broker/registry.h"

struct tally;
/* Called from the loop, once for each network that answers, with a NetworkCounters of the protocol
 * (borrowed), and a last time with NULL. The tally may be freed in it, and must be after the last.
 */
typedef void tally_fn(void *context, json_t *counters);

/* name NULL: all networks. */
struct tally *tally_new(struct loop *loop, struct registry *registry, const char *name,
                        tally_fn *tell, void *context);
void tally_free(struct tally *tally); /* accepts NULL */
