/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Follows whether the host has a way to the IPv6 internet: a default route, by whatever table or
 * rule, and an address to use it with. The network announces itself as a router only while it has.
 */
#pragma once

#include <stdbool.h>

#include "base/loop.h"

struct route6;
typedef void route6_fn(void *context, bool there);

/* changed is called from the loop: soon after this with the state as it is, then at each change of
 * it, at most five times a second. Negative errno when the kernel can't be asked. */
int route6_new(struct loop *loop, route6_fn *changed, void *context, struct route6 **ret);
void route6_free(struct route6 *route6); /* accepts NULL; not from within changed() */
