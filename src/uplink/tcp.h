/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP of guests to the world: the kernel inside ends the guest's connection (TPROXY), the host has
 * its own to the destination (syn.h dialled it), and the two are joined (splice.h). Urgent data
 * goes along as ordinary data.
 */
#pragma once

#include "uplink/uplink.h"

struct tcp;

/* Reads listen4, listen6 and what syn.h needs of uplink_fds(). */
int tcp_new(struct uplink *uplink, struct tcp **ret);

unsigned tcp_flows(const struct tcp *tcp); /* how many there are */

/* Resets all flows. Accepts NULL. */
void tcp_free(struct tcp *tcp);
