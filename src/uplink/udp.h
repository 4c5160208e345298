/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UDP of guests: one connected socket of the host for each flow, so that the kernel drops what is
 * not an answer and tells errors to whom they belong. A flow ends when it was idle: RFC 4787 4.3
 * asks for at least 2 minutes; until an answer came and for DNS it is less.
 *
 * Datagrams of one flow and size that are read from the TUN device together leave as one
 * super-datagram (UDP_SEGMENT), and arrive as one (UDP_GRO): udp(7).
 */
#pragma once

#include "uplink/packet.h"

struct tun;
struct udp;

int udp_new(struct tun *tun, struct udp **ret); /* tun outlives it; negative errno */
void udp_free(struct udp *udp);                 /* ends all flows; accepts NULL */
unsigned udp_flows(const struct udp *udp);      /* how many there are */

/* A whole UDP packet of a guest with a right checksum; segment > 0: a super-packet of datagrams
 * with so many bytes of payload each. data must stay until udp_flush(). */
void udp_input(struct udp *udp, const uint8_t *data, const struct packet *packet, unsigned segment);
/* Sends what udp_input() collected. */
void udp_flush(struct udp *udp);
