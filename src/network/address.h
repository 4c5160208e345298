/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The addresses a network runs with: everything that follows from its specification and this
 * machine, and nothing that depends on the moment. The same network gets the same plan every time,
 * so guests keep their addresses.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/spec.h"

#define PLAN_BRIDGE     "br0"      /* the bridge's name in the network's namespace */
#define PLAN_DOMAIN_TOP "internal" /* for private use: ICANN board resolution 2024.07.29.06 */

struct plan {
    struct in_addr gateway;     /* the bridge's own: the first host address of the subnet */
    struct in_addr first, last; /* what DHCP gives out; first is after last in no valid subnet */
    bool has6;
    struct in6_addr prefix_address6; /* the /64, host bits zero */
    struct in6_addr gateway6;        /* ::1 in it */
    unsigned prefix6;                /* bits */
    uint8_t bridge_mac[6];
    char domain[SPEC_NAME_MAX + sizeof("." PLAN_DOMAIN_TOP)]; /* NAME.internal */
};

/* spec->subnet must be known: a prefix of 8 to 29. Without subnet6 the /64 is a unique local one
 * that is stable for machine and name: RFC 4193, 3.2. Can't fail. */
void plan_make(const struct spec *spec, struct plan *ret);
