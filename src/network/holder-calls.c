/* SPDX-License-Identifier: Apache-2.0 */
/* What a holder is asked: the methods of io.vmlan.Holder.varlink. See holder.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "base/log.h"
#include "network/holder-private.h"

static struct holder *call_holder(struct call *call)
{
    return conn_owner(call_conn(call));
}

static json_t *indexes(size_t first, size_t count)
{
    json_t *array = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(array, json_integer((json_int_t)(first + i)));
    return array;
}

static void call_start(struct call *call)
{
    struct holder *holder = call_holder(call);
    json_t *parameters = call_parameters(call);
    OWN(ns) struct ns ns = NS_NULL;
    struct error error;
    int r;

    if (holder->started) {
        error_set(&error, -EINVAL, ERROR_INVALID, "this holder was started already");
        call_fail(call, &error);
        return;
    }
    ns.user = call_take_fd(call, 0);
    ns.net = call_take_fd(call, 1);
    r = holder_start(holder, json_object_get(parameters, "configuration"), ns.net >= 0 ? &ns : NULL,
                     &error);
    if (r < 0) {
        call_fail(call, &error);
        return;
    }
    holder->pinned = json_is_true(json_object_get(parameters, "pinned"));
    if (ns.net >= 0 || holder->pinned)
        holder_consider(holder);
    call_reply(call, NULL, NULL, 0);
}

static void call_describe(struct call *call)
{
    struct holder *holder = call_holder(call);
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
    reply = json_pack("{ss so sb so ss so}", "network", holder->spec.name, "configuration",
                      spec_to_json(&holder->spec), "pinned", holder->pinned, "ports", ports,
                      "services", holder->services ? holder->services : "", "fds", indexes(0, 2));
    call_reply(call, reply, (int[]){ns.user, ns.net}, 2);
}

/* --- AddPort --- */

static const char *text_or_null(const json_t *parameters, const char *key)
{
    return json_string_value(json_object_get(parameters, key));
}

static bool mac_taken(struct holder *holder, const uint8_t mac[6], struct error *error)
{
    char text[MAC_TEXT_SIZE];
    struct port *port;

    list_each(port, &holder->ports, link) {
        if (memcmp(port->mac, mac, 6) != 0)
            continue;
        error_set(error, -EADDRINUSE, ERROR_CONFLICT, "port %s%s%s has the MAC address %s already",
                  port->id, port->name[0] ? " of " : "", port->name, mac_text(mac, text));
        error_where(error, "Attach.mac");
        error_hint(error, "give this guest a MAC address of its own");
        return true;
    }
    return false;
}

/* A free address in the block that vmlan hands out where the caller does not care. */
static void mac_choose(struct holder *holder, uint8_t mac[6])
{
    memcpy(mac, (uint8_t[]){0x52, 0x55, 0x57}, 3);
    do {
        while (getrandom(mac + 3, 3, 0) != 3)
            ;
    } while (mac_taken(holder, mac, NULL));
}

static int take_mac(struct holder *holder, const char *text, struct port *port, struct error *error)
{
    if (!text) {
        mac_choose(holder, port->mac);
        return 0;
    }
    if (mac_parse(text, port->mac) < 0) {
        error_set(error, -EINVAL, ERROR_INVALID, "\"%s\" is not a MAC address of one guest", text);
        error_where(error, "Attach.mac");
        error_hint(error, "write six bytes such as 52:54:00:12:34:56");
        return -EINVAL;
    }
    return mac_taken(holder, port->mac, error) ? -EADDRINUSE : 0;
}

static int take_name(struct holder *holder, const char *text, struct port *port,
                     struct error *error)
{
    struct port *other;
    int r;

    if (!text)
        return 0;
    r = spec_check_guest_name(text, error);
    if (r < 0) {
        error_where(error, "Attach.name");
        return r;
    }
    list_each(other, &holder->ports, link) {
        if (strcasecmp(other->name, text) != 0)
            continue;
        error_set(error, -EADDRINUSE, ERROR_CONFLICT, "port %s has the name %s already", other->id,
                  text);
        error_where(error, "Attach.name");
        error_hint(error, "choose another name");
        return -EADDRINUSE;
    }
    snprintf(port->name, sizeof(port->name), "%s", text);
    return 0;
}

static int ip_refuse(struct error *error, const char *id, const char *text, const char *why)
{
    int code = strcmp(id, ERROR_CONFLICT) == 0 ? -EADDRINUSE : -EINVAL;

    error_set(error, code, id, "%s %s", text, why);
    error_where(error, "Attach.ip");
    return code;
}

static int take_ip(struct holder *holder, const char *text, struct port *port, struct error *error)
{
    char subnet[SUBNET4_TEXT_SIZE];
    uint32_t ip;
    struct port *other;

    if (!text)
        return 0;
    if (inet_pton(AF_INET, text, &port->ip) != 1)
        return ip_refuse(error, ERROR_INVALID, text, "is not an IPv4 address");
    ip = ntohl(port->ip.s_addr);
    if (ip < ntohl(holder->plan.first.s_addr) || ip > ntohl(holder->plan.last.s_addr)) {
        ip_refuse(error, ERROR_INVALID, text, "can't be a guest's address on this network");
        error_hint(error, "use one of %s, but not the gateway's or the broadcast address",
                   subnet4_text(&holder->spec.subnet, subnet));
        return -EINVAL;
    }
    list_each(other, &holder->ports, link)
        if (other->ip.s_addr == port->ip.s_addr)
            return ip_refuse(error, ERROR_CONFLICT, text,
                             "is reserved for "
                             "another port");
    for (size_t i = 0; i < holder->spec.reservation_count; i++) {
        const struct spec_reservation *reservation = &holder->spec.reservations[i];

        if (reservation->ip.s_addr == port->ip.s_addr && memcmp(reservation->mac, port->mac, 6))
            return ip_refuse(error, ERROR_CONFLICT, text,
                             "is reserved for another MAC address in the configuration");
    }
    return 0;
}

/* The lowest free number: link names stay short and do not wander. */
static void id_choose(struct holder *holder, struct port *port)
{
    struct port *other;
    bool taken = true;

    for (unsigned number = 0; taken; number++) {
        snprintf(port->id, sizeof(port->id), "vm%u", number);
        taken = if_nametoindex(port->id) != 0;
        list_each(other, &holder->ports, link)
            taken |= strcmp(other->id, port->id) == 0;
    }
}

static int port_take(struct holder *holder, json_t *parameters, struct port *port,
                     struct error *error)
{
    json_int_t queues = json_integer_value(json_object_get(parameters, "queues"));
    const char *backend = text_or_null(parameters, "backend");
    int r;

    if (!port_backend_parse(backend, &port->backend))
        return error_set(error, -EINVAL, ERROR_INVALID, "unknown backend %s", backend);
    if (queues < 1 || queues > TAP_QUEUES_MAX) {
        error_set(error, -EINVAL, ERROR_INVALID, "%lld queues can't be had", (long long)queues);
        error_where(error, "Attach.queues");
        error_hint(error, "use 1 to %d", TAP_QUEUES_MAX);
        return -EINVAL;
    }
    port->queues = (unsigned)queues;
    port->pid = (pid_t)json_integer_value(json_object_get(parameters, "pid"));
    r = take_mac(holder, text_or_null(parameters, "mac"), port, error);
    if (r >= 0)
        r = take_name(holder, text_or_null(parameters, "name"), port, error);
    if (r >= 0)
        r = take_ip(holder, text_or_null(parameters, "ip"), port, error);
    return r;
}

static int port_make(struct holder *holder, struct port *port, struct port_fds *fds,
                     struct error *error)
{
    struct port_segment segment = {.rtnl = holder->segment.rtnl,
                                   .bridge = holder->segment.bridge,
                                   .mtu = holder->spec.mtu,
                                   .isolated = holder->spec.isolated};
    int r;

    id_choose(holder, port);
    r = holder_reserve(holder, port, error); /* before the guest can ask */
    if (r >= 0)
        r = port_open(port, &segment, fds, error);
    if (r < 0)
        holder_unreserve(holder, port);
    return r;
}

static void port_answer(struct call *call, const struct port *port, const struct port_fds *got)
{
    int fds[2 * PORT_FDS_MAX];
    char mac[MAC_TEXT_SIZE];

    memcpy(fds, got->fds, got->count * sizeof(int));
    memcpy(fds + got->count, got->vhost, got->vhost_count * sizeof(int));
    call_reply(call,
               json_pack("{ss ss so so}", "port", port->id, "mac", mac_text(port->mac, mac), "fds",
                         indexes(0, got->count), "vhostFds", indexes(got->count, got->vhost_count)),
               fds, got->count + got->vhost_count);
}

static void port_add(struct call *call, bool patient);

/* A guest that is started again right after its end meets its old port, which the kernel takes
 * away some 30 ms after the process: such a request waits for that instead of failing. */
enum { PATIENCE_MS = 400 };

struct waiting {
    struct list link;
    struct call *call;
};

static bool port_is_leaving(struct holder *holder)
{
    struct port *port;

    list_each(port, &holder->ports, link)
        if (kill(port->pid, 0) < 0 && errno == ESRCH)
            return true;
    return false;
}

static void waiting_free(struct waiting *waiting)
{
    list_remove(&waiting->link);
    free(waiting);
}

static void waiting_gone(struct call *call, void *context)
{
    waiting_free(context);
    call_drop(call);
}

static void port_wait(struct holder *holder, struct call *call)
{
    struct waiting *waiting = alloc_new(struct waiting);

    waiting->call = call;
    list_append(&holder->waiting, &waiting->link);
    call_on_gone(call, waiting_gone, waiting);
    if (!timer_is_set(&holder->patience))
        timer_set(&holder->patience, PATIENCE_MS);
}

void holder_retry(struct holder *holder)
{
    bool patient = timer_is_set(&holder->patience);
    struct list all;
    struct waiting *waiting;

    list_init(&all);
    list_splice(&all, &holder->waiting);
    while ((waiting = list_first(&all, struct waiting, link))) {
        struct call *call = waiting->call;

        call_on_gone(call, NULL, NULL);
        waiting_free(waiting);
        port_add(call, patient);
    }
}

void holder_drop_waiting(struct holder *holder)
{
    struct waiting *waiting;

    while ((waiting = list_first(&holder->waiting, struct waiting, link)))
        waiting_gone(waiting->call, waiting);
}

static void port_add(struct call *call, bool patient)
{
    struct holder *holder = call_holder(call);
    struct port *port = alloc_new(struct port);
    OWN(port_fds) struct port_fds fds = {0};
    struct error error = {0};
    int r = -EAGAIN;

    list_init(&port->link);
    if (!holder->started || holder->ended)
        error_set(&error, r, ERROR_FAILED, "the network is not running");
    else
        r = port_take(holder, call_parameters(call), port, &error);
    if (r >= 0)
        r = port_make(holder, port, &fds, &error);
    if (r < 0) {
        free(port);
        if (r == -EADDRINUSE && patient && port_is_leaving(holder))
            port_wait(holder, call);
        else
            call_fail(call, &error);
        return;
    }
    list_append(&holder->ports, &port->link);
    holder_consider(holder);
    log_info(holder->spec.name, "port %s (%s)%s%s for process %d", port->id,
             port_backend_name(port->backend), port->name[0] ? " of " : "", port->name,
             (int)port->pid);
    port_answer(call, port, &fds);
}

static void call_add_port(struct call *call)
{
    port_add(call, true);
}

/* --- the rest --- */

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
    struct holder *holder = call_holder(call);
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
    call_reply(call, json_pack("{so}", "fds", indexes(0, 3)), (int[]){ns.user, ns.net, lease}, 3);
}

static void call_pin(struct call *call)
{
    struct holder *holder = call_holder(call);

    holder->pinned = json_is_true(json_object_get(call_parameters(call), "pinned"));
    holder_consider(holder);
    call_reply(call, NULL, NULL, 0);
}

static void call_end(struct call *call)
{
    struct holder *holder = call_holder(call);

    call_reply(call, NULL, NULL, 0);
    holder_end(holder, "down");
}

const struct method holder_methods[] = {
    {.name = "Start", .handle = call_start, .fds_max = 2},
    {.name = "Describe", .handle = call_describe},
    {.name = "AddPort", .handle = call_add_port},
    {.name = "Acquire", .handle = call_acquire},
    {.name = "Pin", .handle = call_pin},
    {.name = "End", .handle = call_end},
    {0},
};
