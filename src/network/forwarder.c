/* SPDX-License-Identifier: Apache-2.0 */
/* See forwarder.h. */
#include "network/forwarder.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/paths.h"
#include "kernel/sandbox.h"
#include "network/address.h"
#include "network/forwarder-private.h"
#include "network/uplink-fds.h"

/* How often a holder that died is looked for; less often when it seems that nobody starts one. */
enum { AGAIN_MS = 50, SELDOM_MS = 1000, EXPECTED_MS = 10 * 1000 };

static void give_up(struct forwarder *forwarder, const struct error *error)
{
    char text[ERROR_TEXT_SIZE];

    log_error(forwarder->name, "%s", error_text(error, text, sizeof(text)));
    loop_stop(&forwarder->loop);
}

static void place(const struct spec_places *places, const char *path, char *text, size_t size)
{
    (void)places;
    snprintf(text, size, "Forwarder.configuration%s", path);
}

static int spec_take(struct forwarder *forwarder, const json_t *reply, struct error *error)
{
    OWN(faults) struct faults faults = {0};
    struct spec_places places = {.where = place};
    int r = spec_from_json(forwarder->name, json_object_get(reply, "configuration"), &places,
                           &forwarder->spec, &faults);

    if (r < 0)
        *error = faults.items[0];
    return r;
}

static void fds_take(const json_t *reply, int *fds, size_t fd_count, struct uplink_fds *ret)
{
    const json_t *indexes = json_object_get(reply, "sockets");

    for (size_t i = 0; i < UPLINK_FDS; i++) {
        const json_t *index = json_object_get(indexes, uplink_fds_name(i));
        size_t at = (size_t)json_integer_value(index);

        *uplink_fds_field(ret, i) =
            json_is_integer(index) && at < fd_count ? take_fd(&fds[at]) : -1;
    }
}

static void route6_tell(struct forwarder *forwarder)
{
    if (forwarder->holder)
        conn_call(forwarder->holder, "io.vmlan.Holder.Route6",
                  json_pack("{sb}", "there", forwarder->route6_there), NULL, 0, false, NULL, NULL);
}

static void route6_changed(void *context, bool there)
{
    struct forwarder *forwarder = context;

    forwarder->route6_known = true;
    forwarder->route6_there = there;
    route6_tell(forwarder);
}

static void kept_take(struct forwarder *forwarder, const json_t *reply, int *fds, size_t fd_count)
{
    const json_t *indexes = json_object_get(reply, "namespaces");
    int *const kept[] = {&forwarder->ns.user, &forwarder->ns.net, &forwarder->listeners.stream,
                         &forwarder->listeners.datagram};

    for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
        const json_t *index = json_array_get(indexes, i);
        size_t at = (size_t)json_integer_value(index);

        if (*kept[i] < 0 && json_is_integer(index) && at < fd_count)
            *kept[i] = take_fd(&fds[at]);
    }
}

static int uplink_start(struct forwarder *forwarder, const struct uplink_fds *fds,
                        struct error *error)
{
    const struct spec *spec = &forwarder->spec;
    struct plan plan;
    int r;

    plan_make(spec, &plan);
    struct uplink_config config = {.network = forwarder->name,
                                   .subnet = spec->subnet.address,
                                   .gateway = plan.gateway,
                                   .prefix = spec->subnet.prefix,
                                   .subnet6 = plan.prefix_address6,
                                   .gateway6 = plan.gateway6,
                                   .prefix6 = plan.prefix6,
                                   .nat44 = fds->listen4 >= 0,
                                   .nat66 = fds->listen6 >= 0,
                                   .host_loopback = spec->host_loopback,
                                   .mtu = spec->mtu};

    r = uplink_new(&forwarder->loop, &config, fds, &forwarder->uplink);
    if (r >= 0 && config.nat66)
        r = route6_new(&forwarder->loop, route6_changed, forwarder, &forwarder->route6);
    if (r < 0)
        return error_system(error, r, "cannot start the uplink");
    r = forwarder_forwards_start(forwarder, error);
    if (r >= 0)
        r = forwarder_namespaces_start(forwarder, error);
    return r < 0 ? r : sandbox_enter(error);
}

/* A holder that knows of us, the first or a later one, is told what it can't see from inside. */
static void holder_follow(struct forwarder *forwarder)
{
    stock_set_holder(&forwarder->stock, forwarder->holder);
    forwarder_forwards_watch(forwarder);
    forwarder_cables_follow(forwarder);
    if (forwarder->route6_known)
        route6_tell(forwarder);
}

static void holder_lost(struct conn *conn, int error)
{
    struct forwarder *forwarder = conn_owner(conn);

    (void)error;
    conn_free(conn);
    forwarder->holder = NULL;
    stock_set_holder(&forwarder->stock, NULL);
    forwarder_expect_holder(forwarder);
}

void forwarder_expect_holder(struct forwarder *forwarder)
{
    forwarder->expected_until = clock_ms() + EXPECTED_MS;
    if (!forwarder->holder)
        timer_set(&forwarder->again, AGAIN_MS);
}

/* The holder's answer to Forwarder: what to work on, or only that it knows of us again. */
static void welcomed(void *context, json_t *reply, int *fds, size_t fd_count, bool more,
                     const struct error *error)
{
    struct forwarder *forwarder = context;
    struct uplink_fds taken;
    struct error own;

    (void)more;
    if (error && error->code == -ECONNRESET)
        return; /* holder_lost() follows */
    if (error && strcmp(error->id, ERROR_UNAVAILABLE) == 0) {
        holder_lost(forwarder->holder, 0); /* we found it before its broker did */
        return;
    }
    if (error) {
        give_up(forwarder, error); /* another one is there, or the network is going */
        return;
    }
    kept_take(forwarder, reply, fds, fd_count);
    if (!forwarder->uplink) {
        fds_take(reply, fds, fd_count, &taken);
        forwarder->namespace = json_integer_value(json_object_get(reply, "namespace"));
        if (spec_take(forwarder, reply, &own) < 0 || uplink_start(forwarder, &taken, &own) < 0) {
            give_up(forwarder, &own);
            return;
        }
        log_debug(forwarder->name, "ready");
    }
    holder_follow(forwarder);
}

int forwarder_connect(struct forwarder *forwarder, conn_closed_fn *closed, struct conn **ret)
{
    OWN(fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 ||
        connect(fd, (struct sockaddr *)&forwarder->address, sizeof(forwarder->address)) < 0)
        return -errno;
    return conn_new(&forwarder->loop, take_fd(&fd), "holder", NULL, forwarder, closed, ret);
}

static int holder_connect(struct forwarder *forwarder)
{
    json_t *parameters = json_object();
    int r = forwarder_connect(forwarder, holder_lost, &forwarder->holder);

    if (forwarder->uplink)
        json_object_set_new(parameters, "namespace", json_integer(forwarder->namespace));
    if (r >= 0)
        return conn_call(forwarder->holder, "io.vmlan.Holder.Forwarder", parameters, NULL, 0, false,
                         welcomed, forwarder);
    json_decref(parameters);
    return r;
}

/* A network that ends removes its socket first; a holder that crashed is replaced at its path. */
static void holder_again(struct timer *timer)
{
    struct forwarder *forwarder = container_of(timer, struct forwarder, again);
    int r = holder_connect(forwarder);

    if (r == -ENOENT)
        loop_stop(&forwarder->loop);
    else if (r < 0)
        timer_set(timer, clock_ms() < forwarder->expected_until ? AGAIN_MS : SELDOM_MS);
}

static void told_to_end(struct signals *signals, int number)
{
    (void)number;
    loop_stop(&container_of(signals, struct forwarder, signals)->loop);
}

/* Each flow needs descriptors: take as many as this user may have. */
static void limits_raise(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int forwarder_init(struct forwarder *forwarder, const char *name, struct error *error)
{
    int r;

    *forwarder = (struct forwarder){
        .ns = NS_NULL, .listeners = LISTENERS_NULL, .listener = -1, .journal = -1};
    list_init(&forwarder->cables);
    list_init(&forwarder->peers);
    r = spec_check_name(name, error);
    if (r >= 0)
        r = paths_socket(&forwarder->address, error, "net/%s/holder.sock", name);
    if (r < 0)
        return r;
    snprintf(forwarder->name, sizeof(forwarder->name), "%s", name);
    limits_raise();
    signal(SIGPIPE, SIG_IGN); /* splice(2) into a closed socket is an error here, not the end */
    r = loop_init(&forwarder->loop);
    if (r >= 0)
        r = signals_init(&forwarder->loop, &forwarder->signals, told_to_end);
    if (r >= 0)
        r = timer_init(&forwarder->loop, &forwarder->again, holder_again);
    if (r >= 0)
        r = holder_connect(forwarder);
    return r < 0 ? error_system(error, r, "cannot start a forwarder") : 0;
}

static void forwarder_done(struct forwarder *forwarder)
{
    conn_free(forwarder->holder);
    conn_free(forwarder->watching);
    forwarder_cables_done(forwarder);
    forwarder_namespaces_done(forwarder);
    forwards_free(forwarder->forwards);
    stock_done(&forwarder->stock);
    route6_free(forwarder->route6);
    uplink_free(forwarder->uplink);
    timer_done(&forwarder->again);
    signals_done(&forwarder->signals);
    loop_done(&forwarder->loop);
    spec_done(&forwarder->spec);
}

int forwarder_main(int argc, char **argv)
{
    struct forwarder forwarder;
    struct error error = {0};
    int r;

    if (argc != 1)
        return 2; /* only a broker starts forwarders */
    r = forwarder_init(&forwarder, argv[0], &error);
    if (r < 0)
        give_up(&forwarder, &error);
    else
        r = loop_run(&forwarder.loop);
    forwarder_done(&forwarder);
    return r < 0;
}
