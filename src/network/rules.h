/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The nftables rules inside a network, as text: which frames of guests go where. Pure; the holder
 * applies the text, `vmlan inspect` shows it.
 */
#pragma once

#include "config/spec.h"
#include "network/address.h"

/* Marks of packets, tables of routes and the device out: see segment.c. */
enum {
    RULES_MARK_LOCAL = 1, /* to the transparent sockets */
    RULES_MARK_OUT = 2,   /* out by the TUN device, although the address is ours */
};

/* The whole ruleset; applying it replaces an earlier one in one step. The caller frees it. */
char *rules_text(const struct spec *spec, const struct plan *plan);
