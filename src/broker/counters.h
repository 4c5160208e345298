/* SPDX-License-Identifier: Apache-2.0 */
/* The method Counters: what tally.h gathers, as one reply or, with "more", one for each network. */
#pragma once

#include "broker/broker.h"

/* name NULL: all networks. On failure the call is still the caller's to end. */
int counters_call(struct broker *broker, struct call *call, const char *name, struct error *error);
