/* SPDX-License-Identifier: Apache-2.0 */
/* The broker as a process that is to end, or to be there again: for those who replace it. */
#pragma once

#include <stdbool.h>

#include "cli/verb.h"

/* Whether something listens for its clients. Where that is a service manager, asking starts it. */
bool broker_listens(void);

/* Tells the broker to end; its networks go on. */
int broker_quit(struct error *error);

/* Ends brokers until none listens. Returns a lock, to be closed, that keeps clients from starting
 * another: the one they take for that (the open runtime directory, locked). Negative errno. */
int broker_keep_out(struct error *error);

/* Starts a broker if there are networks for it, and prints which go on. An exit status. */
int broker_again(const struct cli *cli);
