/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/dial.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

void dial_set_syn(struct dial *dial, const void *data, const struct packet *syn)
{
    const uint8_t *tcp = (const uint8_t *)data + syn->l4;
    size_t size = (size_t)(tcp[12] >> 4) * 4, l4;
    const struct packet_head head = {&syn->src,
                                     &syn->dst,
                                     .protocol = IPPROTO_TCP,
                                     .hop_limit = syn->hop_limit,
                                     .traffic_class = syn->traffic_class,
                                     .dont_fragment = true};

    l4 = packet_ip(dial->bytes, &head, size);
    memcpy(dial->bytes + l4, tcp, size);
    dial->size = l4 + size;
    dial->syn = *syn;
    dial->syn.l4 = l4;
    dial->syn.size = dial->size;
    dial->syn.cut = false;
    packet_checksum(dial->bytes, &dial->syn); /* a guest may leave its own to the hardware */
}

/* A raw socket takes no port: raw(7), and for IPv6 it must be 0. */
static void dial_send(int fd, const void *bytes, size_t size, const union endpoint *to)
{
    union endpoint address = {.any.sa_family = to->any.sa_family};

    if (to->any.sa_family == AF_INET)
        address.v4.sin_addr = to->v4.sin_addr;
    else
        address.v6.sin6_addr = to->v6.sin6_addr;
    /* Lost like any packet may be: the guest repeats its SYN. */
    (void)!sendto(fd, bytes, size, MSG_DONTWAIT, &address.any, endpoint_size(&address));
}

void dial_inject(const struct dial *dial, struct uplink *uplink)
{
    const struct uplink_fds *fds = uplink_fds(uplink);
    bool v4 = dial->syn.dst.any.sa_family == AF_INET;

    dial_send(v4 ? fds->mark4 : fds->mark6, dial->bytes, dial->size, &dial->syn.dst);
}

static union endpoint dial_gateway(const struct uplink_config *config, sa_family_t family)
{
    union endpoint gateway = {.any.sa_family = family};

    if (family == AF_INET)
        gateway.v4.sin_addr = config->gateway;
    else
        gateway.v6.sin6_addr = config->gateway6;
    return gateway;
}

/* A timeout is seen by the guest itself. What only this process lacks may be there when the guest
 * repeats its SYN. */
static bool dial_silent(int error)
{
    static const int silent[] = {ETIMEDOUT, EMFILE, ENFILE, ENOBUFS, ENOMEM, EAGAIN};

    for (size_t i = 0; i < ARRAY_SIZE(silent); i++)
        if (error == -silent[i])
            return true;
    return false;
}

void dial_refuse(const struct dial *dial, struct uplink *uplink, int error)
{
    const struct uplink_fds *fds = uplink_fds(uplink);
    sa_family_t family = dial->syn.src.any.sa_family;
    union endpoint gateway = dial_gateway(uplink_config(uplink), family);
    uint8_t bytes[PACKET_ERROR_MAX];
    size_t size;

    if (dial_silent(error))
        return;
    if (error == -ECONNREFUSED || error == -ECONNRESET)
        size = packet_reset(bytes, dial->bytes, &dial->syn);
    else
        size =
            packet_icmp_error(bytes, &gateway, packet_error_of(-error), 0, dial->bytes, &dial->syn);
    if (size)
        dial_send(family == AF_INET ? fds->raw4 : fds->raw6, bytes, size, &dial->syn.src);
}

static int dial_socket(sa_family_t family)
{
    int on = 1, fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);

    if (fd < 0)
        return -errno;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
    return fd;
}

static void dial_event(struct source *source, uint32_t events);

static int dial_connect(struct dial *dial, struct loop *loop, const union endpoint *to)
{
    dial->fd = dial_socket(to->any.sa_family);
    if (dial->fd < 0)
        return dial->fd;
    if (connect(dial->fd, &to->any, endpoint_size(to)) < 0 && errno != EINPROGRESS)
        return -errno;
    return source_add(loop, &dial->source, dial->fd, EPOLLOUT, dial_event);
}

/* The attempt ended with error; a refused one may have a second address. */
static void dial_result(struct dial *dial, struct loop *loop, int error)
{
    while (error < 0 && dial->second.any.sa_family != AF_UNSPEC && error == -ECONNREFUSED) {
        union endpoint to = dial->second;

        dial->second.any.sa_family = AF_UNSPEC;
        fd_close(&dial->fd);
        error = dial_connect(dial, loop, &to);
        if (error == 0)
            return;
    }
    if (error < 0)
        fd_close(&dial->fd);
    dial->done(dial, error, dial->context);
}

static void dial_event(struct source *source, uint32_t events)
{
    struct dial *dial = container_of(source, struct dial, source);
    struct loop *loop = source->loop;
    int error = 0;
    socklen_t size = sizeof(error);

    (void)events;
    if (getsockopt(dial->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        error = errno;
    source_remove(source);
    dial_result(dial, loop, -error);
}

void dial_start(struct dial *dial, struct uplink *uplink,
                void (*done)(struct dial *dial, int error, void *context), void *context)
{
    union endpoint to;
    int r = host_destination(uplink, &dial->syn.dst, &to, &dial->second);

    dial->done = done;
    dial->context = context;
    dial->fd = -1;
    if (r == 0)
        r = dial_connect(dial, uplink_loop(uplink), &to);
    else
        dial->second.any.sa_family = AF_UNSPEC;
    if (r < 0)
        dial_result(dial, uplink_loop(uplink), r);
}
