/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of manage.c. */
#pragma once

#include "cli/verb.h"

extern const struct verb verb_up, verb_down, verb_check;
