/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's side of a flow without connection: a connected datagram socket (UDP or ping) that
 * sends with the hop limit, traffic class and fragmentation the guest's packets have, so that what
 * traceroute, ECN and path MTU discovery do inside means the same outside.
 */
#pragma once

#include <sys/socket.h>

#include "uplink/flows.h"
#include "uplink/packet.h"

struct tun;
struct hostsock;

struct hostsock_events {
    void (*errors)(struct hostsock *s);   /* empties the error queue (sockerr_read()) */
    void (*readable)(struct hostsock *s); /* datagrams have come */
};

struct hostsock {
    int fd;                                      /* non-blocking; -1: none */
    struct source source;                        /* of fd, in the uplink's loop */
    const struct hostsock_events *events;        /* borrowed */
    union endpoint host;                         /* it is connected there */
    union endpoint second;                       /* to try when that refuses; AF_UNSPEC: none */
    int hop_limit, traffic_class, dont_fragment; /* as set on fd; -1: not yet */
};

#define HOSTSOCK_NULL ((struct hostsock){.fd = -1})

/* Makes a socket (SOCK_DGRAM of that protocol) that is connected to where the host is to go for
 * `remote` (host_destination()). Where descriptors have run out the flow that was idle longest
 * gives its own. events are called from the uplink's loop; ret stays where it is. Negative errno:
 * as a process of the host would see it. */
int hostsock_open(struct uplink *uplink, struct flows *flows, const union endpoint *remote,
                  int protocol, const struct hostsock_events *events, struct hostsock *ret);
void hostsock_close(struct hostsock *s); /* accepts HOSTSOCK_NULL */

/* Makes what is sent next look like the guest's packet. */
void hostsock_carry(struct hostsock *s, const struct packet *packet);

/* Sends one message; negative errno. An error of an earlier one is reported by the kernel once
 * instead of sending: then errors() is called, and it is sent again. */
int hostsock_send(struct hostsock *s, const struct msghdr *message);

/* Goes over to the second destination. False when there is none or it can't be reached. */
bool hostsock_second(struct hostsock *s);

/* Tells the guest why its packet could not be sent: the errno, positive, of hostsock_send(). */
void hostsock_tell(const struct hostsock *s, struct tun *tun, int error, const uint8_t *data,
                   const struct packet *packet);
