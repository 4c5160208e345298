/* SPDX-License-Identifier: Apache-2.0 */
/* See holder.h; this file is the holder's life, holder-calls.c what it is asked. */
#include "network/holder.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/accept.h"
#include "base/alloc.h"
#include "base/log.h"
#include "kernel/nft.h"
#include "kernel/ns.h"
#include "made/holder_varlink.h"
#include "network/holder-private.h"
#include "network/rules.h"
#include "network/uplink-fds.h"

/* A network that is asked for and never used waits at least this long for its first port. */
enum { FIRST_USE_MS = 60 * 1000, PEERS_MAX = 16, LISTEN_FD = 3 };

/* A holder that nobody is connected to waits this long for the broker that is to start it, at first
 * and later: others (a forwarder that looks for a successor) may find it first, and leave. */
enum { UNSTARTED_FIRST_MS = 10 * 1000, UNSTARTED_MS = 500 };

/* A forwarder that lost its holder finds the next one within this time. */
enum { FORWARDER_RETURNS_MS = 300 };

struct holder_peer {
    struct list link;
    struct holder *holder;
    struct conn *conn;
};

/* --- ending --- */

void holder_end(struct holder *holder, const char *why)
{
    struct port_segment segment = {.rtnl = holder->segment.rtnl};
    struct port *port;
    bool ours = presence_holds(&holder->presence);

    if (holder->ended)
        return;
    holder->ended = true;
    log_info(holder->spec.name, "the network ends: %s", why);
    holder_tell(holder, "network-down", json_pack("{ss}", "reason", why));
    /* The broker tells an end from a crash by this path. */
    if (ours)
        unlink(holder->socket);
    list_each(port, &holder->ports, link)
        port_cut(port, &segment);
    if (segment.rtnl) /* who captures is told by it */
        rtnl_set_link(segment.rtnl, holder->segment.bridge, &(struct rtnl_link){.up = -1}, NULL);
    dnsmasq_stop(&holder->dnsmasq);
    if (ours)
        paths_remove(holder->directory);
    loop_stop(&holder->loop);
}

static void linger_over(struct timer *timer)
{
    struct holder *holder = container_of(timer, struct holder, linger);

    if (holder->started)
        holder_end(holder, "nobody uses it any more");
    else if (list_empty(&holder->peers))
        loop_stop(&holder->loop);
}

void holder_consider(struct holder *holder)
{
    if (!holder->started)
        return;
    if (holder->pinned || !list_empty(&holder->ports) || !list_empty(&holder->seats))
        timer_stop(&holder->linger);
    else
        timer_set(&holder->linger, holder->spec.linger * 1000ULL);
}

/* --- ports as the kernel tells of them --- */

static struct port *port_find(struct holder *holder, int ifindex)
{
    struct port *port;

    list_each(port, &holder->ports, link)
        if (port->ifindex == ifindex)
            return port;
    return NULL;
}

static void port_gone(struct holder *holder, struct port *port)
{
    log_info(holder->spec.name, "port %s%s%s is gone", port->id, port->name[0] ? " of " : "",
             port->name);
    holder_tell_port(holder, "port-down", port);
    list_remove(&port->link);
    holder_unreserve(holder, port);
    port_free(port);
    holder_make_room(holder, NULL); /* for one that came before this one went */
    holder_retry(holder);
    holder_consider(holder);
}

/* Nobody can reach this network any more, to end it or to add to it. */
static void socket_gone(struct presence *presence)
{
    struct holder *holder = container_of(presence, struct holder, presence);

    holder->pinned = false;
    if (!holder->started) {
        linger_over(&holder->linger);
        return;
    }
    log_warn(holder->spec.name, "%s was removed: the network goes with its last port",
             holder->socket);
    holder_consider(holder);
}

static void patience_over(struct timer *timer)
{
    holder_retry(container_of(timer, struct holder, patience));
}

static void link_changed(void *context, const struct rtnl_link_info *link)
{
    struct holder *holder = context;
    struct port *port = link->gone ? port_find(holder, link->ifindex) : NULL;

    if (port)
        port_gone(holder, port);
}

static void link_found(void *context, const struct rtnl_link_info *link)
{
    struct holder *holder = context;
    struct port *port;

    if (link->master != holder->segment.bridge || port_find(holder, link->ifindex))
        return;
    port = port_from_link(link);
    if (!port)
        return;
    log_info(holder->spec.name, "port %s found", port->id);
    list_append(&holder->ports, &port->link);
    holder_follow_users(holder, port);
}

/* The kernel dropped messages (ENOBUFS): what is still there is there, the rest is gone. */
static void ports_recount(struct holder *holder)
{
    struct port *port;
    char name[IF_NAMESIZE];

    list_each(port, &holder->ports, link) {
        if (!if_indextoname((unsigned)port->ifindex, name))
            port_gone(holder, port);
    }
}

static void monitor_ready(struct source *source, uint32_t events)
{
    struct holder *holder = container_of(source, struct holder, monitoring);
    int r = rtnl_monitor_read(holder->monitor, link_changed, holder);

    (void)events;
    if (r < 0) {
        log_warn(holder->spec.name, "watching links: %s; counting again", strerror(-r));
        ports_recount(holder);
    }
}

/* --- starting --- */

static void place_text(const struct spec_places *places, const char *path, char *text, size_t size)
{
    (void)places;
    snprintf(text, size, "Start.configuration%s", path);
}

static int spec_take(struct holder *holder, const char *name, const json_t *configuration,
                     struct error *error)
{
    OWN(faults) struct faults faults = {0};
    struct spec_places places = {place_text};
    int r = spec_from_json(name, configuration, &places, &holder->spec, &faults);

    if (r < 0 && error)
        *error = faults.items[0];
    return r;
}

static int way_out_make(struct holder *holder, struct error *error)
{
    OWN(mem) char *rules = rules_text(&holder->spec, &holder->plan, true);
    OWN(mem) char *plain = rules_text(&holder->spec, &holder->plan, false);
    int r = uplink_fds_policy(&holder->spec, holder->segment.rtnl, error);

    if (r < 0 || nft_apply(rules, error) == 0)
        return r;
    r = nft_apply(plain, error);
    if (r == 0)
        log_info(holder->spec.name, "this kernel has no short way for datagrams (NFT_FWD_NETDEV)");
    return r;
}

void holder_want_forwarder(struct holder *holder)
{
    if (!holder->started || holder->ended || holder->forwarder || !holder->wanting ||
        timer_is_set(&holder->wanted))
        return;
    call_reply(take_ptr(holder->wanting), json_pack("{sb}", "served", holder->served), NULL, 0);
    holder->served = false;
}

static void forwarder_missed(struct timer *timer)
{
    holder_want_forwarder(container_of(timer, struct holder, wanted));
}

/* The parts of a start, in order; each leaves what it made to holder_main() to give back. */
static int network_make(struct holder *holder, struct error *error)
{
    int r;

    plan_make(&holder->spec, &holder->plan);
    holder->plan.has6 = ns_has_ipv6();
    holder_forwards_load(holder);
    r = segment_make(&holder->spec, &holder->plan, &holder->segment, error);
    if (r >= 0)
        r = rtnl_monitor_open(&holder->monitor, error);
    if (r >= 0)
        r = rtnl_dump_links(holder->segment.rtnl, link_found, holder, error);
    if (r >= 0 && (r = source_add(&holder->loop, &holder->monitoring, holder->monitor, EPOLLIN,
                                  monitor_ready)) < 0)
        error_system(error, r, "cannot watch links");
    if (r >= 0 && holder->spec.mode == SPEC_SHARED)
        r = way_out_make(holder, error);
    if (r >= 0)
        r = holder_serve(holder, error);
    if (r >= 0)
        r = holder_reserve_all(holder, error);
    if (r >= 0)
        holder_make_room(holder, NULL); /* the configuration may reserve what was given out */
    return r < 0 ? r : holder_paths_start(holder, error);
}

static void pin_path(const struct holder *holder, char *path)
{
    snprintf(path, HOLDER_PATH, "%s/pinned", holder->directory);
}

int holder_pin(struct holder *holder, bool pinned, struct error *error)
{
    char path[HOLDER_PATH];
    int r = 0;

    pin_path(holder, path);
    if (pinned)
        r = paths_write(path, "", error);
    else
        unlink(path);
    if (r < 0)
        return r;
    holder->pinned = pinned;
    holder_consider(holder);
    return 0;
}

static bool was_pinned(const struct holder *holder)
{
    char path[HOLDER_PATH];

    pin_path(holder, path);
    return access(path, F_OK) == 0;
}

int holder_start(struct holder *holder, const json_t *configuration, const struct ns *ns,
                 struct error *error)
{
    const char *name = strrchr(holder->directory, '/') + 1;
    int r = spec_take(holder, name, configuration, error);

    if (r >= 0)
        r = paths_state(holder->state, error);
    if (r >= 0)
        r = ns ? ns_enter(ns, error) : ns_unshare(error);
    if (r >= 0)
        r = network_make(holder, error);
    if (r < 0)
        return r;
    holder->started = true;
    holder->pinned = was_pinned(holder);
    if (ns) /* the forwarder of the holder that died looks for its successor */
        timer_set(&holder->wanted, FORWARDER_RETURNS_MS);
    log_info(name, "the network %s", ns ? "goes on with a new holder" : "starts");
    if (!ns)
        timer_set(&holder->linger, holder->spec.linger * 1000ULL > FIRST_USE_MS
                                       ? holder->spec.linger * 1000ULL
                                       : FIRST_USE_MS);
    holder_events_begin(holder, ns);
    return 0;
}

/* --- the brokers that ask --- */

static void peer_free(struct holder_peer *peer)
{
    list_remove(&peer->link);
    peer->holder->peer_count--;
    conn_free(peer->conn);
    free(peer);
}

static void peer_closed(struct conn *conn, int error)
{
    struct holder_peer *peer = NULL, *each;
    struct holder *holder = conn_owner(conn);

    (void)error;
    list_each(each, &holder->peers, link)
        if (each->conn == conn)
            peer = each;
    if (holder->forwarder == conn)
        holder_forget_forwarder(holder);
    peer_free(peer);
    holder_want_forwarder(holder);
    if (!holder->started && list_empty(&holder->peers))
        timer_set(&holder->linger, UNSTARTED_MS);
}

static void peer_add(struct holder *holder, int fd)
{
    struct interface *const interfaces[] = {holder->interface, NULL};
    struct holder_peer *peer = alloc_new(struct holder_peer);

    peer->holder = holder;
    list_init(&peer->link);
    if (conn_new(&holder->loop, fd, "broker", interfaces, holder, peer_closed, &peer->conn) < 0) {
        free(peer);
        return;
    }
    list_append(&holder->peers, &peer->link);
    holder->peer_count++;
}

static void peer_arrived(struct source *source, uint32_t events)
{
    struct holder *holder = container_of(source, struct holder, listening);
    struct ucred who;
    OWN(fd) int fd = accept_next(holder->listener, &who);

    (void)events;
    if (fd < 0)
        return;
    if (who.uid != geteuid() || holder->peer_count >= PEERS_MAX) {
        log_warn("holder", "refused a connection of uid %u", who.uid);
        return;
    }
    peer_add(holder, take_fd(&fd));
}

/* --- the role --- */

static void told_to_end(struct signals *signals, int number)
{
    struct holder *holder = container_of(signals, struct holder, signals);

    (void)number;
    holder_end(holder, "told to by a signal");
}

static int holder_init(struct holder *holder, const char *name, struct error *error)
{
    char runtime[PATHS_MAX];
    int r;

    *holder = (struct holder){
        .listener = LISTEN_FD,
        .monitor = -1,
        .diag = -1,
        .journal = -1,
        .listeners = LISTENERS_NULL,
    };
    list_init(&holder->peers);
    list_init(&holder->ports);
    list_init(&holder->seats);
    list_init(&holder->waiting);
    list_init(&holder->adding);
    list_init(&holder->monitors);
    r = spec_check_name(name, error);
    if (r >= 0)
        r = paths_runtime(runtime, error);
    if (r < 0)
        return r;
    snprintf(holder->directory, sizeof(holder->directory), "%s/net/%s", runtime, name);
    snprintf(holder->socket, sizeof(holder->socket), "%s/holder.sock", holder->directory);
    r = interface_new(holder_varlink, holder_methods, &holder->interface, error);
    if (r < 0)
        return r;
    fcntl(holder->listener, F_SETFD, FD_CLOEXEC);
    r = loop_init(&holder->loop);
    if (r >= 0)
        r = signals_init(&holder->loop, &holder->signals, told_to_end);
    if (r >= 0)
        r = timer_init(&holder->loop, &holder->linger, linger_over);
    if (r >= 0)
        r = timer_init(&holder->loop, &holder->patience, patience_over);
    if (r >= 0)
        r = timer_init(&holder->loop, &holder->wanted, forwarder_missed);
    if (r >= 0)
        r = holder_paths_init(holder);
    if (r >= 0)
        r = holder_cables_init(holder);
    if (r >= 0)
        r = source_add(&holder->loop, &holder->listening, holder->listener, EPOLLIN, peer_arrived);
    if (r >= 0)
        r = presence_init(&holder->loop, &holder->presence, holder->socket, socket_gone);
    if (r < 0)
        return error_system(error, r, "cannot start a holder");
    timer_set(&holder->linger, UNSTARTED_FIRST_MS);
    return 0;
}

static void holder_done(struct holder *holder)
{
    struct holder_peer *peer;
    struct holder_seat *seat;
    struct port *port;

    holder_drop_waiting(holder);
    holder_paths_done(holder);
    holder_forwards_done(holder);
    holder_events_done(holder);
    if (holder->wanting)
        call_drop(holder->wanting);
    holder_cables_done(holder);
    list_each(peer, &holder->peers, link)
        peer_free(peer);
    list_each(seat, &holder->seats, link) {
        source_remove(&seat->source);
        fd_close(&seat->pipe_read);
        free(seat);
    }
    list_each(port, &holder->ports, link)
        port_free(port);
    dnsmasq_stop(&holder->dnsmasq);
    segment_done(&holder->segment);
    source_remove(&holder->monitoring);
    source_remove(&holder->listening);
    presence_done(&holder->presence);
    fd_close(&holder->monitor);
    fd_close(&holder->listener);
    timer_done(&holder->linger);
    timer_done(&holder->patience);
    timer_done(&holder->wanted);
    signals_done(&holder->signals);
    loop_done(&holder->loop);
    interface_free(holder->interface);
    spec_done(&holder->spec);
    free(holder->services);
}

int holder_main(int argc, char **argv)
{
    struct holder holder;
    struct error error = {0};
    char text[ERROR_TEXT_SIZE];
    int r;

    if (argc != 1)
        return 2; /* only a broker starts holders */
    r = holder_init(&holder, argv[0], &error);
    if (r >= 0)
        r = loop_run(&holder.loop);
    if (r < 0)
        log_error(argv[0], "%s", error_text(&error, text, sizeof(text)));
    holder_done(&holder);
    return r < 0;
}
