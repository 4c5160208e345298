/* SPDX-License-Identifier: Apache-2.0 */
/* Where a program is that this one runs. */
#pragma once

#include "base/error.h"

/* $variable if it is set; else the first of $PATH and the sbin directories (which ordinary users
 * often lack in PATH) that has it. path: PATHS_MAX bytes. -ENOENT with a message; cure is its hint
 * when the program is nowhere. The environment counts only as secure_getenv(3) sees it. */
int program_find(const char *name, const char *variable, const char *cure, char *path,
                 struct error *error);
