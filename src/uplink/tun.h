/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TUN device at the end of the namespace's default routes: IP packets of guests to anywhere
 * outside come out of it, answers go into it. Each has a virtio-net header in front of it, so that
 * checksums may be left to whoever needs them last and several datagrams of one size travel as one
 * super-packet (GSO_UDP_L4, where the kernel knows it: 6.2).
 *
 *   in    read -> fragments.h -> udp.h, icmp.h; whatever else it is gets an honest ICMP error
 *   out   tun_write(); IPv4 larger than the network's MTU is fragmented by the kernel inside, IPv6,
 *         which routers do not fragment, here
 */
#pragma once

#include <linux/virtio_net.h>
#include <sys/uio.h>

#include "uplink/packet.h"

struct tun;

/* Reads uplink_fds()->tun, which stays the uplink's, until tun_free(). Negative errno. */
int tun_new(struct uplink *uplink, struct tun **ret);
void tun_free(struct tun *tun); /* accepts NULL */

/* How many flows there are of each kind. */
void tun_flows(const struct tun *tun, unsigned *ret_udp, unsigned *ret_ping);

/* What follows is for udp.c, icmp.c and sockerr.c. */

struct uplink *tun_uplink(const struct tun *tun);
struct pace *tun_pace(struct tun *tun);                               /* for sockets, too */
const union endpoint *tun_gateway(const struct tun *tun, int family); /* borrowed */
bool tun_is_guest(const struct tun *tun, const union endpoint *address);

/* Fills the vnet header of a datagram to be written whose checksum is partial; segment > 0: a
 * super-packet of datagrams with so many bytes of payload each. False where that can't be: write
 * them one by one, with whole checksums. */
bool tun_offload(const struct tun *tun, int family, size_t payload, unsigned segment,
                 struct virtio_net_hdr *ret);

/* Writes one IP packet of size bytes (0: nothing). What does not fit the queue is lost, as on any
 * link. */
void tun_write(struct tun *tun, const void *packet, size_t size);
/* The same with a header of tun_offload(): the packet stands in count - 1 pieces behind pieces[0],
 * which is room for that header. */
void tun_write_offload(struct tun *tun, const struct virtio_net_hdr *hdr, struct iovec *pieces,
                       int count);
/* The identification of the next count IPv4 packets: the first of them. */
uint16_t tun_take_ids(struct tun *tun, unsigned count);

/* Tells the guest, from the gateway, why its packet could not go on; at a bounded rate. value: the
 * MTU for PACKET_TOO_BIG. */
void tun_error(struct tun *tun, enum packet_error error, uint32_t value, const void *data,
               const struct packet *packet);

/* One packet as it was read, without its vnet header; for tests and the fuzz target. data stays
 * valid until tun_flush(). */
void tun_input(struct tun *tun, const struct virtio_net_hdr *hdr, uint8_t *data, size_t size);
void tun_flush(struct tun *tun);
