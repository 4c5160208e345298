/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The segment itself: a bridge with the gateway's addresses, in the namespace this process is in.
 * Making one that is there already finds it, so a new holder takes over by the same call.
 */
#pragma once

#include "config/spec.h"
#include "kernel/rtnl.h"
#include "network/address.h"

struct segment {
    struct rtnl *rtnl; /* owned */
    int bridge;        /* ifindex */
};

int segment_make(const struct spec *spec, const struct plan *plan, struct segment *ret,
                 struct error *error);
void segment_done(struct segment *segment); /* closes what was opened; the bridge stays */
