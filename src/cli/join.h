/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of join.c. */
#pragma once

#include "cli/verb.h"

extern const struct verb verb_join, verb_exec;
