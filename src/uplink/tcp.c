/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/tcp.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/log.h"
#include "uplink/pipes.h"
#include "uplink/rate.h"
#include "uplink/splice.h"
#include "uplink/syn.h"

enum { ACCEPTS = 64 }; /* an event */

struct listener {
    struct source source;
    struct tcp *tcp;
};

struct tcp {
    struct uplink *uplink;
    struct guests *guests;
    struct syn *syn;
    struct listener listeners[2];
    struct list flows;
    int spare;       /* see tcp_shed() */
    uint64_t warned; /* rate_due() */
};

struct flow {
    struct list link;
    struct tcp *tcp;
    struct guest *guest;
    struct splice *splice;
};

static void flow_free(struct flow *flow)
{
    list_remove(&flow->link);
    guests_leave_flow(flow->tcp->guests, flow->guest);
    free(flow);
}

static void flow_ended(void *context)
{
    flow_free(context);
}

/* Takes both sockets. */
static void tcp_join(struct tcp *tcp, int inside, int upstream, struct guest *guest)
{
    struct flow *flow = alloc_new(struct flow);
    int r;

    *flow = (struct flow){.tcp = tcp, .guest = guest};
    list_append(&tcp->flows, &flow->link);
    guests_join(tcp->guests, guest);
    r = splice_join(uplink_loop(tcp->uplink), inside, upstream, flow_ended, flow, &flow->splice);
    if (r < 0)
        flow_free(flow);
}

/* Takes the socket, whose own address is where the guest wanted to go. */
static void tcp_accepted(struct tcp *tcp, int inside, const union endpoint *from)
{
    union endpoint to;
    socklen_t size = sizeof(to);
    struct guest *guest;
    int upstream = -ENOENT;

    if (getsockname(inside, &to.any, &size) == 0)
        upstream = syn_take(tcp->syn, from, &to, &guest);
    if (upstream < 0)
        splice_reset(inside);
    else
        tcp_join(tcp, inside, upstream, guest);
}

/* Without a free descriptor the next in the queue can't be accepted, and epoll would go on telling
 * about it: the spare one is used to reset it. */
static void tcp_shed(struct tcp *tcp, int listener, int error)
{
    int fd;

    if (rate_due(&tcp->warned))
        log_warn(uplink_config(tcp->uplink)->network, "accept: %s", strerror(error));
    fd_close(&tcp->spare);
    fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        splice_reset(fd);
    tcp->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void tcp_accept(struct source *source, uint32_t events)
{
    struct tcp *tcp = container_of(source, struct listener, source)->tcp;
    union endpoint from;
    int fd = 0;

    (void)events;
    for (int i = 0; i < ACCEPTS && fd >= 0; i++) {
        socklen_t size = sizeof(from);

        fd = accept4(source->fd, &from.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
            tcp_accepted(tcp, fd, &from);
        else if (errno == ECONNABORTED || errno == EINTR)
            fd = 0; /* that one has gone; the next */
        else if (errno != EAGAIN)
            tcp_shed(tcp, source->fd, errno);
    }
}

/* Options that accepted sockets inherit. Guests that vanish without a word are noticed after two
 * minutes. A control that paces (BBR) only slows the short way to a guest. */
static void tcp_options(int fd)
{
    static const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},    {SOL_SOCKET, SO_OOBINLINE, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},    {IPPROTO_TCP, TCP_KEEPIDLE, 60},
        {IPPROTO_TCP, TCP_KEEPINTVL, 20}, {IPPROTO_TCP, TCP_KEEPCNT, 3},
    };

    for (size_t i = 0; i < ARRAY_SIZE(options); i++)
        setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
    setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", strlen("cubic"));
}

static int tcp_listen(struct tcp *tcp, struct listener *listener, int fd)
{
    listener->tcp = tcp;
    if (fd < 0)
        return 0;
    tcp_options(fd);
    return source_add(uplink_loop(tcp->uplink), &listener->source, fd, EPOLLIN, tcp_accept);
}

int tcp_new(struct uplink *uplink, struct tcp **ret)
{
    const struct uplink_fds *fds = uplink_fds(uplink);
    struct tcp *tcp = alloc_new(struct tcp);
    int r;

    tcp->uplink = uplink;
    list_init(&tcp->flows);
    tcp->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    tcp->guests = guests_new();
    r = syn_new(uplink, tcp->guests, &tcp->syn);
    if (r == 0)
        r = tcp_listen(tcp, &tcp->listeners[0], fds->listen4);
    if (r == 0)
        r = tcp_listen(tcp, &tcp->listeners[1], fds->listen6);
    if (r < 0)
        tcp_free(tcp);
    else
        *ret = tcp;
    return r;
}

void tcp_free(struct tcp *tcp)
{
    struct flow *flow;

    if (!tcp)
        return;
    for (int i = 0; i < 2; i++)
        source_remove(&tcp->listeners[i].source);
    list_each(flow, &tcp->flows, link) {
        splice_free(flow->splice);
        flow_free(flow);
    }
    syn_free(tcp->syn);
    guests_free(tcp->guests);
    fd_close(&tcp->spare);
    pipes_close();
    free(tcp);
}

unsigned tcp_flows(const struct tcp *tcp)
{
    return guests_flows(tcp->guests);
}
