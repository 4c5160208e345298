/* SPDX-License-Identifier: Apache-2.0 */
/* The verb of service.c. */
#pragma once

#include "cli/verb.h"

extern const struct verb verb_service;
