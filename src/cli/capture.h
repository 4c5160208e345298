/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "cli/verb.h"

extern const struct verb verb_capture;
