/* SPDX-License-Identifier: Apache-2.0 */
/* Becoming another command. */
#pragma once

#include "cli/verb.h"

extern const struct verb verb_run;

/* execvp(3); returns only when that fails, with sh's exit status for it. */
int run_command(const struct cli *cli, char *const *command);
