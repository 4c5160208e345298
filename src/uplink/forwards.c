/* SPDX-License-Identifier: Apache-2.0 */
/* See forwards.h; rules and their listening sockets. */
#include "uplink/forwards.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/own.h"
#include "uplink/forwards-private.h"
#include "uplink/packet.h"

enum { TICK_MS = 1000 };

/* Makes sure the timer runs. */
static void forwards_tick(struct forwards *forwards)
{
    if (!forwards->timer_on)
        timer_set(&forwards->timer, TICK_MS);
    forwards->timer_on = true;
}

static void forwards_ticked(struct timer *timer)
{
    struct forwards *forwards = container_of(timer, struct forwards, timer);

    forwards->timer_on = false;
    forward_tcp_expire(forwards);
    forwards_unpause(forwards);
    forwards_resume(forwards);
    if (!list_empty(&forwards->dialing))
        forwards_tick(forwards);
}

void listener_pause(struct listener *listener)
{
    struct forwards *forwards = listener->rule->forwards;

    source_want(&listener->source, 0);
    listener->paused = forwards->paused = true;
    forwards_tick(forwards);
}

void forwards_unpause(struct forwards *forwards)
{
    struct rule *rule;

    if (!forwards->paused)
        return;
    forwards->paused = false;
    list_each(rule, &forwards->rules, link) {
        for (size_t i = 0; i < rule->what.count; i++) {
            if (rule->listeners[i].paused)
                source_want(&rule->listeners[i].source, EPOLLIN);
            rule->listeners[i].paused = false;
        }
    }
}

void rule_wait(struct rule *rule, struct waiter *waiter)
{
    list_append(&rule->waiting, &waiter->link);
    forwards_tick(rule->forwards);
}

void rule_advance(struct rule *rule)
{
    struct list going;
    struct waiter *waiter;
    int found;

    if (list_empty(&rule->waiting))
        return;
    found = lookup_ask(&rule->lookup);
    if (found == -EINPROGRESS || found == -EAGAIN) {
        forwards_tick(rule->forwards);
        return;
    }
    list_init(&going);
    list_splice(&going, &rule->waiting);
    while ((waiter = list_first(&going, struct waiter, link))) {
        list_remove(&waiter->link);
        waiter->go(waiter, found);
    }
}

static void rule_found(struct lookup *lookup)
{
    rule_advance(container_of(lookup, struct rule, lookup));
}

void forwards_resume(struct forwards *forwards)
{
    struct rule *rule;

    list_each(rule, &forwards->rules, link)
        rule_advance(rule);
}

void endpoint_set_port(union endpoint *endpoint, uint16_t port)
{
    if (endpoint->any.sa_family == AF_INET)
        endpoint->v4.sin_port = htons(port);
    else
        endpoint->v6.sin6_port = htons(port);
}

static uint16_t endpoint_port(const union endpoint *endpoint)
{
    return ntohs(endpoint->any.sa_family == AF_INET ? endpoint->v4.sin_port
                                                    : endpoint->v6.sin6_port);
}

uint16_t listener_port(const struct listener *listener)
{
    const struct rule *rule = listener->rule;

    return (uint16_t)(endpoint_port(&rule->what.listen) + (listener - rule->listeners));
}

union endpoint rule_destination(const struct listener *listener, int index)
{
    const struct rule *rule = listener->rule;
    union endpoint to = rule->lookup.found[index];

    endpoint_set_port(&to, (uint16_t)(rule->what.guest_port + (listener - rule->listeners)));
    return to;
}

static int listener_prepare(int fd, bool udp, int family)
{
    static const int yes = 1;

    /* "[::]" leaves IPv4 to a forward of its own, so what listens is what is written. */
    if (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof(yes)) < 0)
        return -errno;
    if (udp)
        return forward_udp_prepare(fd, family);
    return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0 ? -errno : 0;
}

static int listener_open(struct listener *listener, const union endpoint *at)
{
    struct rule *rule = listener->rule;
    bool udp = rule->what.udp;
    OWN(fd)
    int fd = socket(at->any.sa_family,
                    (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int r = fd < 0 ? -errno : listener_prepare(fd, udp, at->any.sa_family);

    if (r < 0)
        return r;
    if (bind(fd, &at->any, endpoint_size(at)) < 0 || (!udp && listen(fd, SOMAXCONN) < 0))
        return -errno;
    r = source_add(rule->forwards->loop, &listener->source, fd, EPOLLIN,
                   udp ? forward_udp_ready : forward_tcp_ready);
    if (r == 0)
        listener->fd = take_fd(&fd);
    return r;
}

static void rule_free(struct rule *rule)
{
    forward_tcp_drop_rule(rule);
    forward_udp_drop_rule(rule);
    for (size_t i = 0; i < rule->what.count; i++) {
        source_remove(&rule->listeners[i].source);
        fd_close(&rule->listeners[i].fd);
    }
    lookup_done(&rule->lookup);
    list_remove(&rule->link);
    free(rule->listeners);
    free(rule);
}

static struct rule *rule_new(struct forwards *forwards, const struct forward_rule *what)
{
    struct rule *rule = alloc_new(struct rule);

    rule->forwards = forwards;
    rule->what = *what;
    rule->wanted = true;
    list_init(&rule->link);
    list_init(&rule->waiting);
    list_init(&rule->tcp);
    list_init(&rule->udp);
    rule->listeners = alloc_zero(what->count, sizeof(*rule->listeners));
    for (size_t i = 0; i < what->count; i++) {
        rule->listeners[i].rule = rule;
        rule->listeners[i].fd = -1;
    }
    return rule;
}

static struct forward_result rule_open(struct forwards *forwards, const struct forward_rule *what)
{
    struct rule *rule = rule_new(forwards, what);
    struct forward_result result = {.port = endpoint_port(&what->listen)};
    union endpoint at = what->listen;

    result.error = lookup_init(&rule->lookup, forwards->loop, forwards->network, &forwards->inside,
                               rule->what.guest, rule_found);
    for (size_t i = 0; i < what->count && result.error == 0; i++) {
        result.port = listener_port(&rule->listeners[i]);
        endpoint_set_port(&at, result.port);
        result.error = listener_open(&rule->listeners[i], &at);
    }
    if (result.error == 0)
        list_append(&forwards->rules, &rule->link);
    else
        rule_free(rule);
    return result;
}

static struct rule *rule_find(struct forwards *forwards, const struct forward_rule *what)
{
    struct rule *rule;

    list_each(rule, &forwards->rules, link) {
        if (!rule->wanted && endpoint_equal(&rule->what.listen, &what->listen) &&
            rule->what.udp == what->udp && rule->what.count == what->count &&
            rule->what.guest_port == what->guest_port && strcmp(rule->what.guest, what->guest) == 0)
            return rule;
    }
    return NULL;
}

void forwards_set(struct forwards *forwards, const struct forward_rule *rules, size_t count,
                  struct forward_result *results)
{
    struct rule *rule;

    list_each(rule, &forwards->rules, link)
        rule->wanted = false;
    for (size_t i = 0; i < count; i++) {
        rule = rule_find(forwards, &rules[i]);
        results[i] = (struct forward_result){.error = rule ? 0 : -EINPROGRESS};
        if (rule)
            rule->wanted = true;
    }
    /* What goes makes room for what comes. */
    list_each(rule, &forwards->rules, link)
        if (!rule->wanted)
            rule_free(rule);
    for (size_t i = 0; i < count; i++)
        if (results[i].error == -EINPROGRESS)
            results[i] = rule_open(forwards, &rules[i]);
}

int forwards_new(struct loop *loop, const struct uplink_config *network,
                 const struct inside *inside, struct forwards **ret)
{
    struct forwards *forwards = alloc_new(struct forwards);
    int r;

    forwards->loop = loop;
    forwards->network = network;
    forwards->inside = *inside;
    list_init(&forwards->rules);
    list_init(&forwards->dialing);
    list_init(&forwards->joined);
    r = timer_init(loop, &forwards->timer, forwards_ticked);
    if (r == 0)
        r = forward_udp_init(forwards);
    if (r < 0)
        forwards_free(forwards);
    else
        *ret = forwards;
    return r;
}

void forwards_free(struct forwards *forwards)
{
    struct rule *rule;

    if (!forwards)
        return;
    list_each(rule, &forwards->rules, link)
        rule_free(rule);
    forward_tcp_drop_all(forwards);
    flows_free(forwards->udp_flows);
    timer_done(&forwards->timer);
    free(forwards);
}
