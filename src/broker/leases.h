/* SPDX-License-Identifier: Apache-2.0 */
/* A network's leases, and whoever wants to know whenever they change. */
#pragma once

#include "base/loop.h"
#include "wire/conn.h"

/* The leases of a network as leases_load() has them; a new reference. */
int leases_of_network(const char *network, json_t **ret, struct error *error);

struct lease_watch;
/* leases: as leases_load() has them; borrowed. The watch may be freed from here, but in the first
 * call, when there is none yet. */
typedef void lease_watch_fn(void *context, json_t *leases);

/* Calls changed for the leases now, from within, and after each change, from the loop. */
int lease_watch_new(struct loop *loop, const char *network, lease_watch_fn *changed, void *context,
                    struct lease_watch **ret, struct error *error);
void lease_watch_free(struct lease_watch *watch); /* accepts NULL */

/* Answers a "more" call with the leases now and after each change, until the peer goes. On failure
 * the call is still the caller's to end. */
int leases_answer(struct call *call, const char *network, struct error *error);
