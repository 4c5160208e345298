/* SPDX-License-Identifier: Apache-2.0 */
/* See feed.h. */
#include "broker/feed.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/paths.h"
#include "base/stamp.h"
#include "broker/leases.h"

/* What events are about, by their names: key in struct feed, and the field with its name. */
static const struct subject {
    const char *prefix, *field, *end; /* end: the event that says that it is no more */
} subjects[] = {
    {"network-", "network", "network-down"},
    {"port-", "port", "port-down"},
    {"forward-", "forward", "forward-removed"},
    {"lease-", "address", "lease-ended"},
    {"service-", "service", NULL /* its pid is kept, to know a restart */},
};

static const struct subject *subject_of(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(subjects); i++)
        if (strncmp(name, subjects[i].prefix, strlen(subjects[i].prefix)) == 0)
            return &subjects[i];
    return NULL;
}

/* bare: an event without time; name: how it is called, if not as in there. */
static json_t *event_make(const json_t *bare, const char *name, const char *time, bool present)
{
    json_t *event = json_pack("{ss ss}", "time", time, "event", name);

    json_object_update_missing(event, (json_t *)bare);
    if (present)
        json_object_set_new(event, "present", json_true());
    return event;
}

static void feed_tell(struct feed *feed, const json_t *bare, const char *name, const char *time)
{
    char now[STAMP_SIZE];
    OWN(json)
    json_t *event =
        event_make(bare, name, time[0] ? time : stamp_now(now), !feed->settled && !feed->news);

    monitor_tell(feed->monitor, event);
}

/* Forgets what key says, and tells of its end. */
static void feed_drop(struct feed *feed, const char *key, const char *time)
{
    OWN(json) json_t *bare = json_incref(json_object_get(feed->state, key));
    const struct subject *subject = subject_of(json_text(bare, "event", ""));

    json_object_del(feed->state, key);
    feed_tell(feed, bare, subject->end, time);
}

static bool key_is_of(const char *key, const char *prefix)
{
    return strncmp(key, prefix, strlen(prefix)) == 0;
}

/* Drops what key begins a subject with and is not in `but`. */
static void feed_drop_all(struct feed *feed, const char *prefix, const json_t *but)
{
    const char *key;
    json_t *bare;
    void *next;

    json_object_foreach_safe(feed->state, next, key, bare)
        if (key_is_of(key, prefix) && !json_object_get(but, key))
            feed_drop(feed, key, "");
}

/* How a change is called: an event that says that something is, where something was already. */
static const char *change_name(const json_t *before, const json_t *bare)
{
    const char *name = json_text(bare, "event", "");

    if (before && strcmp(name, "lease-given") == 0)
        return "lease-changed";
    if (before && strcmp(name, "service-up") == 0 &&
        !json_equal(json_object_get(before, "pid"), json_object_get(bare, "pid")))
        return "service-restarted";
    return name;
}

/* bare: an event as it is kept; borrowed. */
static void feed_set(struct feed *feed, const char *key, json_t *bare, const char *time)
{
    OWN(json) json_t *before = json_incref(json_object_get(feed->state, key));

    json_object_del(feed->stale, key);
    if (json_equal(before, bare))
        return;
    json_object_set(feed->state, key, bare);
    feed_tell(feed, bare, change_name(before, bare), time);
}

/* --- leases --- */

static json_t *lease_event(const struct feed *feed, const json_t *lease)
{
    json_t *bare = json_pack("{ss ss}", "event", "lease-given", "network", feed->name), *value;
    const char *key;

    json_object_foreach((json_t *)lease, key, value)
        if (!json_is_null(value))
            json_object_set(bare, key, value);
    return bare;
}

static void leases_changed(void *context, json_t *leases)
{
    OWN(json) json_t *there = json_object();
    struct feed *feed = context;
    json_t *lease;
    size_t index;

    json_array_foreach(leases, index, lease) {
        OWN(json) json_t *bare = lease_event(feed, lease);
        OWN(mem) char *key = alloc_printf("lease-%s", json_text(lease, "address", ""));

        json_object_set_new(there, key, json_true());
        feed_set(feed, key, bare, "");
    }
    feed_drop_all(feed, "lease-", there);
}

/* --- what the holder tells --- */

static void feed_settle(struct feed *feed)
{
    struct error error;

    if (!feed->leases && lease_watch_new(feed->monitor->loop, feed->name, leases_changed, feed,
                                         &feed->leases, &error) < 0)
        log_warn(feed->name, "leases are not watched: %s", error.reason);
    feed->settled = true;
    monitor_settled(feed->monitor);
}

/* The holder has said all there is. Services are left: a forwarder may need a moment to find it. */
static void holder_ready(struct feed *feed)
{
    OWN(json) json_t *stale = take_ptr(feed->stale);
    const char *key;
    json_t *value;

    feed->stale = json_object();
    json_object_foreach(stale, key, value)
        if (key_is_of(key, "port-") || key_is_of(key, "forward-"))
            feed_drop(feed, key, "");
    feed_settle(feed);
}

void feed_over(struct feed *feed, const char *reason)
{
    OWN(json) json_t *bare = NULL;

    if (!json_object_get(feed->state, "network-"))
        return;
    feed_drop_all(feed, "port-", NULL);
    json_object_clear(feed->state);
    bare = json_pack("{ss ss}", "network", feed->name, "reason", reason);
    feed_tell(feed, bare, "network-down", "");
    feed->news = true; /* of whatever follows */
}

static void feed_take(struct feed *feed, const json_t *event)
{
    const char *name = json_text(event, "event", ""), *time = json_text(event, "time", "");
    const struct subject *subject = subject_of(name);
    OWN(json) json_t *bare = json_copy((json_t *)event);
    OWN(mem) char *key = NULL;

    if (strcmp(name, "ready") == 0)
        holder_ready(feed);
    else if (strcmp(name, "network-down") == 0)
        feed_over(feed, json_text(event, "reason", ""));
    if (!subject || strcmp(name, "network-down") == 0)
        return;
    json_object_del(bare, "time");
    /* Of a network there is one. */
    key = alloc_printf("%s%s", subject->prefix,
                       subject == subjects ? "" : json_text(event, subject->field, ""));
    if (!subject->end || strcmp(name, subject->end) != 0)
        feed_set(feed, key, bare, time);
    else if (json_object_get(feed->state, key))
        feed_drop(feed, key, time);
}

static void holder_told(void *context, json_t *reply, int *fds, size_t fd_count, bool more,
                        const struct error *error)
{
    struct feed *feed = context;

    (void)fds, (void)fd_count, (void)more;
    if (!error)
        feed_take(feed, json_object_get(reply, "event"));
    else if (error->code != -ECONNRESET)
        feed_settle(feed); /* a holder of before there was Monitor */
}

static void holder_lost(struct conn *conn, int error)
{
    struct feed *feed = conn_owner(conn);

    (void)error;
    conn_free(conn);
    feed->holder = NULL;
    timer_set(&feed->monitor->again, 0);
}

int feed_follow(struct feed *feed)
{
    OWN(fd) int fd = -1;
    struct sockaddr_un address;
    int r = paths_socket(&address, NULL, "net/%s/holder.sock", feed->name);

    if (feed->holder || r < 0)
        return r;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    r = conn_new(feed->monitor->loop, take_fd(&fd), feed->name, NULL, feed, holder_lost,
                 &feed->holder);
    if (r < 0)
        return r;
    json_decref(feed->stale);
    feed->stale = json_copy(feed->state);
    return conn_call(feed->holder, "io.vmlan.Holder.Monitor", NULL, NULL, 0, true, holder_told,
                     feed);
}

void feed_present(const struct feed *feed, json_t *events)
{
    char now[STAMP_SIZE];
    const char *key;
    json_t *bare;

    stamp_now(now);
    json_object_foreach(feed->state, key, bare)
        json_array_append_new(events, event_make(bare, json_text(bare, "event", ""), now, true));
}

struct feed *feed_new(struct monitor *monitor, const char *name, bool news)
{
    struct feed *feed = alloc_new(struct feed);

    *feed = (struct feed){
        .monitor = monitor, .news = news, .state = json_object(), .stale = json_object()};
    list_init(&feed->link);
    snprintf(feed->name, sizeof(feed->name), "%s", name);
    return feed;
}

void feed_free(struct feed *feed)
{
    list_remove(&feed->link);
    conn_free(feed->holder);
    lease_watch_free(feed->leases);
    json_decref(feed->state);
    json_decref(feed->stale);
    free(feed);
}
