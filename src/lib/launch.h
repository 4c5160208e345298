/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way to the broker: its socket, and a broker behind it, which is started where none listens.
 * This blocks, but not for long: what starts a broker has the lock for some milliseconds.
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"

struct launch {
    bool if_networks; /* start a broker only if there are networks for it to adopt */
    bool never;       /* start none: one that listens, or none */
    bool library;     /* this program is not vmlan: start $VMLAN_PROGRAM or the installed one */
};

/* A connected socket (blocking), or negative errno with a message. -ENOENT: none was started,
 * because there is no network, or because that was not wanted. */
int launch_connect(const struct launch *launch, struct error *error);
