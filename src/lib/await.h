/* SPDX-License-Identifier: Apache-2.0 */
/* Networks there are, or were when their broker ended, by the runtime directory alone. */
#pragma once

#include <stdbool.h>

#include "base/error.h"

/* runtime: the directory, paths_runtime(). */
bool await_exist(const char *runtime);
/* Waits until there is one; starts nothing. Negative errno with a message. */
int await_networks(struct error *error);
