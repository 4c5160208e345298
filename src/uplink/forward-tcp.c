/* SPDX-License-Identifier: Apache-2.0 */
/* TCP forwards: accept, find and dial the guest, join. See forwards-private.h. */
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/own.h"
#include "uplink/forwards-private.h"
#include "uplink/rate.h"
#include "uplink/splice.h"

/* A client's connection on its way to a guest. */
struct caller {
    struct list link; /* rule->tcp, then forwards->joined */
    struct list age;  /* forwards->dialing */
    struct forwards *forwards;
    struct listener *listener; /* NULL once joined */
    struct waiter waiter;
    struct source source; /* of guest, while connecting */
    int host, guest;      /* -1 while there is none, and once joined */
    int attempt;          /* index of the guest's address */
    uint64_t deadline;
    struct splice *splice;
};

static void caller_free(struct caller *caller)
{
    struct forwards *forwards = caller->forwards;

    if (!list_empty(&caller->age))
        forwards->dials--;
    list_remove(&caller->age);
    list_remove(&caller->link);
    list_remove(&caller->waiter.link);
    source_remove(&caller->source);
    fd_close(&caller->guest);
    if (caller->host >= 0)
        splice_reset(caller->host);
    splice_free(caller->splice);
    free(caller);
    forwards->tcp_count--;
    /* Half of the room first, so that a burst does not switch listeners for each connection. */
    if (forwards->tcp_count < FORWARD_TCP_MAX / 2 && forwards->dials < FORWARD_DIALS_MAX / 2)
        forwards_unpause(forwards);
}

static void caller_ended(void *context)
{
    struct caller *caller = context;

    caller->splice = NULL;
    caller_free(caller);
}

/* Guests vanish without a word; the host's own connections don't. */
static void caller_tune(const struct caller *caller)
{
    static const int yes = 1, idle = 60, interval = 20, probes = 3;

    setsockopt(caller->host, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    setsockopt(caller->guest, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    setsockopt(caller->host, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof(yes));
    setsockopt(caller->guest, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof(yes));
    setsockopt(caller->guest, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    setsockopt(caller->guest, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
    setsockopt(caller->guest, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

static void caller_join(struct caller *caller)
{
    struct forwards *forwards = caller->forwards;

    source_remove(&caller->source);
    caller_tune(caller);
    list_remove(&caller->age);
    forwards->dials--;
    list_remove(&caller->link);
    list_append(&forwards->joined, &caller->link);
    caller->listener = NULL;
    if (splice_join(forwards->loop, take_fd(&caller->host), take_fd(&caller->guest), caller_ended,
                    caller, &caller->splice) < 0)
        caller_free(caller);
}

static void caller_connected(struct source *source, uint32_t events)
{
    struct caller *caller = container_of(source, struct caller, source);
    socklen_t size = sizeof(int);
    int error = 0;

    (void)events;
    getsockopt(caller->guest, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error == 0) {
        caller_join(caller);
        return;
    }
    log_debug(caller->forwards->network->network, "forward: guest does not answer: error %d",
              error);
    source_remove(&caller->source);
    fd_close(&caller->guest);
    caller->attempt++;
    rule_wait(caller->listener->rule, &caller->waiter);
    rule_advance(caller->listener->rule);
}

/* Dials the current address. 0: under way or connected, else negative errno. */
static int caller_connect(struct caller *caller)
{
    struct forwards *forwards = caller->forwards;
    union endpoint to = rule_destination(caller->listener, caller->attempt);

    caller->guest =
        forwards->inside.socket(forwards->inside.context, to.any.sa_family, SOCK_STREAM);
    if (caller->guest < 0)
        return caller->guest;
    if (connect(caller->guest, &to.any, endpoint_size(&to)) < 0 && errno != EINPROGRESS)
        return -errno;
    return source_add(forwards->loop, &caller->source, caller->guest, EPOLLOUT, caller_connected);
}

static void caller_go(struct waiter *waiter, int found)
{
    struct caller *caller = container_of(waiter, struct caller, waiter);

    for (; caller->attempt < found; caller->attempt++) {
        int r = caller_connect(caller);

        if (r == 0)
            return;
        fd_close(&caller->guest);
        if (r == -EAGAIN) {
            rule_wait(caller->listener->rule, &caller->waiter);
            return;
        }
    }
    caller_free(caller);
}

static void caller_new(struct listener *listener, int host)
{
    struct forwards *forwards = listener->rule->forwards;
    struct caller *caller = alloc_new(struct caller);

    caller->forwards = forwards;
    caller->listener = listener;
    caller->host = host;
    caller->guest = -1;
    caller->deadline = clock_ms() + FORWARD_DIAL_MS;
    caller->waiter.go = caller_go;
    list_init(&caller->link);
    list_init(&caller->age);
    list_init(&caller->waiter.link);
    list_append(&listener->rule->tcp, &caller->link);
    list_append(&forwards->dialing, &caller->age);
    forwards->dials++;
    forwards->tcp_count++;
    rule_wait(listener->rule, &caller->waiter);
}

static bool tcp_full(struct forwards *forwards)
{
    if (forwards->dials < FORWARD_DIALS_MAX && forwards->tcp_count < FORWARD_TCP_MAX)
        return false;
    if (rate_due(&forwards->warned_tcp))
        log_warn(forwards->network->network, "forwards: %u TCP connections: more have to wait",
                 forwards->tcp_count);
    return true;
}

/* Whether accept4(2) is to be tried again at once after error. */
static bool accept_failed(struct listener *listener, int error)
{
    struct forwards *forwards = listener->rule->forwards;

    if (error == EINTR || error == ECONNABORTED)
        return true;
    if (error == EAGAIN)
        return false;
    if (rate_due(&forwards->warned_sockets))
        log_warn(forwards->network->network, "forwards: cannot accept: error %d", error);
    listener_pause(listener);
    return false;
}

void forward_tcp_ready(struct source *source, uint32_t events)
{
    struct listener *listener = container_of(source, struct listener, source);
    struct forwards *forwards = listener->rule->forwards;

    (void)events;
    for (int i = 0; i < FORWARD_BATCH; i++) {
        int fd;

        if (tcp_full(forwards)) {
            listener_pause(listener);
            break;
        }
        fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0)
            caller_new(listener, fd);
        else if (!accept_failed(listener, errno))
            break;
    }
    rule_advance(listener->rule);
}

void forward_tcp_expire(struct forwards *forwards)
{
    uint64_t now = clock_ms();
    struct caller *caller;

    while ((caller = list_first(&forwards->dialing, struct caller, age)) && caller->deadline <= now)
        caller_free(caller);
}

static void callers_drop(struct list *callers)
{
    struct caller *caller;

    while ((caller = list_first(callers, struct caller, link)))
        caller_free(caller);
}

void forward_tcp_drop_rule(struct rule *rule)
{
    callers_drop(&rule->tcp);
}

void forward_tcp_drop_all(struct forwards *forwards)
{
    callers_drop(&forwards->joined);
}
