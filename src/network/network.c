/* SPDX-License-Identifier: Apache-2.0 */
/* See network.h. */
#include "network/network.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/paths.h"
#include "base/role.h"
#include "network/holder.h"
#include "network/network-private.h"
#include "uplink/host.h"

/* A holder that dies this often within the time is not started again. */
enum { CRASHES_MAX = 5, CRASHES_MS = 10 * 1000 };

void *network_owner(const struct network *network)
{
    return network->owner;
}

const char *network_name(const struct network *network)
{
    return network->name;
}

const struct spec *network_spec(const struct network *network)
{
    return network->known ? &network->spec : NULL;
}

struct list *network_link(struct network *network)
{
    return &network->link;
}

struct network *network_of_link(struct list *link)
{
    return container_of(link, struct network, link);
}

void network_set_pinned(struct network *network, bool pinned)
{
    network->pinned = pinned;
}

struct directory {
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
};

static struct directory directory_of(const struct network *network)
{
    struct directory directory;

    snprintf(directory.path, sizeof(directory.path), "%s", network->address.sun_path);
    *strrchr(directory.path, '/') = '\0';
    return directory;
}

static void directory_remove(struct network *network)
{
    paths_remove(directory_of(network).path);
}

/* The network can't be: says why to all who asked, and is over. */
static void network_fail(struct network *network, const struct error *error)
{
    char text[ERROR_TEXT_SIZE];

    log_error(network->name, "%s", error_text(error, text, sizeof(text)));
    network_requests_fail(network, true, error);
    directory_remove(network);
    network->ended(network);
}

static int address_connect(struct network *network, const struct sockaddr_un *address,
                           conn_closed_fn *closed, struct conn **ret, struct error *error)
{
    OWN(fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int r;

    if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
        return error_system(error, -errno, "nobody answers at %s", address->sun_path);
    r = conn_new(network->loop, take_fd(&fd), network->name, NULL, network, closed, ret);
    return r < 0 ? error_system(error, r, "cannot use the connection to %s", address->sun_path) : 0;
}

int network_connect(struct network *network, conn_closed_fn *closed, struct conn **ret,
                    struct error *error)
{
    return address_connect(network, &network->address, closed, ret, error);
}

/* --- the holder --- */

static void described(void *context, json_t *reply, int *fds, size_t fd_count, bool more,
                      const struct error *error);

static void started(void *context, json_t *reply, int *fds, size_t fd_count, bool more,
                    const struct error *error)
{
    struct network *network = context;

    (void)reply, (void)fds, (void)fd_count, (void)more;
    if (error && error->code != -ECONNRESET)
        network_fail(network, error);
}

static void place_nowhere(const struct spec_places *places, const char *path, char *text,
                          size_t size)
{
    (void)places;
    snprintf(text, size, "Describe%s", path);
}

static int spec_take(struct network *network, const json_t *reply, struct faults *faults)
{
    struct spec_places places = {place_nowhere};
    int r = network->known ? 0
                           : spec_from_json(network->name, json_object_get(reply, "configuration"),
                                            &places, &network->spec, faults);

    network->known = r >= 0;
    return r;
}

/* What others keep of the network, for the next holder: taken where it is not here yet. */
static void kept_take(struct network *network, int *fds, size_t fd_count)
{
    int *const kept[] = {&network->ns.user, &network->ns.net, &network->listeners.stream,
                         &network->listeners.datagram};

    for (size_t i = 0; i < ARRAY_SIZE(kept) && i < fd_count; i++)
        if (*kept[i] < 0)
            *kept[i] = take_fd(&fds[i]);
}

static void described(void *context, json_t *reply, int *fds, size_t fd_count, bool more,
                      const struct error *error)
{
    struct network *network = context;
    OWN(faults) struct faults faults = {0};

    (void)more;
    if (error && error->code == -ECONNRESET)
        return; /* holder_lost() follows */
    if (!error && spec_take(network, reply, &faults) < 0)
        error = &faults.items[0];
    if (error) {
        network_fail(network, error);
        return;
    }
    network->foreign = json_integer_value(json_object_get(reply, "oldest")) > HOLDER_VERSION;
    if (network->foreign)
        log_warn(network->name, "its holder is of a newer vmlan: it can only be ended");
    network->met = true;
    network->pinned = json_is_true(json_object_get(reply, "pinned"));
    kept_take(network, fds, fd_count);
    if (!network->foreign)
        network_watch(network);
    network_requests_send(network);
}

static void holder_lost(struct conn *conn, int error);

static int holder_connect(struct network *network, struct error *error)
{
    return network_connect(network, holder_lost, &network->holder, error);
}

/* For a holder that runs already. */
static int holder_meet(struct network *network, struct error *error)
{
    int r = holder_connect(network, error);

    if (r < 0)
        return r;
    r = conn_call(network->holder, "io.vmlan.Holder.Describe", NULL, NULL, 0, false, described,
                  network);
    if (r < 0)
        conn_free(take_ptr(network->holder));
    return r;
}

static int holder_spawn(struct network *network, struct error *error)
{
    OWN(fd) int listener = -1;
    int r = paths_make(directory_of(network).path, error);

    if (r >= 0)
        r = listener = listener_make(network->name, "holder.sock", SOCK_STREAM, error);
    if (r < 0)
        return r;
    r = role_start(NULL, "holder", network->name, listener, -1);
    return r < 0 ? error_system(error, r, "cannot start a holder") : 0;
}

static void holder_crashed(struct network *network);

/* Starts a holder and asks it what is to be asked; with the namespaces where there are any. */
static int holder_start(struct network *network, struct error *error)
{
    size_t count = network->ns.net >= 0 ? 4 : 2;
    union endpoint source;
    int kept[4], r = holder_spawn(network, error);

    if (r >= 0)
        r = listeners_make(network->name, &network->given, &network->listeners, error);
    if (r < 0)
        return r;
    r = holder_connect(network, error);
    if (r == -ECONNREFUSED) { /* it died before it could be asked anything */
        holder_crashed(network);
        return 0;
    }
    if (r < 0)
        return r;
    memcpy(kept,
           (int[]){network->ns.user, network->ns.net, network->listeners.stream,
                   network->listeners.datagram},
           sizeof(kept));
    r = conn_call(network->holder, "io.vmlan.Holder.Start",
                  json_pack("{ss so sb sb}", "network", network->name, "configuration",
                            spec_to_json(&network->spec), "pinned", network->pinned, "route6",
                            host_route(AF_INET6, &source) == 0),
                  kept + 4 - count, count, false, started, network);
    if (r < 0)
        return error_system(error, r, "cannot ask a new holder");
    conn_call(network->holder, "io.vmlan.Holder.Describe", NULL, NULL, 0, false, described,
              network);
    network_requests_send(network);
    return 0;
}

static void holder_again(struct timer *timer)
{
    struct network *network = container_of(timer, struct network, again);
    struct error error;

    if (holder_start(network, &error) < 0)
        network_fail(network, &error);
}

/* --- a network that has lost broker and holder at once --- */

static void keeper_lost(struct conn *conn, int error)
{
    struct network *network = conn_owner(conn);
    struct error gone;

    conn_free(conn);
    network->keeper = NULL;
    if (!network->known) { /* it went before it answered */
        error_system(&gone, error < 0 ? error : -ECONNRESET, "nothing is left of network %s",
                     network->name);
        network_fail(network, &gone);
    }
}

static void namespaces_given(void *context, json_t *reply, int *fds, size_t fd_count, bool more,
                             const struct error *error)
{
    struct network *network = context;
    OWN(faults) struct faults faults = {0};

    (void)more;
    if (error && error->code == -ECONNRESET)
        return; /* keeper_lost() follows */
    kept_take(network, fds, fd_count);
    if (!error && spec_take(network, reply, &faults) < 0)
        error = &faults.items[0];
    if (error) {
        network_fail(network, error);
        return;
    }
    conn_free(take_ptr(network->keeper));
    log_warn(network->name, "its holder and its broker are gone; a new holder takes over");
    timer_set(&network->again, 0);
}

/* The forwarder keeps the namespaces too. Only where a holder died: one that ended on purpose has
 * taken its socket away. */
static int keeper_ask(struct network *network, struct error *error)
{
    struct sockaddr_un address;
    int r = paths_socket(&address, error, "net/%s/forwarder.sock", network->name);

    if (r >= 0)
        r = address_connect(network, &address, keeper_lost, &network->keeper, error);
    if (r < 0)
        return r;
    return conn_call(network->keeper, "io.vmlan.Forwarder.Namespaces", NULL, NULL, 0, false,
                     namespaces_given, network);
}

static bool too_many_crashes(struct network *network)
{
    uint64_t now = clock_ms();

    if (now - network->crashes_since > CRASHES_MS) {
        network->crashes_since = now;
        network->crashes = 0;
    }
    return ++network->crashes > CRASHES_MAX;
}

static void holder_crashed(struct network *network)
{
    struct error error;

    if (!network->known && keeper_ask(network, &error) >= 0)
        return; /* it died while it was being adopted */
    if (!network->known || too_many_crashes(network)) {
        error_set(&error, -EIO, ERROR_FAILED, "the holder of network %s ended unexpectedly",
                  network->name);
        error_hint(&error, "its log says more: the file log in vmlan's state directory");
        network_fail(network, &error);
        return;
    }
    log_warn(network->name, "its holder is gone; a new one takes over");
    timer_set(&network->again, 0);
}

static void holder_ended(struct network *network)
{
    struct error error;

    own_ns(&network->ns);
    network->ns = NS_NULL;
    listeners_done(&network->listeners);
    network->pinned = false;
    error_set(&error, -ENOENT, ERROR_NO_NETWORK, "network %s has ended", network->name);
    network_requests_fail(network, !network->known, &error);
    if (!list_empty(&network->requests)) { /* who asks for a port gets a new network */
        timer_set(&network->again, 0);
        return;
    }
    log_info(network->name, "the network has ended");
    network->ended(network);
}

/* A connection may break without an end of the holder, for want of memory or descriptors on either
 * side: two holders in one network would be at each other's throat. One that just died may still
 * seem to listen, but then does not answer. */
static int holder_meet_again(struct network *network)
{
    bool met = network->met;

    network->met = false;
    return met ? holder_meet(network, NULL) : -ECONNREFUSED;
}

static void holder_lost(struct conn *conn, int error)
{
    struct network *network = conn_owner(conn);

    (void)error;
    conn_free(conn);
    network->holder = NULL;
    conn_free(take_ptr(network->watch));
    timer_stop(&network->forwarder);
    if (access(network->address.sun_path, F_OK) < 0)
        holder_ended(network);
    else if (holder_meet_again(network) < 0)
        holder_crashed(network);
}

/* --- life --- */

static int network_new(struct loop *loop, const char *name, const struct listeners *given,
                       void *owner, network_ended_fn *ended, struct network **ret,
                       struct error *error)
{
    struct network *network = alloc_new(struct network);
    int r;

    network->loop = loop;
    network->owner = owner;
    network->ended = ended;
    network->ns = NS_NULL;
    network->listeners = LISTENERS_NULL;
    network->given = *given;
    list_init(&network->link);
    list_init(&network->requests);
    snprintf(network->name, sizeof(network->name), "%s", name);
    r = paths_socket(&network->address, error, "net/%s/holder.sock", name);
    if (r >= 0 && ((r = timer_init(loop, &network->again, holder_again)) < 0 ||
                   (r = network_watch_init(network)) < 0))
        error_system(error, r, "cannot make a timer");
    if (r < 0) {
        network_free(network);
        return r;
    }
    *ret = network;
    return 0;
}

int network_start(struct loop *loop, struct spec *spec, const struct listeners *given, void *owner,
                  network_ended_fn *ended, struct network **ret, struct error *error)
{
    struct network *network;
    int r = network_new(loop, spec->name, given, owner, ended, &network, error);

    if (r < 0)
        return r;
    network->spec = *spec;
    network->known = true;
    *spec = (struct spec){0};
    r = holder_start(network, error);
    if (r < 0) {
        directory_remove(network);
        network_free(network);
        return r;
    }
    *ret = network;
    return 0;
}

int network_adopt(struct loop *loop, const char *name, const struct listeners *given, void *owner,
                  network_ended_fn *ended, struct network **ret, struct error *error)
{
    struct network *network;
    int r = network_new(loop, name, given, owner, ended, &network, error);

    if (r < 0)
        return r;
    r = holder_meet(network, error);
    if (r == -ECONNREFUSED)
        r = keeper_ask(network, error);
    if (r < 0) {
        directory_remove(network);
        network_free(network);
        return r;
    }
    *ret = network;
    return 0;
}

void network_free(struct network *network)
{
    if (!network)
        return;
    conn_free(network->holder);
    conn_free(network->watch);
    conn_free(network->keeper);
    network_requests_drop(network);
    list_remove(&network->link);
    timer_done(&network->again);
    timer_done(&network->forwarder);
    own_ns(&network->ns);
    listeners_done(&network->listeners);
    spec_done(&network->spec);
    free(network);
}
