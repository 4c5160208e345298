/* SPDX-License-Identifier: Apache-2.0 */
/* systemctl(1), of this user's manager; for root of the system's. */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"

/* Runs systemctl with these words (NULL-terminated) and waits. output: what it prints, may be NULL.
 * -ENOENT: there is no systemctl; -EIO: it failed, with its own words as the reason. */
int systemctl_run(const char *const *words, struct buf *output, struct error *error);

/* The same with names of units (an array) behind the words: those of sockets; all: the service,
 * too. 0 where there are none. */
int systemctl_units(const char *const *words, const json_t *names, bool all, struct buf *output,
                    struct error *error);

/* Whether there is a manager to talk to; the message says why not, and what helps. */
int systemctl_reach(struct error *error);
