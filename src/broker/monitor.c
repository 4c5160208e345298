/* SPDX-License-Identifier: Apache-2.0 */
/* See monitor.h. */
#include "broker/monitor.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/stamp.h"
#include "broker/feed.h"
#include "broker/registry.h"

/* What may wait for a watcher that does not read; ten times what a full network has to say. How
 * soon a holder that died is looked for. */
enum { QUEUE_MAX = 1024 * 1024, AGAIN_MS = 50 };

struct watcher {
    struct list link;
    struct monitor *monitor;
    struct call *call;
    json_t *networks; /* names; NULL: all */
    bool ready;       /* it was told that what there is has been said */
};

static void watcher_free(struct watcher *watcher)
{
    struct monitor *monitor = watcher->monitor;

    list_remove(&watcher->link);
    if (--monitor->count == 0)
        timer_set(&monitor->again, 0); /* a feed may be what called us */
    json_decref(watcher->networks);
    free(watcher);
}

static void watcher_gone(struct call *call, void *context)
{
    watcher_free(context);
    call_drop(call);
}

static void watcher_too_slow(struct watcher *watcher)
{
    struct call *call = watcher->call;
    struct error error;

    error_set(&error, -ENOBUFS, ERROR_LIMIT, "more happened than this peer has read");
    error_hint(&error, "call Monitor again: it begins with what there is");
    watcher_free(watcher);
    call_fail(call, &error);
}

/* A watcher that can't be told is freed. */
static void watcher_tell(struct watcher *watcher, json_t *event)
{
    struct call *call = watcher->call;

    if (conn_queued(call_conn(call)) > QUEUE_MAX) {
        watcher_too_slow(watcher);
    } else if (call_continue(call, json_pack("{sO}", "event", event)) < 0) {
        watcher_free(watcher);
        call_drop(call);
    }
}

static bool watcher_wants(const struct watcher *watcher, const json_t *event)
{
    const json_t *network = json_object_get(event, "network"), *name;
    size_t index;

    if (!watcher->networks || !network)
        return true;
    json_array_foreach(watcher->networks, index, name)
        if (json_equal(name, network))
            return true;
    return false;
}

void monitor_tell(struct monitor *monitor, json_t *event)
{
    struct watcher *watcher;

    list_each(watcher, &monitor->watchers, link)
        if (watcher_wants(watcher, event))
            watcher_tell(watcher, event);
}

void monitor_settled(struct monitor *monitor)
{
    char time[STAMP_SIZE];
    OWN(json) json_t *event = json_pack("{ss ss}", "time", stamp_now(time), "event", "ready");
    struct watcher *watcher;
    struct feed *feed;

    list_each(feed, &monitor->feeds, link)
        if (!feed->settled)
            return;
    list_each(watcher, &monitor->watchers, link) {
        if (watcher->ready)
            continue;
        watcher->ready = true;
        watcher_tell(watcher, event);
    }
}

/* --- feeds come and go --- */

static struct feed *feed_named(struct monitor *monitor, const char *name)
{
    struct feed *feed;

    list_each(feed, &monitor->feeds, link)
        if (strcmp(feed->name, name) == 0)
            return feed;
    return NULL;
}

static void feed_try(struct monitor *monitor, struct feed *feed)
{
    if (feed_follow(feed) < 0)
        timer_set(&monitor->again, AGAIN_MS);
}

static void feeds_follow(struct monitor *monitor, bool news)
{
    OWN(json) json_t *names = registry_names(monitor->registry);
    struct feed *feed;
    json_t *name;
    size_t index;

    list_each(feed, &monitor->feeds, link)
        if (!registry_find(monitor->registry, feed->name, NULL)) {
            feed_over(feed, "it ended unexpectedly");
            feed_free(feed);
        }
    json_array_foreach(names, index, name)
        if (!feed_named(monitor, json_string_value(name))) {
            feed = feed_new(monitor, json_string_value(name), news);
            list_append(&monitor->feeds, &feed->link);
            feed_try(monitor, feed);
        }
    monitor_settled(monitor);
}

static void feeds_free(struct monitor *monitor)
{
    struct feed *feed;

    list_each(feed, &monitor->feeds, link)
        feed_free(feed);
}

void monitor_follow(struct monitor *monitor)
{
    if (monitor->count)
        feeds_follow(monitor, true);
}

void monitor_again(struct timer *timer)
{
    struct monitor *monitor = container_of(timer, struct monitor, again);
    struct feed *feed;

    if (!monitor->count)
        feeds_free(monitor);
    list_each(feed, &monitor->feeds, link)
        feed_try(monitor, feed);
}

/* --- a watcher comes --- */

static json_t *broker_event(const char *name)
{
    char time[STAMP_SIZE];

    return json_pack("{ss ss ss si}", "time", stamp_now(time), "event", name, "service", "broker",
                     "pid", (int)getpid());
}

/* What the feeds know; the rest follows as they get to know it. */
static json_t *events_present(struct monitor *monitor)
{
    json_t *events = json_array(), *broker = broker_event("service-up");
    struct feed *feed;

    json_object_set_new(broker, "present", json_true());
    json_array_append_new(events, broker);
    list_each(feed, &monitor->feeds, link)
        feed_present(feed, events);
    return events;
}

static void present_tell(struct watcher *watcher, const json_t *events)
{
    struct monitor *monitor = watcher->monitor;
    unsigned count = monitor->count;
    json_t *event;
    size_t index;

    json_array_foreach(events, index, event)
        if (monitor->count == count && watcher_wants(watcher, event))
            watcher_tell(watcher, event);
}

int monitor_call(struct monitor *monitor, struct call *call, struct error *error)
{
    const json_t *networks = json_object_get(call_parameters(call), "networks");
    OWN(json) json_t *events = NULL;
    struct watcher *watcher;

    if (!call_wants_more(call)) {
        error_set(error, -EINVAL, ERROR_INVALID, "Monitor replies again and again");
        error_where(error, "Monitor");
        error_hint(error, "send \"more\": true with the request");
        return -EINVAL;
    }
    events = events_present(monitor);
    watcher = alloc_new(struct watcher);
    *watcher = (struct watcher){.monitor = monitor, .call = call};
    if (json_array_size(networks) > 0)
        watcher->networks = json_incref((json_t *)networks);
    list_append(&monitor->watchers, &watcher->link);
    monitor->count++;
    call_on_gone(call, watcher_gone, watcher);
    present_tell(watcher, events);
    feeds_follow(monitor, false);
    return 0;
}

/* --- the end --- */

void monitor_end(struct monitor *monitor)
{
    OWN(json) json_t *event = broker_event("service-down");
    struct watcher *watcher;

    list_each(watcher, &monitor->watchers, link) {
        struct call *call = watcher->call;

        watcher_free(watcher);
        call_reply(call, json_pack("{sO}", "event", event), NULL, 0);
    }
}

void monitor_init(struct monitor *monitor, struct loop *loop, struct registry *registry)
{
    *monitor = (struct monitor){.loop = loop, .registry = registry};
    list_init(&monitor->watchers);
    list_init(&monitor->feeds);
}

void monitor_done(struct monitor *monitor)
{
    struct watcher *watcher;

    list_each(watcher, &monitor->watchers, link)
        watcher_gone(watcher->call, watcher);
    feeds_free(monitor);
    timer_done(&monitor->again);
}
