/* SPDX-License-Identifier: Apache-2.0 */
/* See hostsock.h. */
#include "uplink/hostsock.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/own.h"
#include "uplink/sockerr.h"
#include "uplink/tun.h"

/* The same things by both families' names. */
static const struct names {
    int level, hop_limit, traffic_class, fragment, dont, may, mtu;
} names4 = {IPPROTO_IP, IP_TTL, IP_TOS, IP_MTU_DISCOVER, IP_PMTUDISC_DO, IP_PMTUDISC_DONT, IP_MTU},
  names6 = {IPPROTO_IPV6,     IPV6_UNICAST_HOPS,  IPV6_TCLASS, IPV6_MTU_DISCOVER,
            IPV6_PMTUDISC_DO, IPV6_PMTUDISC_WANT, IPV6_MTU};

static const struct names *names_of(const struct hostsock *s)
{
    return s->host.any.sa_family == AF_INET ? &names4 : &names6;
}

static int connected_open(const struct uplink *uplink, const union endpoint *remote, int protocol,
                          struct hostsock *ret)
{
    struct hostsock s = {.hop_limit = -1, .dont_fragment = -1};
    int family = remote->any.sa_family, r;
    OWN(fd) int fd = -1;

    r = host_destination(uplink, remote, &s.host, &s.second);
    if (r < 0)
        return r;
    fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    if (fd < 0)
        return -errno;
    r = sockerr_enable(fd, family);
    if (r < 0)
        return r;
    if (connect(fd, &s.host.any, endpoint_size(&s.host)) < 0)
        return -errno;
    s.fd = take_fd(&fd);
    *ret = s;
    return 0;
}

static void socket_ready(struct source *source, uint32_t events)
{
    struct hostsock *s = container_of(source, struct hostsock, source);

    if (events & EPOLLERR)
        s->events->errors(s);
    if (events & EPOLLIN)
        s->events->readable(s);
}

int hostsock_open(struct uplink *uplink, struct flows *flows, const union endpoint *remote,
                  int protocol, const struct hostsock_events *events, struct hostsock *ret)
{
    int r = connected_open(uplink, remote, protocol, ret);

    if ((r == -EMFILE || r == -ENFILE) && flows_evict(flows))
        r = connected_open(uplink, remote, protocol, ret);
    if (r < 0)
        return r;
    ret->events = events;
    r = source_add(uplink_loop(uplink), &ret->source, ret->fd, EPOLLIN, socket_ready);
    if (r < 0)
        hostsock_close(ret);
    return r;
}

void hostsock_close(struct hostsock *s)
{
    source_remove(&s->source);
    fd_close(&s->fd);
}

/* A value that can't be set stays the kernel's own: the packet goes out all the same. */
static void option_carry(const struct hostsock *s, int option, int *now, int wanted, int value)
{
    if (*now == wanted)
        return;
    setsockopt(s->fd, names_of(s)->level, option, &value, sizeof(value));
    *now = wanted;
}

void hostsock_carry(struct hostsock *s, const struct packet *packet)
{
    const struct names *n = names_of(s);

    option_carry(s, n->hop_limit, &s->hop_limit, packet->hop_limit, packet->hop_limit);
    option_carry(s, n->traffic_class, &s->traffic_class, packet->traffic_class,
                 packet->traffic_class);
    option_carry(s, n->fragment, &s->dont_fragment, packet->dont_fragment,
                 packet->dont_fragment ? n->dont : n->may);
}

int hostsock_send(struct hostsock *s, const struct msghdr *message)
{
    int error = 0;

    for (int attempt = 0; attempt < 2; attempt++) {
        if (sendmsg(s->fd, message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
            return 0;
        error = errno;
        if (error == EAGAIN || error == ENOBUFS)
            return 0; /* lost, as on any link that is full */
        s->events->errors(s);
    }
    return -error;
}

bool hostsock_second(struct hostsock *s)
{
    if (s->second.any.sa_family == AF_UNSPEC ||
        connect(s->fd, &s->second.any, endpoint_size(&s->second)) < 0)
        return false;
    s->host = s->second;
    s->second.any.sa_family = AF_UNSPEC;
    return true;
}

/* The path MTU as the kernel knows it. */
static uint32_t path_mtu(const struct hostsock *s)
{
    int mtu = 0;
    socklen_t size = sizeof(mtu);

    if (getsockopt(s->fd, names_of(s)->level, names_of(s)->mtu, &mtu, &size) < 0 || mtu <= 0)
        return s->host.any.sa_family == AF_INET ? 576 : 1280; /* what every link carries */
    return (uint32_t)mtu;
}

void hostsock_tell(const struct hostsock *s, struct tun *tun, int error, const uint8_t *data,
                   const struct packet *packet)
{
    uint32_t mtu = error == EMSGSIZE ? path_mtu(s) : 0;

    tun_error(tun, packet_error_of(error), mtu, data, packet);
}
