/* SPDX-License-Identifier: Apache-2.0 */
/* See sockerr.h. */
#include "uplink/sockerr.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <string.h>
#include <sys/socket.h>

#include "uplink/packet.h"
#include "uplink/tun.h"

int sockerr_enable(int fd, int family)
{
    const int on = 1;
    int r = family == AF_INET ? setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on))
                              : setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof(on));

    return r < 0 ? -errno : 0;
}

static void offender_copy(union endpoint *to, const struct sock_extended_err *from, size_t size)
{
    const struct sockaddr *offender = SO_EE_OFFENDER(from);

    *to = (union endpoint){.any.sa_family = AF_UNSPEC};
    if (offender->sa_family == AF_INET && size >= sizeof(*from) + sizeof(to->v4))
        memcpy(&to->v4, offender, sizeof(to->v4));
    else if (offender->sa_family == AF_INET6 && size >= sizeof(*from) + sizeof(to->v6))
        memcpy(&to->v6, offender, sizeof(to->v6));
}

int sockerr_read(int fd, struct sockerr *ret)
{
    union {
        struct cmsghdr align;
        char bytes[512];
    } control;
    struct iovec iov = {ret->data, sizeof(ret->data)};
    struct msghdr message = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof(control),
    };
    ssize_t got = recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT);

    if (got < 0)
        return -errno;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
        const struct sock_extended_err *e = (const void *)CMSG_DATA(c);
        size_t size = c->cmsg_len - CMSG_LEN(0);

        if (!(c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) &&
            !(c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR))
            continue;
        if (size < sizeof(*e))
            continue;
        ret->error = (int)e->ee_errno;
        ret->icmp = e->ee_origin == SO_EE_ORIGIN_ICMP || e->ee_origin == SO_EE_ORIGIN_ICMP6;
        ret->type = e->ee_type;
        ret->code = e->ee_code;
        ret->info = e->ee_info;
        ret->size = (size_t)got;
        offender_copy(&ret->offender, e, size);
        return 0;
    }
    return -EBADMSG;
}

/* Whether a packet may come into the network with this source: the kernel inside drops loopback
 * and link-local ones, and the network's own addresses would be a lie. */
static bool is_beyond(struct tun *tun, const union endpoint *e)
{
    if (e->any.sa_family == AF_INET6)
        return !IN6_IS_ADDR_LOOPBACK(&e->v6.sin6_addr) &&
               !IN6_IS_ADDR_UNSPECIFIED(&e->v6.sin6_addr) &&
               !IN6_IS_ADDR_LINKLOCAL(&e->v6.sin6_addr) && !tun_is_guest(tun, e);
    return e->any.sa_family == AF_INET && e->v4.sin_addr.s_addr != 0 &&
           *(const uint8_t *)&e->v4.sin_addr != 127 && !tun_is_guest(tun, e);
}

static bool is_too_big(const struct sockerr *e, int family)
{
    return family == AF_INET ? e->type == ICMP_DEST_UNREACH && e->code == ICMP_FRAG_NEEDED
                             : e->type == ICMP6_PACKET_TOO_BIG;
}

void sockerr_tell(struct tun *tun, const struct sockerr *e, const union endpoint *host,
                  const union endpoint *remote, const void *packet, size_t size)
{
    uint8_t error[PACKET_ERROR_MAX];
    const union endpoint *from = tun_gateway(tun, remote->any.sa_family);
    union endpoint offender = endpoint_address(&e->offender), there = endpoint_address(host);
    struct packet p;
    size_t written;

    if (packet_parse(packet, size, &p) < 0)
        return;
    if (!e->icmp) {
        tun_error(tun, packet_error_of(e->error), e->info, packet, &p);
        return;
    }
    if (endpoint_equal(&offender, &there))
        from = remote;
    else if (e->offender.any.sa_family == remote->any.sa_family && is_beyond(tun, &e->offender))
        from = &e->offender;
    written = packet_icmp(error, from, e->type, e->code,
                          is_too_big(e, remote->any.sa_family) ? e->info : 0, packet, &p);
    tun_write(tun, error, written);
}
