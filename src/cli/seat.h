/* SPDX-License-Identifier: Apache-2.0 */
/* The host's seat on a network, for a command: in the network's own namespaces. */
#pragma once

#include "cli/session.h"

/* Moves this process there, with the network's resolver in place of the host's. A descriptor stays
 * open through exec(2): the network does not end while anyone has it. Prints what went wrong and
 * returns negative errno. */
int seat_enter(const struct cli *cli, const char *network);
