/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AddPort: a place on the network for one guest. Checks what was asked for against the ports there
 * are, and makes the link; see port.h for what a port is.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <signal.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "base/log.h"
#include "network/holder-private.h"

enum { PORTS_MAX = 1024 }; /* of a bridge: BR_MAX_PORTS in net/bridge/br_private.h */

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

static int name_check(struct holder *holder, const struct port *port, struct error *error)
{
    struct port *other;

    list_each(other, &holder->ports, link) {
        if (!port->name[0] || strcasecmp(other->name, port->name) != 0)
            continue;
        error_set(error, -EADDRINUSE, ERROR_CONFLICT, "port %s has the name %s already", other->id,
                  port->name);
        error_where(error, "Attach.name");
        error_hint(error, "choose another name");
        return -EADDRINUSE;
    }
    return 0;
}

static int ip_taken(struct error *error, const char *text, const char *by)
{
    error_set(error, -EADDRINUSE, ERROR_CONFLICT, "%s is reserved for another %s", text, by);
    error_where(error, "Attach.ip");
    error_hint(error, "choose another address, or leave ip out to have one chosen");
    return -EADDRINUSE;
}

static int ip_check(struct holder *holder, const struct port *port, struct error *error)
{
    char subnet[SUBNET4_TEXT_SIZE], text[INET_ADDRSTRLEN];
    uint32_t ip = ntohl(port->ip.s_addr);
    struct port *other;

    if (!ip)
        return 0;
    inet_ntop(AF_INET, &port->ip, text, sizeof(text));
    if (ip < ntohl(holder->plan.first.s_addr) || ip > ntohl(holder->plan.last.s_addr)) {
        error_set(error, -EINVAL, ERROR_INVALID, "%s can't be a guest's address on this network",
                  text);
        error_where(error, "Attach.ip");
        error_hint(error, "use one of %s, but not the gateway's or the broadcast address",
                   subnet4_text(&holder->spec.subnet, subnet));
        return -EINVAL;
    }
    list_each(other, &holder->ports, link)
        if (other->ip.s_addr == port->ip.s_addr)
            return ip_taken(error, text, "port");
    for (size_t i = 0; i < holder->spec.reservation_count; i++) {
        const struct spec_reservation *reservation = &holder->spec.reservations[i];

        if (reservation->ip.s_addr == port->ip.s_addr && memcmp(reservation->mac, port->mac, 6))
            return ip_taken(error, text, "MAC address in the configuration");
    }
    return holder_check_leased(holder, port, error);
}

/* The lowest free number: link names stay short and do not wander. The kernel is asked only about
 * those that no port has: a link may be on its way out. */
static void id_choose(struct holder *holder, struct port *port)
{
    bool taken[2 * PORTS_MAX] = {false};
    struct port *other;
    unsigned number;

    list_each(other, &holder->ports, link)
        if (sscanf(other->id, "vm%u", &number) == 1 && number < ARRAY_SIZE(taken))
            taken[number] = true;
    for (number = 0;; number++) {
        if (number < ARRAY_SIZE(taken) && taken[number])
            continue;
        snprintf(port->id, sizeof(port->id), "vm%u", number);
        if (if_nametoindex(port->id) == 0)
            return;
    }
}

static int port_take(struct holder *holder, json_t *parameters, struct port *port,
                     struct error *error)
{
    int r = port_parse(parameters, port, error);

    if (r < 0)
        return r;
    port->pid = (pid_t)json_integer_value(json_object_get(parameters, "pid"));
    r = name_check(holder, port, error); /* first: a MAC address may be derived from the name */
    if (r < 0)
        return r;
    if (port_mac_known(port) && mac_taken(holder, port->mac, error))
        return -EADDRINUSE;
    if (!port_mac_known(port) && !port->learns)
        mac_choose(holder, port->mac);
    if (port->backend == PORT_HOST_LINK && !port->ip.s_addr)
        r = holder_choose_ip(holder, &port->ip, error);
    return r < 0 ? r : ip_check(holder, port, error);
}

int holder_add_port(struct holder *holder, struct port *port, struct port_fds *ret,
                    struct error *error)
{
    struct port_segment segment = {.rtnl = holder->segment.rtnl,
                                   .bridge = holder->segment.bridge,
                                   .mtu = holder->spec.mtu,
                                   .isolated = holder->spec.isolated};
    char process[32];
    int r;

    id_choose(holder, port);
    r = holder_reserve(holder, port, error); /* before the guest can ask */
    if (r >= 0)
        holder_make_room(holder, port);
    if (r >= 0)
        r = port_open(port, &segment, ret, error);
    if (r < 0) {
        holder_unreserve(holder, port);
        return r;
    }
    list_append(&holder->ports, &port->link);
    holder_follow_users(holder, port);
    holder_consider(holder);
    holder_hand_cables(holder);
    holder_want_forwarder(holder);
    snprintf(process, sizeof(process), "process %d", (int)port->pid);
    log_info(holder->spec.name, "port %s (%s)%s%s for %s", port->id,
             port_backend_name(port->backend), port->name[0] ? " of " : "", port->name,
             port->address ? port->address : process);
    holder_tell_port(holder, "port-up", port);
    return 0;
}

static void port_answer(struct call *call, const struct port *port, const struct port_fds *got)
{
    int fds[2 * PORT_FDS_MAX];
    char mac[MAC_TEXT_SIZE], ip[INET_ADDRSTRLEN];
    json_t *reply = json_pack("{ss ss so so}", "port", port->id, "mac", mac_text(port->mac, mac),
                              "fds", holder_indexes(0, got->count), "vhostFds",
                              holder_indexes(got->count, got->vhost_count));

    memcpy(fds, got->fds, got->count * sizeof(int));
    memcpy(fds + got->count, got->vhost, got->vhost_count * sizeof(int));
    if (port->ip.s_addr)
        json_object_set_new(reply, "ip",
                            json_string(inet_ntop(AF_INET, &port->ip, ip, sizeof(ip))));
    call_reply(call, reply, fds, got->count + got->vhost_count);
}

static void port_add(struct call *call, bool patient);

/* A guest that is started again right after its end meets its old port, which the kernel takes
 * away some 30 ms after the process, or much later on a busy machine: such a request waits for that
 * instead of failing. */
enum { PATIENCE_MS = 1000 };

struct waiting {
    struct list link;
    struct call *call;
};

static bool port_leaves(const struct port *port)
{
    return port->ended || (kill(port->pid, 0) < 0 && errno == ESRCH);
}

/* Or one whose descriptors were lost with a broker, so that its peer asks again. */
static bool port_is_leaving(struct holder *holder, const struct call *call)
{
    json_int_t pid = json_integer_value(json_object_get(call_parameters(call), "pid"));
    struct port *port;

    list_each(port, &holder->ports, link)
        if (port_leaves(port) || port->pid == pid)
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
    struct holder *holder = holder_of(call);
    struct port *port = port_new();
    OWN(port_fds) struct port_fds fds = {0};
    struct error error = {0};
    int r = -EAGAIN;

    if (!holder->started || holder->ended)
        error_set(&error, r, ERROR_FAILED, "the network is not running");
    else
        r = port_take(holder, call_parameters(call), port, &error);
    if (r >= 0)
        r = holder_add_port(holder, port, &fds, &error);
    if (r < 0) {
        port_free(port);
        if (r == -EADDRINUSE && patient && port_is_leaving(holder, call))
            port_wait(holder, call);
        else
            call_fail(call, &error);
        return;
    }
    port_answer(call, port, &fds);
}

void holder_call_add_port(struct call *call)
{
    port_add(call, true);
}

/* --- a guest that says its MAC address itself --- */

static const struct port *mac_owner(struct holder *holder, const struct port *but,
                                    const uint8_t mac[6])
{
    const struct port *port;

    list_each(port, &holder->ports, link)
        if (port != but && memcmp(port->mac, mac, 6) == 0 && !port_leaves(port))
            return port;
    return NULL;
}

bool holder_learn_mac(struct holder *holder, struct port *port, const uint8_t mac[6])
{
    const struct port *owner = mac_owner(holder, port, mac);
    char text[MAC_TEXT_SIZE], message[ERROR_TEXT_SIZE];
    struct error error;
    int r;

    if (port_mac_known(port))
        return true;
    if (owner) {
        log_warn(holder->spec.name, "port %s ends: its guest has the MAC address %s of port %s",
                 port->id, mac_text(mac, text), owner->id);
        return false;
    }
    memcpy(port->mac, mac, sizeof(port->mac));
    r = holder_reserve(holder, port, &error);
    if (r >= 0)
        r = port_describe(port, holder->segment.rtnl, &error);
    if (r < 0)
        log_warn(port->id, "%s", error_text(&error, message, sizeof(message)));
    log_debug(holder->spec.name, "the guest of port %s is %s", port->id, mac_text(mac, text));
    return true;
}
