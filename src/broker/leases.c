/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See leases.h. dnsmasq writes its lease file in place; inotify on the directory tells when, also
 * while the file is not there yet. A reading that met a half-written file is followed by another
 * event, and a state that was told already is not told again.
 */
#include "broker/leases.h"

#include <errno.h>
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
    char path[PATHS_MAX + 64];
    json_t *told;
    lease_watch_fn *changed;
    void *context;
};

static int leases_path(const char *network, char *path, size_t size, struct error *error)
{
    char state[PATHS_MAX];
    int r = paths_state(state, error);

    if (r >= 0)
        snprintf(path, size, "%s/%s.leases", state, network);
    return r;
}

int leases_of_network(const char *network, json_t **ret, struct error *error)
{
    char path[PATHS_MAX + 64];
    int r = leases_path(network, path, sizeof(path), error);

    if (r >= 0 && (r = leases_load(path, ret)) < 0)
        error_system(error, r, "cannot read %s", path);
    return r;
}

void lease_watch_free(struct lease_watch *watch)
{
    if (!watch)
        return;
    source_remove(&watch->source);
    fd_close(&watch->inotify);
    json_decref(watch->told);
    free(watch);
}

/* Nothing is done with the watch after changed(), which may free it. */
static void watch_look(struct lease_watch *watch)
{
    json_t *leases;

    if (leases_load(watch->path, &leases) < 0)
        return;
    if (json_equal(leases, watch->told)) {
        json_decref(leases);
        return;
    }
    json_decref(watch->told);
    watch->told = leases;
    watch->changed(watch->context, leases);
}

static void watch_ready(struct source *source, uint32_t events)
{
    struct lease_watch *watch = container_of(source, struct lease_watch, source);
    char drained[4096] __attribute__((aligned(__alignof__(struct inotify_event))));

    (void)events;
    while (read(watch->inotify, drained, sizeof(drained)) > 0)
        ; /* which file it was does not matter: telling again costs little */
    watch_look(watch);
}

int lease_watch_new(struct loop *loop, const char *network, lease_watch_fn *changed, void *context,
                    struct lease_watch **ret, struct error *error)
{
    struct lease_watch *watch = alloc_new(struct lease_watch);
    char state[PATHS_MAX];
    int r = paths_state(state, error);

    watch->changed = changed;
    watch->context = context;
    watch->inotify = -1;
    if (r >= 0)
        r = leases_path(network, watch->path, sizeof(watch->path), error);
    if (r >= 0 &&
        ((watch->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) < 0 ||
         inotify_add_watch(watch->inotify, state, IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0))
        r = error_system(error, -errno, "cannot watch %s", state);
    if (r >= 0 && (r = source_add(loop, &watch->source, watch->inotify, EPOLLIN, watch_ready)) < 0)
        error_system(error, r, "cannot watch %s", state);
    if (r < 0) {
        lease_watch_free(watch);
        return r;
    }
    watch_look(watch);
    *ret = watch;
    return 0;
}

/* --- the method Leases --- */

struct lease_call {
    struct call *call;
    struct lease_watch *watch;
};

static void lease_call_end(struct lease_call *asked)
{
    call_drop(asked->call);
    lease_watch_free(asked->watch);
    free(asked);
}

static void lease_call_gone(struct call *call, void *context)
{
    (void)call;
    lease_call_end(context);
}

static void lease_call_tell(void *context, json_t *leases)
{
    struct lease_call *asked = context;

    if (call_continue(asked->call, json_pack("{sO}", "leases", leases)) < 0 && asked->watch)
        lease_call_end(asked); /* without a watch, in the first turn, it is told as gone */
}

int leases_answer(struct call *call, const char *network, struct error *error)
{
    struct lease_call *asked = alloc_new(struct lease_call);
    int r;

    asked->call = call;
    r = lease_watch_new(&call_peer(call)->broker->loop, network, lease_call_tell, asked,
                        &asked->watch, error);
    if (r < 0)
        free(asked);
    else
        call_on_gone(call, lease_call_gone, asked);
    return r;
}
