/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See route6.h. What the kernel tells (rtnetlink) only says when to look again; the state itself is
 * a look-up of a route, so that it is right whatever was missed and however many routes there are.
 */
#include "uplink/route6.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "kernel/rtnl.h"
#include "uplink/host.h"

/* A storm of changes (a VPN that comes up, a router's full table) is one change. */
enum { ROUTE6_SETTLE_MS = 200 };

struct route6 {
    struct loop *loop;
    route6_fn *changed;
    void *context;
    int fd; /* tells of changes; not listened to while settle runs */
    struct source source;
    struct timer settle;
    enum { ROUTE6_UNKNOWN, ROUTE6_THERE, ROUTE6_GONE } state;
};

static void route6_told(struct source *source, uint32_t events)
{
    struct route6 *route6 = container_of(source, struct route6, source);

    (void)events;
    source_remove(&route6->source);
    timer_set(&route6->settle, ROUTE6_SETTLE_MS);
}

/* Bounded: what remains only makes us look once more. */
static void messages_drop(int fd)
{
    char byte;

    for (int i = 0; i < 4096; i++)
        if (recv(fd, &byte, 1, MSG_TRUNC) < 0 && errno != ENOBUFS && errno != EINTR)
            return;
}

static void route6_settled(struct timer *timer)
{
    struct route6 *route6 = container_of(timer, struct route6, settle);
    union endpoint source;
    int state;

    messages_drop(route6->fd);
    state = host_route(AF_INET6, &source) == 0 ? ROUTE6_THERE : ROUTE6_GONE;
    if (source_add(route6->loop, &route6->source, route6->fd, EPOLLIN, route6_told) < 0)
        timer_set(&route6->settle, 1000); /* the state is looked at all the same */
    if (state == (int)route6->state)
        return;
    route6->state = state;
    route6->changed(route6->context, state == ROUTE6_THERE);
}

int route6_new(struct loop *loop, route6_fn *changed, void *context, struct route6 **ret)
{
    struct route6 *route6 = alloc_new(struct route6);
    int r;

    *route6 = (struct route6){.loop = loop, .changed = changed, .context = context, .fd = -1};
    r = rtnl_monitor_routes6(&route6->fd, NULL);
    if (r >= 0)
        r = timer_init(loop, &route6->settle, route6_settled);
    if (r < 0) {
        route6_free(route6);
        return r;
    }
    timer_set(&route6->settle, 0);
    *ret = route6;
    return 0;
}

void route6_free(struct route6 *route6)
{
    if (!route6)
        return;
    timer_done(&route6->settle);
    source_remove(&route6->source);
    fd_close(&route6->fd);
    free(route6);
}
