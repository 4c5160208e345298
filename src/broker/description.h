/* SPDX-License-Identifier: Apache-2.0 */
/* What holders say of their networks, in the words of io.vmlan.Broker. */
#pragma once

#include <jansson.h>

#include "config/spec.h"

/* Puts gateway, gateway6 and domain of the network into reply. */
void description_plan(json_t *reply, const struct spec *spec);
/* A new object of the type Network, from a holder's Describe and the network's leases. */
json_t *description_of(const json_t *described, const struct spec *spec, const json_t *leases);
