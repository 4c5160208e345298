/* SPDX-License-Identifier: Apache-2.0 */
/* See dns-tcp.h. A connection that finds no resolver is reset: dnsmasq then answers SERVFAIL. */
#include "uplink/dns-tcp.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>

#include "base/alloc.h"
#include "base/log.h"
#include "uplink/splice.h"

enum {
    DNS_TCP_MAX = 64, /* dnsmasq makes 20 at most; others wait in the kernel */
    DNS_TCP_DIAL_MS = 3000,
    DNS_TCP_PAUSE_MS = 200, /* after the process ran out of descriptors */
};

struct dns_tcp {
    struct loop *loop;
    const char *network;
    struct resolvers *resolvers;
    int listener;
    struct source source;
    struct timer pause;
    struct list links;
    unsigned count;
};

/* One connection: first a dial, then a splice. */
struct dns_link {
    struct dns_tcp *tcp;
    struct list link;
    int inside, outside; /* -1: not open, or the splice's */
    unsigned tried;      /* resolvers so far */
    struct source source;
    struct timer timer;
    struct splice *splice;
};

static void link_free(struct dns_link *link)
{
    struct dns_tcp *tcp = link->tcp;

    source_remove(&link->source);
    timer_done(&link->timer);
    splice_free(link->splice);
    fd_close(&link->outside);
    if (link->inside >= 0)
        splice_reset(take_fd(&link->inside));
    list_remove(&link->link);
    free(link);
    if (tcp->count-- == DNS_TCP_MAX)
        source_want(&tcp->source, EPOLLIN);
}

static void link_ended(void *context)
{
    struct dns_link *link = context;

    link->splice = NULL;
    link_free(link);
}

static void link_join(struct dns_link *link)
{
    source_remove(&link->source);
    timer_done(&link->timer);
    if (splice_join(link->tcp->loop, take_fd(&link->inside), take_fd(&link->outside), link_ended,
                    link, &link->splice) < 0)
        link_free(link);
}

static void link_dialed(struct source *source, uint32_t events);

static int link_dial_one(struct dns_link *link, const union endpoint *resolver)
{
    int one = 1;

    source_remove(&link->source);
    fd_close(&link->outside);
    link->outside = socket(resolver->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (link->outside < 0)
        return -errno;
    setsockopt(link->outside, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(link->outside, &resolver->any, endpoint_size(resolver)) < 0 && errno != EINPROGRESS)
        return -errno;
    return source_add(link->tcp->loop, &link->source, link->outside, EPOLLOUT, link_dialed);
}

/* Dials the next resolver; without one the connection is over. */
static void link_dial(struct dns_link *link)
{
    struct resolvers *resolvers = link->tcp->resolvers;

    resolvers_refresh(resolvers);
    while (link->tried < resolvers->count) {
        if (link_dial_one(link, &resolvers->list[link->tried++]) == 0) {
            timer_set(&link->timer, DNS_TCP_DIAL_MS);
            return;
        }
    }
    log_debug(link->tcp->network, "DNS over TCP: no resolver of the host takes it");
    link_free(link);
}

static void link_dialed(struct source *source, uint32_t events)
{
    struct dns_link *link = container_of(source, struct dns_link, source);
    int error = 0;
    socklen_t size = sizeof(error);

    (void)events;
    if (getsockopt(link->outside, SOL_SOCKET, SO_ERROR, &error, &size) < 0 || error)
        link_dial(link);
    else
        link_join(link);
}

static void link_late(struct timer *timer)
{
    link_dial(container_of(timer, struct dns_link, timer));
}

/* Takes inside. */
static void link_new(struct dns_tcp *tcp, int inside)
{
    struct dns_link *link = alloc_new(struct dns_link);
    int one = 1;

    *link = (struct dns_link){.tcp = tcp, .inside = inside, .outside = -1};
    list_append(&tcp->links, &link->link);
    if (++tcp->count == DNS_TCP_MAX)
        source_want(&tcp->source, 0);
    setsockopt(inside, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (timer_init(tcp->loop, &link->timer, link_late) < 0)
        link_free(link);
    else
        link_dial(link);
}

static void tcp_ready(struct source *source, uint32_t events)
{
    struct dns_tcp *tcp = container_of(source, struct dns_tcp, source);

    (void)events;
    for (int i = 0; i < DNS_TCP_MAX && tcp->count < DNS_TCP_MAX; i++) {
        int inside = accept4(tcp->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (inside >= 0) {
            link_new(tcp, inside);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != ECONNABORTED && errno != EINTR) {
            source_want(&tcp->source, 0);
            timer_set(&tcp->pause, DNS_TCP_PAUSE_MS);
            return;
        }
    }
}

static void tcp_go_on(struct timer *timer)
{
    struct dns_tcp *tcp = container_of(timer, struct dns_tcp, pause);

    if (tcp->count < DNS_TCP_MAX)
        source_want(&tcp->source, EPOLLIN);
}

int dns_tcp_new(struct loop *loop, const char *network, int listener, struct resolvers *resolvers,
                struct dns_tcp **ret)
{
    struct dns_tcp *tcp = alloc_new(struct dns_tcp);
    int r;

    *tcp = (struct dns_tcp){
        .loop = loop, .network = network, .listener = listener, .resolvers = resolvers};
    list_init(&tcp->links);
    r = timer_init(loop, &tcp->pause, tcp_go_on);
    if (r >= 0)
        r = source_add(loop, &tcp->source, listener, EPOLLIN, tcp_ready);
    if (r < 0) {
        dns_tcp_free(tcp);
        return r;
    }
    *ret = tcp;
    return 0;
}

void dns_tcp_free(struct dns_tcp *tcp)
{
    struct dns_link *link;

    if (!tcp)
        return;
    list_each(link, &tcp->links, link)
        link_free(link);
    source_remove(&tcp->source);
    timer_done(&tcp->pause);
    free(tcp);
}
