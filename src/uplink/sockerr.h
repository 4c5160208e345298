/* SPDX-License-Identifier: Apache-2.0 */
/* The error queue of a host socket (IP_RECVERR: ip(7), ipv6(7)), and how it gets back to a guest.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "uplink/uplink.h"

struct tun;

enum { SOCKERR_QUOTE_MAX = 1232 }; /* an ICMPv6 error's 1280 bytes less two headers */

/* What came back for a datagram that was sent. */
struct sockerr {
    int error;               /* positive errno */
    bool icmp;               /* by ICMP or ICMPv6; else this kernel says so itself */
    uint8_t type, code;      /* of the ICMP message */
    uint32_t info;           /* the MTU, where the error is about that */
    union endpoint offender; /* who says so; family AF_UNSPEC: unknown */
    size_t size;             /* bytes of the datagram that came back */
    uint8_t data[SOCKERR_QUOTE_MAX];
};

/* Asks for the error queue; call it before connect(). Negative errno. */
int sockerr_enable(int fd, int family);

/* Takes the next error. 0; -EAGAIN: none left; other negative errno. */
int sockerr_read(int fd, struct sockerr *ret);

/* Writes the error to the guest as the ICMP or ICMPv6 error it was, about `packet`: a packet from
 * the guest to `remote` as the guest would have sent it, size bytes. An error of remote itself (as
 * the host knows it: `host`) comes from remote, one of a router beyond the host from that router,
 * any other from the gateway. */
void sockerr_tell(struct tun *tun, const struct sockerr *e, const union endpoint *host,
                  const union endpoint *remote, const void *packet, size_t size);
