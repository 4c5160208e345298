/* SPDX-License-Identifier: Apache-2.0 */
/* vmlan up --host-link: an interface of the host on a network. */
#pragma once

#include "cli/session.h"

/* Whether this process may make links of the host; -EPERM with a message. */
int host_link_check(struct error *error);
/* Makes the link to a network that runs, with addresses of its own, and prints what it made; or
 * prints what went wrong, leaves nothing and returns negative errno. The network removes the link
 * when it ends. */
int host_link_make(const struct cli *cli, const char *network);
