/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The paths of networks at which systemd is to listen. A network that runs listens there itself; a
 * socket of systemd's would take the path from it. So what runs keeps what it has: its units stay
 * as they are, or it gets none yet.
 */
#pragma once

#include "base/json.h"

/* Splits the names of networks: *ret_listen are those that may have units; *ret_later run without
 * having them among found (names of units). New arrays. */
void listening_split(const char *runtime, const json_t *networks, const json_t *found,
                     json_t **ret_listen, json_t **ret_later);

/* The units among found that may be stopped, or must be: all but the sockets of networks that run
 * and are to go on (kept: object of units by name). A new array. */
json_t *listening_stoppable(const char *runtime, const json_t *found, const json_t *kept);

/* After the units are stopped: removes the paths nobody listens at, and leaves those of networks
 * that run to their holders. */
void listening_release(const char *runtime, const json_t *found);
