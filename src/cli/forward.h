/* SPDX-License-Identifier: Apache-2.0 */
/* The verb of forward.c. */
#pragma once

#include "cli/verb.h"

extern const struct verb verb_forward;
