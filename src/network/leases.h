/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The addresses a network's DHCP service gave out, read from dnsmasq's lease file: the one record
 * that survives its restarts. dnsmasq owns the file and rewrites it in place, so a reader may see
 * an incomplete last line; that line is passed over and there on the next read.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json.h"

/* A new array of {address, mac or null, name or null, expires}; expires in seconds since 1970, 0:
 * never. Leases that ended at now (same clock) or before are left out; a line that is none is
 * passed over. Format: dnsmasq, src/lease.c, lease_update_file(); "duid" begins the IPv6 leases,
 * whose mac is the one inside the client's DUID where it has one (RFC 8415, 11.2 and 11.4). */
json_t *leases_parse(const char *text, size_t size, int64_t now);

/* The leases in a file as of now; a file that does not exist has none. Negative errno; -EFBIG when
 * the file can't be a lease file of ours. */
int leases_load(const char *path, json_t **ret);
/* Takes the leases of these addresses (an object's keys) out of the file, which nobody else may be
 * writing: dnsmasq does not run. Negative errno with a message. */
int leases_remove(const char *path, const json_t *addresses, struct error *error);
