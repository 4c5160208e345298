/* SPDX-License-Identifier: Apache-2.0 */
/* systemctl(1), of this user's manager; for root of the system's. */
#pragma once

#include "base/buf.h"
#include "base/error.h"

/* Runs systemctl with these words (NULL-terminated) and waits. output: what it prints, may be NULL.
 * -ENOENT: there is no systemctl; -EIO: it failed, with its own words as the reason. */
int systemctl_run(const char *const *words, struct buf *output, struct error *error);

/* Whether there is a manager to talk to; the message says why not, and what helps. */
int systemctl_reach(struct error *error);
