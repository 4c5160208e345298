/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The forwarder as the keeper of the network's namespaces, and of the sockets of its paths. The
 * holder lives in them and the broker has their descriptors; when both die at once the next broker
 * gets them here, and so a new holder can take over.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/accept.h"
#include "base/alloc.h"
#include "base/log.h"
#include "made/forwarder_varlink.h"
#include "network/forwarder-private.h"
#include "network/listeners.h"
#include "wire/idl.h"

enum { BROKERS_MAX = 8 };

/* A connected broker. */
struct forwarder_peer {
    struct list link;
    struct forwarder *forwarder;
    struct conn *conn;
};

static void call_namespaces(struct call *call)
{
    struct forwarder_peer *peer = conn_owner(call_conn(call));
    struct forwarder *forwarder = peer->forwarder;
    struct error error;

    if (forwarder->ns.net < 0) {
        error_set(&error, -ENOENT, ERROR_FAILED, "this forwarder has no namespaces");
        call_fail(call, &error);
        return;
    }
    log_info(forwarder->name, "gives the namespaces to a new broker");
    call_reply(call,
               json_pack("{so s[iiii]}", "configuration", spec_to_json(&forwarder->spec), "fds", 0,
                         1, 2, 3),
               (int[]){forwarder->ns.user, forwarder->ns.net, forwarder->listeners.stream,
                       forwarder->listeners.datagram},
               4);
    forwarder_expect_holder(forwarder);
}

static void call_counters(struct call *call)
{
    struct forwarder_peer *peer = conn_owner(call_conn(call));
    struct forwarder *forwarder = peer->forwarder;
    struct uplink_flows flows = {0};

    if (forwarder->uplink)
        uplink_flows(forwarder->uplink, &flows);
    call_reply(call,
               json_pack("{so s{si si si}}", "dropped", forwarder_cables_dropped(forwarder),
                         "flows", "tcp", flows.tcp, "udp", flows.udp, "ping", flows.ping),
               NULL, 0);
}

static const struct method methods[] = {
    {.name = "Namespaces", .handle = call_namespaces},
    {.name = "Counters", .handle = call_counters},
    {0},
};

static void peer_free(struct forwarder_peer *peer)
{
    list_remove(&peer->link);
    peer->forwarder->peer_count--;
    conn_free(peer->conn);
    free(peer);
}

static void peer_closed(struct conn *conn, int error)
{
    (void)error;
    peer_free(conn_owner(conn));
}

static void peer_arrived(struct source *source, uint32_t events)
{
    struct forwarder *forwarder = container_of(source, struct forwarder, listening);
    struct interface *const interfaces[] = {forwarder->interface, NULL};
    struct ucred who;
    OWN(fd) int fd = accept_next(forwarder->listener, &who);
    struct forwarder_peer *peer;

    (void)events;
    if (fd < 0)
        return;
    if (who.uid != geteuid() || forwarder->peer_count >= BROKERS_MAX) {
        log_warn(forwarder->name, "refused a connection of uid %u", who.uid);
        return;
    }
    peer = alloc_new(struct forwarder_peer);
    peer->forwarder = forwarder;
    if (conn_new(&forwarder->loop, take_fd(&fd), "broker", interfaces, peer, peer_closed,
                 &peer->conn) < 0) {
        free(peer);
        return;
    }
    list_append(&forwarder->peers, &peer->link);
    forwarder->peer_count++;
}

int forwarder_namespaces_start(struct forwarder *forwarder, struct error *error)
{
    int r = interface_new(forwarder_varlink, methods, &forwarder->interface, error);

    if (r >= 0)
        r = listener_make(forwarder->name, "forwarder.sock", SOCK_STREAM, error);
    if (r < 0)
        return r;
    forwarder->listener = r;
    accept_spare(forwarder->listener);
    r = source_add(&forwarder->loop, &forwarder->listening, r, EPOLLIN, peer_arrived);
    return r < 0 ? error_system(error, r, "cannot wait for brokers") : 0;
}

void forwarder_namespaces_done(struct forwarder *forwarder)
{
    struct forwarder_peer *peer;

    while ((peer = list_first(&forwarder->peers, struct forwarder_peer, link)))
        peer_free(peer);
    source_remove(&forwarder->listening);
    fd_close(&forwarder->listener);
    interface_free(forwarder->interface);
    own_ns(&forwarder->ns);
    listeners_done(&forwarder->listeners);
}
