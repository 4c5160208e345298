/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See leases.h. dnsmasq writes its lease file in place; inotify on the directory tells when, also
 * while the file is not there yet. A reading that met a half-written file is followed by another
 * event, and a state that was told already is not told again.
 */
#include "broker/leases.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/paths.h"
#include "broker/peer.h"
#include "network/leases.h"

struct lease_watch {
    struct source source;
    int inotify;
    struct call *call;
    char path[PATHS_MAX + 64];
    json_t *told;
};

int leases_path(const char *network, char *path, size_t size, struct error *error)
{
    char state[PATHS_MAX];
    int r = paths_state(state, error);

    if (r >= 0)
        snprintf(path, size, "%s/%s.leases", state, network);
    return r;
}

static void watch_free(struct lease_watch *watch)
{
    source_remove(&watch->source);
    fd_close(&watch->inotify);
    json_decref(watch->told);
    free(watch);
}

static void watch_gone(struct call *call, void *context)
{
    watch_free(context);
    call_drop(call);
}

/* Negative errno when the peer can't be told; the call was then ended and the watch freed. */
static int watch_tell(struct lease_watch *watch)
{
    json_t *leases;

    if (leases_load(watch->path, &leases) < 0)
        return 0;
    if (json_equal(leases, watch->told)) {
        json_decref(leases);
        return 0;
    }
    json_decref(watch->told);
    watch->told = leases;
    if (call_continue(watch->call, json_pack("{sO}", "leases", leases)) >= 0)
        return 0;
    call_drop(watch->call);
    watch_free(watch);
    return -EPIPE;
}

static void watch_ready(struct source *source, uint32_t events)
{
    struct lease_watch *watch = container_of(source, struct lease_watch, source);
    char drained[4096] __attribute__((aligned(__alignof__(struct inotify_event))));

    (void)events;
    while (read(watch->inotify, drained, sizeof(drained)) > 0)
        ; /* which file it was does not matter: telling again costs little */
    watch_tell(watch);
}

int leases_watch(struct call *call, const char *network, struct error *error)
{
    struct lease_watch *watch = alloc_new(struct lease_watch);
    char state[PATHS_MAX];
    int r = paths_state(state, error);

    watch->call = call;
    watch->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (r >= 0)
        r = leases_path(network, watch->path, sizeof(watch->path), error);
    if (r >= 0 &&
        (watch->inotify < 0 ||
         inotify_add_watch(watch->inotify, state, IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0))
        r = error_system(error, -errno, "cannot watch %s", state);
    if (r >= 0)
        r = source_add(&call_peer(call)->broker->loop, &watch->source, watch->inotify, EPOLLIN,
                       watch_ready);
    if (r < 0) {
        watch_free(watch);
        return r;
    }
    call_on_gone(call, watch_gone, watch);
    watch_tell(watch);
    return 0;
}
