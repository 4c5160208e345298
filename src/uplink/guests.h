/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much of the uplink's TCP each guest uses, by address, so that one can't starve the others:
 * dials (SYNs that were seen and whose upstream is being connected) and flows (joined pairs).
 */
#pragma once

#include "uplink/packet.h"

enum {
    GUESTS_DIALS = 4096,
    GUEST_DIALS = 512,
    GUESTS_FLOWS = 16384, /* dials count too; less where RLIMIT_NOFILE does not allow for it */
    GUEST_FLOWS = 4096,
};

struct guest;
struct guests;

struct guests *guests_new(void);
void guests_free(struct guests *guests); /* nobody may be in any more; accepts NULL */

/* Counts a dial of the guest at this address (the port is ignored). -EUSERS: this guest has its
 * share, -ENOSPC: all guests together have. */
int guests_enter(struct guests *guests, const union endpoint *address, struct guest **ret);
/* Its dial has become a flow. */
void guests_join(struct guests *guests, struct guest *guest);
/* Its dial, or its flow, is over. */
void guests_leave_dial(struct guests *guests, struct guest *guest);
void guests_leave_flow(struct guests *guests, struct guest *guest);

unsigned guests_flows(const struct guests *guests); /* of all guests */
