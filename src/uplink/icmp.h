/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Echo requests of guests (RFC 792, RFC 4443 4.1) by ping sockets of the host, one for each guest,
 * destination and identifier; icmp(7), ping_group_range. Where the host allows this process none,
 * the guest is told so (administratively prohibited): no reply is ever made up. Other messages of
 * guests are ignored.
 */
#pragma once

#include "uplink/packet.h"

struct tun;
struct icmp;

int icmp_new(struct tun *tun, struct icmp **ret); /* tun outlives it; negative errno */
void icmp_free(struct icmp *icmp);                /* ends all flows; accepts NULL */
unsigned icmp_flows(const struct icmp *icmp);     /* how many there are */

/* A whole ICMP or ICMPv6 packet of a guest with a right checksum. */
void icmp_input(struct icmp *icmp, const uint8_t *data, const struct packet *packet);
