/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Datagrams that a host's UDP socket received, on their way to the guest. Each way in costs the
 * kernel about the same whatever it carries, so datagrams of one size that wait together enter the
 * namespace as one super-packet (tun_offload()), which the guest's kernel takes apart again.
 */
#pragma once

#include "uplink/packet.h"

struct tun;
struct answers;

struct answers *answers_new(struct tun *tun); /* tun outlives it */
void answers_free(struct answers *answers);   /* accepts NULL */

/* Hands the guest at `to` what waits on fd (UDP, with UDP_GRO or not), as sent by `from`; at most
 * PACE_BATCH messages. Returns how many there were. */
unsigned answers_carry(struct answers *answers, int fd, const union endpoint *from,
                       const union endpoint *to);
