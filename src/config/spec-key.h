/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A key of a network's configuration, as the table in spec.c has it, and the kinds of values a key
 * can have. A kind is one pair of functions; parsing, printing and comparing follow from it.
 */
#pragma once

#include "config/check.h"

struct spec_key;

struct spec_type {
    /* Checks value, which is not null, and writes the key's field; adds faults where it can't. */
    void (*parse)(struct check *check, const struct spec_key *key, const json_t *value,
                  struct spec *spec);
    /* The canonical value, a new reference; NULL: not known yet, leave the key out. */
    json_t *(*print)(const struct spec_key *key, const struct spec *spec);
};

struct spec_key {
    const char *name;
    const struct spec_type *type;
    size_t offset;     /* of the field in struct spec */
    unsigned min, max; /* of numbers */
};

static inline void *spec_field(const struct spec_key *key, const struct spec *spec)
{
    return (char *)spec + key->offset;
}

/* reservation.c: `reservations`, and what can only be judged once the subnet is known. */
extern const struct spec_type spec_reservations;
void reservation_check_subnet(struct check *check, const struct spec *spec);
/* dhcp-option.c: `dhcpOptions`. */
extern const struct spec_type spec_dhcp_options;
/* forwards.c: `forwards`, and what can only be judged once the subnets are known. */
extern const struct spec_type spec_forwards;
void forwards_check_subnet(struct check *check, const struct spec *spec);
/* egress.c: `egress`. */
extern const struct spec_type spec_egress_type;
