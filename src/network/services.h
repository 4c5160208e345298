/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a network serves its guests: addresses (DHCP), names (DNS) and IPv6 prefixes (router
 * advertisements), said as the configuration of one dnsmasq(8). Pure text: starting dnsmasq with it
 * is the holder's work.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/spec.h"
#include "network/address.h"

#define SERVICES_LEASE_HOURS 12 /* how long a lease lasts when it is not renewed */

/* Paths that dnsmasq uses. The directories must exist when it starts. */
struct services_paths {
    const char *leases;       /* file; dnsmasq creates and owns it */
    const char *reservations; /* directory of lines by services_reservation(); new files are seen */
    const char *names;        /* directory of files as in hosts(5); every change is seen */
};

/* What there is outside the network at the moment. */
struct services_upstream {
    const char *relay;            /* where names of others are asked, "127.0.0.1#5300"; or NULL */
    const char *const *resolvers; /* the host's, for dnsProxy false; NULL-terminated, or NULL */
    bool route6;                  /* there is a way out over IPv6 */
};

/* The configuration file, one option a line; the caller frees it. Guests are told of a router, and
 * names are asked for outside, only where the network has a way out. */
char *services_text(const struct spec *spec, const struct plan *plan,
                    const struct services_paths *paths, const struct services_upstream *upstream);

/* False when there is nothing to serve: DHCP, DNS and router advertisements are all off. */
bool services_needed(const struct spec *spec);

/* The most leases of both families together that are given out at a time. */
unsigned services_leases_max(const struct spec *spec);

/* One line (with newline) for the reservations directory: the guest with this MAC address gets this
 * name, this address, or both; the caller frees it. name and ip may be NULL: then what the
 * network's own reservations say for that MAC address counts, as dnsmasq follows only the last line
 * it read. */
char *services_reservation(const struct spec *spec, const uint8_t mac[6], const char *name,
                           const struct in_addr *ip);
