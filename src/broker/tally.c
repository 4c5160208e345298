/* SPDX-License-Identifier: Apache-2.0 */
/* See tally.h. Networks are asked one after the other, by name, because any may end meanwhile. */
#include "broker/tally.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/paths.h"

/* A forwarder that does not answer is left out. */
enum { FORWARDER_MS = 1000 };

struct tally {
    struct loop *loop;
    struct registry *registry;
    json_t *names;
    size_t next;
    struct network *asking; /* its holder; NULL: not now */
    struct conn *forwarder; /* being asked; NULL: not now */
    struct timer timer;     /* the next turn; until then the forwarder may answer */
    json_t *counters;       /* of the network in hand */
    tally_fn *tell;
    void *context;
};

/* --- the forwarder --- */

static void dropped_add(json_t *counts, const json_t *more)
{
    json_t *dropped = json_object_get(counts, "dropped");

    json_integer_set(dropped, json_integer_value(dropped) + json_integer_value(more));
}

static void forwarder_counted(void *context, json_t *reply, int *fds, size_t fd_count, bool more,
                              const struct error *error)
{
    struct tally *tally = context;
    const json_t *dropped = json_object_get(reply, "dropped"), *port;
    size_t index;

    (void)fds, (void)fd_count, (void)more;
    if (error) /* it has just ended, or is older than this method */
        return;
    json_array_foreach(json_object_get(tally->counters, "ports"), index, port) {
        const json_t *of =
            json_object_get(dropped, json_string_value(json_object_get(port, "port")));

        dropped_add(json_object_get(port, "receive"), json_object_get(of, "receive"));
        dropped_add(json_object_get(port, "transmit"), json_object_get(of, "transmit"));
    }
    json_object_set(tally->counters, "flows", json_object_get(reply, "flows"));
    timer_set(&tally->timer, 0);
}

static void forwarder_lost(struct conn *conn, int error)
{
    struct tally *tally = conn_owner(conn);

    (void)error;
    timer_set(&tally->timer, 0);
}

static int forwarder_ask(struct tally *tally, const char *name)
{
    OWN(fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un address;
    int r = paths_socket(&address, NULL, "net/%s/forwarder.sock", name);

    if (r < 0 || fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    r = conn_new(tally->loop, take_fd(&fd), "forwarder", NULL, tally, forwarder_lost,
                 &tally->forwarder);
    if (r < 0)
        return r;
    return conn_call(tally->forwarder, "io.vmlan.Forwarder.Counters", NULL, NULL, 0, false,
                     forwarder_counted, tally);
}

/* --- the holder --- */

static void holder_counted(void *context, json_t *reply, int *fds, size_t fd_count, bool more,
                           const struct error *error)
{
    struct tally *tally = context;
    const char *name = network_name(take_ptr(tally->asking));

    (void)fds, (void)fd_count, (void)more;
    timer_set(&tally->timer, 0);
    if (error)
        return;
    tally->counters = json_deep_copy(reply);
    json_object_set_new(tally->counters, "network", json_string(name));
    if (forwarder_ask(tally, name) == 0)
        timer_set(&tally->timer, FORWARDER_MS);
}

static void tally_next(struct tally *tally)
{
    while (tally->next < json_array_size(tally->names)) {
        const char *name = json_string_value(json_array_get(tally->names, tally->next++));

        tally->asking = registry_find(tally->registry, name, NULL);
        if (tally->asking) {
            network_ask(tally->asking, &(struct network_question){.method = "Counters"},
                        holder_counted, tally);
            return;
        }
    }
    tally->tell(tally->context, NULL);
}

/* Tells of the network in hand, or takes the next. The tally may be freed in tell(). */
static void tally_turn(struct timer *timer)
{
    struct tally *tally = container_of(timer, struct tally, timer);
    OWN(json) json_t *counters = take_ptr(tally->counters);

    conn_free(take_ptr(tally->forwarder));
    if (!counters) {
        tally_next(tally);
        return;
    }
    timer_set(timer, 0);
    tally->tell(tally->context, counters);
}

struct tally *tally_new(struct loop *loop, struct registry *registry, const char *name,
                        tally_fn *tell, void *context)
{
    struct tally *tally = alloc_new(struct tally);

    *tally = (struct tally){.loop = loop,
                            .registry = registry,
                            .names = name ? json_pack("[s]", name) : registry_names(registry),
                            .tell = tell,
                            .context = context};
    timer_init(loop, &tally->timer, tally_turn);
    timer_set(&tally->timer, 0);
    return tally;
}

void tally_free(struct tally *tally)
{
    if (!tally)
        return;
    if (tally->asking)
        network_forget(tally->asking, tally);
    conn_free(tally->forwarder);
    timer_done(&tally->timer);
    json_decref(tally->names);
    json_decref(tally->counters);
    free(tally);
}
