/* SPDX-License-Identifier: Apache-2.0 */
/* Networks there are, or were when their broker ended, by the runtime directory alone. */
#pragma once

#include <stdbool.h>

#include "base/error.h"

/* runtime: the directory, paths_runtime(). */
bool await_exist(const char *runtime);
/* Waits until there is one; starts nothing. Negative errno with a message; -EPIPE when output, a
 * pipe or socket, has no reader any more. */
int await_networks(int output, struct error *error);
