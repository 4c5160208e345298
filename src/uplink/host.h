/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the uplink has to know of the host: its way to the internet, and where guests may go
 * (host_destination(), declared in uplink.h). Nothing is kept: each answer is a question to the
 * kernel of a few microseconds, so a change of the host's network is never missed.
 */
#pragma once

#include "uplink/uplink.h"

/* The address a process of the host would send from to the internet of that family (AF_INET,
 * AF_INET6); port 0. No packet is sent. -ENETUNREACH without a default route, -EADDRNOTAVAIL when
 * there is one but the host only has a loopback or link-local address for it. */
int host_route(int family, union endpoint *ret);
