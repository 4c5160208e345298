/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fragments put together again (RFC 791 3.2, RFC 8200 4.5), the simple way: the namespace's own
 * defragmentation (nf_defrag, which TPROXY's rules bring along) has already waited for all pieces,
 * checked them, and cut the packet again to the sizes it came in. So the pieces of a packet arrive
 * in order and without overlap, between those of a few others at most, and anything else is
 * dropped.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct packet;
struct fragments;

struct fragments *fragments_new(void);
void fragments_free(struct fragments *fragments); /* accepts NULL */

/* Takes a packet whose `fragment` is true. Returns the whole packet when this was its last piece,
 * as a packet that was never cut, valid until the next call; else NULL. */
uint8_t *fragments_add(struct fragments *fragments, const uint8_t *data,
                       const struct packet *packet, size_t *ret_size);
