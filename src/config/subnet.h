/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of subnets that only the checker needs: parsing without judgement, so that the message
 * can say what is wrong and what to write. The rest is in spec.h.
 */
#pragma once

#include "config/spec.h"

/* "ADDRESS/PREFIX", any prefix of the family and any host bits. Negative errno. */
int subnet4_split(const char *text, struct subnet4 *ret);
int subnet6_split(const char *text, struct subnet6 *ret);

/* Clears the host bits; true if there were any. */
bool subnet4_trim(struct subnet4 *subnet);
bool subnet6_trim(struct subnet6 *subnet);

/* What addresses there are for, e.g. "loopback", when no network may use them; else NULL. */
const char *subnet4_special(const struct subnet4 *subnet);
const char *subnet6_special(const struct subnet6 *subnet);
