/* SPDX-License-Identifier: Apache-2.0 */
/* The method List: every network that runs, each as its holder describes it. */
#pragma once

#include "wire/conn.h"

void listing_call(struct call *call);
