/* SPDX-License-Identifier: Apache-2.0 */
/* What a holder is asked: the methods of io.vmlan.Holder.varlink. See holder.h. */
#include <errno.h>
#include <fcntl.h>

#include "base/alloc.h"
#include "base/log.h"
#include "kernel/ns.h"
#include "network/holder-private.h"
#include "network/holder.h"
#include "network/uplink-fds.h"

json_t *holder_indexes(size_t first, size_t count)
{
    json_t *array = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(array, json_integer((json_int_t)(first + i)));
    return array;
}

static void call_start(struct call *call)
{
    struct holder *holder = holder_of(call);
    json_t *parameters = call_parameters(call);
    OWN(ns) struct ns ns = NS_NULL;
    struct error error;
    int r;

    if (holder->started) {
        error_set(&error, -EINVAL, ERROR_INVALID, "this holder was started already");
        call_fail(call, &error);
        return;
    }
    if (call_fd_count(call) == 4) {
        ns.user = call_take_fd(call, 0);
        ns.net = call_take_fd(call, 1);
    }
    holder->listeners.stream = call_take_fd(call, call_fd_count(call) - 2);
    holder->listeners.datagram = call_take_fd(call, call_fd_count(call) - 1);
    holder->route6 = json_is_true(json_object_get(parameters, "route6"));
    r = holder_start(holder, json_object_get(parameters, "configuration"), ns.net >= 0 ? &ns : NULL,
                     &error);
    if (r >= 0 && json_is_true(json_object_get(parameters, "pinned")))
        r = holder_pin(holder, true, &error);
    if (r < 0) {
        call_fail(call, &error);
        return;
    }
    if (ns.net >= 0)
        holder_consider(holder);
    call_reply(call, NULL, NULL, 0);
}

static void call_describe(struct call *call)
{
    struct holder *holder = holder_of(call);
    OWN(ns) struct ns ns = NS_NULL;
    json_t *ports = json_array(), *reply;
    struct port *port;
    struct error error;

    if (!holder->started || ns_current(&ns) < 0) {
        json_decref(ports);
        error_set(&error, -EAGAIN, ERROR_FAILED, "this holder was not started");
        call_fail(call, &error);
        return;
    }
    list_each(port, &holder->ports, link)
        json_array_append_new(ports, port_to_json(port));
    reply =
        json_pack("{si si ss so sb so ss so}", "version", HOLDER_VERSION, "oldest", HOLDER_OLDEST,
                  "network", holder->spec.name, "configuration", spec_to_json(&holder->spec),
                  "pinned", holder->pinned, "ports", ports, "services",
                  holder->services ? holder->services : "", "fds", holder_indexes(0, 4));
    call_reply(call, reply,
               (int[]){ns.user, ns.net, holder->listeners.stream, holder->listeners.datagram}, 4);
}

static void seat_left(struct source *source, uint32_t events)
{
    struct holder_seat *seat = container_of(source, struct holder_seat, source);
    struct holder *holder = seat->holder;

    (void)events;
    source_remove(source);
    list_remove(&seat->link);
    fd_close(&seat->pipe_read);
    free(seat);
    holder_consider(holder);
}

static int seat_add(struct holder *holder, int *ret_fd)
{
    struct holder_seat *seat;
    int ends[2], r;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    seat = alloc_new(struct holder_seat);
    seat->holder = holder;
    seat->pipe_read = ends[0];
    r = source_add(&holder->loop, &seat->source, ends[0], 0,
                   seat_left); /* EPOLLHUP comes unasked */
    if (r < 0) {
        close(ends[0]);
        close(ends[1]);
        free(seat);
        return r;
    }
    list_append(&holder->seats, &seat->link);
    holder_consider(holder);
    *ret_fd = ends[1];
    return 0;
}

static void call_acquire(struct call *call)
{
    struct holder *holder = holder_of(call);
    OWN(ns) struct ns ns = NS_NULL;
    OWN(fd) int lease = -1;
    struct error error;
    int r = holder->started ? ns_current(&ns) : -EAGAIN;

    if (r >= 0)
        r = seat_add(holder, &lease);
    if (r < 0) {
        error_system(&error, r, "cannot hand out the network's namespaces");
        call_fail(call, &error);
        return;
    }
    call_reply(call, json_pack("{so}", "fds", holder_indexes(0, 3)),
               (int[]){ns.user, ns.net, lease}, 3);
}

static void wanting_gone(struct call *call, void *context)
{
    struct holder *holder = context;

    holder->wanting = NULL;
    call_drop(call);
}

/* One broker at a time waits: a second question takes the place of the first. */
static void call_forwarder_wanted(struct call *call)
{
    struct holder *holder = holder_of(call);
    struct error error;

    if (holder->wanting) {
        error_set(&error, -EALREADY, ERROR_CONFLICT, "another broker asked");
        call_fail(take_ptr(holder->wanting), &error);
    }
    holder->wanting = call;
    call_on_gone(call, wanting_gone, holder);
    holder_want_forwarder(holder);
}

static void reply_uplink(struct call *call, struct holder *holder, struct uplink_fds *fds)
{
    json_t *sockets = json_object();
    OWN(ns) struct ns ns = NS_NULL;
    int sent[UPLINK_FDS + 4];
    size_t count = 0, kept = 0;

    for (size_t i = 0; fds && i < UPLINK_FDS; i++) {
        int fd = *uplink_fds_field(fds, i);

        if (fd < 0)
            continue;
        json_object_set_new(sockets, uplink_fds_name(i), json_integer((json_int_t)count));
        sent[count++] = fd;
    }
    if (ns_current(&ns) >= 0) {
        sent[count] = ns.user;
        sent[count + 1] = ns.net;
        sent[count + 2] = holder->listeners.stream;
        sent[count + 3] = holder->listeners.datagram;
        kept = 4;
    }
    call_reply(call,
               json_pack("{so sI so so}", "configuration", spec_to_json(&holder->spec), "namespace",
                         (json_int_t)ns_cookie(holder->monitor), "sockets", sockets, "namespaces",
                         holder_indexes(count, kept)),
               sent, count + kept);
}

static void call_forwarder(struct call *call)
{
    struct holder *holder = holder_of(call);
    const json_t *namespace = json_object_get(call_parameters(call), "namespace");
    bool equipped = json_is_integer(namespace);
    struct uplink_fds fds;
    struct error error = {0};
    int r = 0;

    if (!holder->started)
        r = error_set(&error, -EAGAIN, ERROR_UNAVAILABLE, "the network is not running yet");
    else if (holder->ended)
        r = error_set(&error, -EAGAIN, ERROR_FAILED, "the network has ended");
    else if (holder->forwarder)
        r = error_set(&error, -EEXIST, ERROR_CONFLICT, "this network has a forwarder already");
    else if (equipped && (uint64_t)json_integer_value(namespace) != ns_cookie(holder->monitor))
        r = error_set(&error, -EEXIST, ERROR_CONFLICT, "this forwarder is an earlier network's");
    else if (!equipped)
        r = uplink_fds_open(&holder->spec, holder->segment.rtnl, &fds, &error);
    if (r < 0) {
        call_fail(call, &error);
        return;
    }
    holder->forwarder = call_conn(call);
    timer_stop(&holder->wanted);
    holder_tell_service(holder, "forwarder", conn_peer(holder->forwarder)->pid);
    reply_uplink(call, holder, equipped ? NULL : &fds);
    if (!equipped)
        uplink_fds_close(&fds);
}

static void call_route6(struct call *call)
{
    struct holder *holder = holder_of(call);
    struct error error = {0};
    bool there = json_is_true(json_object_get(call_parameters(call), "there"));

    if (there != holder->route6) {
        log_info(holder->spec.name, "the host %s a way out over IPv6", there ? "has" : "has lost");
        holder->route6 = there;
        if (holder_serve(holder, &error) < 0) {
            call_fail(call, &error);
            return;
        }
    }
    call_reply(call, NULL, NULL, 0);
}

static void call_pin(struct call *call)
{
    bool pinned = json_is_true(json_object_get(call_parameters(call), "pinned"));
    struct error error;

    if (holder_pin(holder_of(call), pinned, &error) < 0)
        call_fail(call, &error);
    else
        call_reply(call, NULL, NULL, 0);
}

static void call_end(struct call *call)
{
    struct holder *holder = holder_of(call);

    call_drop(call); /* the end of the connection is the answer: then nothing is left */
    holder_end(holder, "down");
}

const struct method holder_methods[] = {
    {.name = "Start", .handle = call_start, .fds_min = 2, .fds_max = 4},
    {.name = "Describe", .handle = call_describe},
    {.name = "AddPort", .handle = holder_call_add_port},
    {.name = "Acquire", .handle = call_acquire},
    {.name = "ForwarderWanted", .handle = call_forwarder_wanted},
    {.name = "Forwarder", .handle = call_forwarder},
    {.name = "Route6", .handle = call_route6},
    {.name = "NextCable", .handle = holder_call_next_cable},
    {.name = "CableMet", .handle = holder_call_cable_met},
    {.name = "CableEnded", .handle = holder_call_cable_ended},
    {.name = "CableKept", .handle = holder_call_cable_kept, .fds_min = 1, .fds_max = 3},
    {.name = "DatagramClient", .handle = holder_call_datagram_client},
    {.name = "ForwardAdd", .handle = holder_call_forward_add},
    {.name = "ForwardRemove", .handle = holder_call_forward_remove},
    {.name = "ForwardList", .handle = holder_call_forward_list},
    {.name = "ForwardsWatch", .handle = holder_call_forwards_watch},
    {.name = "ForwardsApplied", .handle = holder_call_forwards_applied},
    {.name = "Sockets", .handle = holder_call_sockets},
    {.name = "Capture", .handle = holder_call_capture},
    {.name = "Rules", .handle = holder_call_rules},
    {.name = "Counters", .handle = holder_call_counters},
    {.name = "Monitor", .handle = holder_call_monitor},
    {.name = "Pin", .handle = call_pin},
    {.name = "End", .handle = call_end},
    {0},
};
