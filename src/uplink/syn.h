/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connect before accept: what a guest's connect() gets is what a process of the host would get.
 *
 * nftables inside holds every fresh SYN of a guest and reports it here (NFLOG). The upstream is
 * dialled from the host; once that has succeeded, the SYN is sent again on a socket whose mark lets
 * it through to the listener, whose accept() then finds the upstream here. A refused dial is
 * answered by a reset, an unreachable one by an ICMP error, a filtered one by nothing. Guests
 * repeat their SYN, so losing one costs time only: what exceeds a limit is ignored.
 */
#pragma once

#include "uplink/guests.h"

struct syn;

/* guests is borrowed. Reads fds.nflog, writes to raw and mark. */
int syn_new(struct uplink *uplink, struct guests *guests, struct syn **ret);
void syn_free(struct syn *syn); /* accepts NULL */

/* The connected upstream for the flow of guest to `to`, now the caller's, as is the guest's dial:
 * guests_join() or guests_leave_dial(). -ENOENT: there is none. */
int syn_take(struct syn *syn, const union endpoint *guest, const union endpoint *to,
             struct guest **ret);
