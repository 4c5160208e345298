/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of show.c. */
#pragma once

#include "cli/verb.h"

extern const struct verb verb_ls, verb_inspect, verb_leases;
