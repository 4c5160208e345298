/* SPDX-License-Identifier: Apache-2.0 */
/* Where a network's leases are, and a peer that wants to know whenever they change. */
#pragma once

#include "wire/conn.h"

int leases_path(const char *network, char *path, size_t size, struct error *error);

/* Answers a "more" call with the leases now and after each change, until the peer goes. On failure
 * the call is still the caller's to end. */
int leases_watch(struct call *call, const char *network, struct error *error);
