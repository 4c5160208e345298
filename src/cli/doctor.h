/* SPDX-License-Identifier: Apache-2.0 */
/* The verb of doctor.c. */
#pragma once

#include "cli/verb.h"

extern const struct verb verb_doctor;
