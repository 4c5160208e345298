/* SPDX-License-Identifier: Apache-2.0 */
/* The verb of bench.c. */
#pragma once

#include "cli/verb.h"

extern const struct verb verb_bench;
