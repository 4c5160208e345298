/* SPDX-License-Identifier: Apache-2.0 */
/* The verb that gives a command a connected stream. */
#pragma once

#include "cli/verb.h"

extern const struct verb verb_connect_fd;
