/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The struct uplink of tests that see one part of the uplink alone. The program brings its own
 * host_destination() as well, so nothing of the rest of the uplink is in it.
 */
#pragma once

#include "uplink/uplink.h"

struct uplink {
    struct loop loop;
    struct uplink_config config;
    struct uplink_fds fds;
};
static struct uplink uplink;

struct loop *uplink_loop(struct uplink *u)
{
    return &u->loop;
}

const struct uplink_config *uplink_config(const struct uplink *u)
{
    return &u->config;
}

const struct uplink_fds *uplink_fds(const struct uplink *u)
{
    return &u->fds;
}
