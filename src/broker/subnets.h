/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which IPv4 subnet a network gets: the one its configuration names, if nothing on this host or
 * among the networks has it, or a free one, which is then kept for the network's name in the state
 * directory.
 */
#pragma once

#include "base/list.h"
#include "config/spec.h"

/* Settles spec->subnet. networks: list of struct network (network_of_link()) that run now. */
int subnets_settle(struct spec *spec, struct list *networks, struct error *error);
