/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ports whose guest has a socket, as the holder sees them: it keeps a copy of both ends of each
 * cable (struct port), hands them to the forwarder, whose adapters move the frames, and to the next
 * forwarder when that one dies. When the holder itself dies the forwarder gives them back to its
 * successor.
 */
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "adapter/journal.h"
#include "base/alloc.h"
#include "base/log.h"
#include "kernel/unix-diag.h"
#include "network/holder-private.h"

/* How often datagram sockets are looked at, as those of clients are (adapter/clients.c). */
enum { PROBE_MS = 2000 };

/* The port a forwarder means; NULL: it is gone. What the kernel and what a forwarder tell comes in
 * no order, so another port may have its name by now. */
static struct port *port_meant(struct holder *holder, json_t *parameters)
{
    const char *id = json_string_value(json_object_get(parameters, "port"));
    const json_t *link = json_object_get(parameters, "link");
    struct port *port;

    list_each(port, &holder->ports, link)
        if (strcmp(port->id, id) == 0 &&
            (!json_is_integer(link) || json_integer_value(link) == port->ifindex))
            return port;
    return NULL;
}

/* Of a new network, or of one whose forwarder died with the last holder. */
static bool journal_there(struct holder *holder)
{
    if (holder->journal < 0)
        holder->journal = journal_make();
    if (holder->journal < 0)
        log_error(holder->spec.name, "no memory for the forwarder: %s", strerror(-holder->journal));
    return holder->journal >= 0;
}

/* --- the guest's end of a datagram socket: nothing tells when it is closed --- */

static bool wants_probe(const struct port *port)
{
    return (port->backend == PORT_DATAGRAM || port->backend == PORT_DATAGRAM_NEXT) &&
           port->peer >= 0;
}

static void end_probe(const struct holder *holder, const struct port *port)
{
    struct stat status;
    bool alone = false;

    if (fstat(port->peer, &status) < 0 ||
        unix_diag_alone(holder->diag, (uint32_t)status.st_ino, &alone) < 0 || !alone)
        return;
    shutdown(port->peer, SHUT_RDWR); /* the adapter sees that, and ends */
}

static void ends_probe(struct timer *timer)
{
    struct holder *holder = container_of(timer, struct holder, probe);
    struct port *port;
    bool again = false;

    if (holder->diag < 0 && unix_diag_open(&holder->diag) < 0)
        return; /* such a port goes with the next frame that is sent to it */
    list_each(port, &holder->ports, link)
        if (wants_probe(port)) {
            end_probe(holder, port);
            again = true;
        }
    if (again)
        timer_set(timer, PROBE_MS);
}

static void probe_start(struct holder *holder, const struct port *port)
{
    if (wants_probe(port) && !timer_is_set(&holder->probe))
        timer_set(&holder->probe, PROBE_MS);
}

int holder_cables_init(struct holder *holder)
{
    return timer_init(&holder->loop, &holder->probe, ends_probe);
}

void holder_cables_done(struct holder *holder)
{
    if (holder->cabling)
        call_drop(holder->cabling);
    timer_done(&holder->probe);
    fd_close(&holder->diag);
    fd_close(&holder->journal);
}

/* --- the forwarder's part --- */

static void cable_hand(struct holder *holder, struct port *port)
{
    int fds[3] = {port->tap, port->peer};
    size_t count = port->address ? 1 : 2;
    bool journal = journal_there(holder);
    json_t *reply;

    if (journal)
        fds[count++] = holder->journal;
    reply = json_pack("{ss si ss sb sb si sb sb sb so}", "port", port->id, "link", port->ifindex,
                      "backend", port_backend_name(port->backend), "tso", port->tso,
                      "checksumOffload", port->checksum_offload, "mtu", holder->spec.mtu,
                      "learnMac", !port_mac_known(port), "lenient", port->learns, "journal",
                      journal, "fds", holder_indexes(0, count));
    if (port->address)
        json_object_set_new(reply, "address", json_string(port->address));
    port->handed = true;
    probe_start(holder, port);
    call_reply(take_ptr(holder->cabling), reply, fds, count);
}

void holder_hand_cables(struct holder *holder)
{
    struct port *port;

    list_each(port, &holder->ports, link)
        if (holder->cabling && port_has_cable(port) && port->tap >= 0 && !port->handed)
            cable_hand(holder, port);
}

void holder_forget_forwarder(struct holder *holder)
{
    struct port *port;

    holder_tell_service(holder, "forwarder", 0);
    holder->forwarder = NULL;
    list_each(port, &holder->ports, link)
        port->handed = false;
}

static void cabling_gone(struct call *call, void *context)
{
    struct holder *holder = context;

    holder->cabling = NULL;
    call_drop(call);
}

/* The forwarder asks for the next cable it has not got; answered when there is one. */
void holder_call_next_cable(struct call *call)
{
    struct holder *holder = holder_of(call);

    if (holder->cabling)
        call_drop(holder->cabling);
    holder->cabling = call;
    holder->served = true;
    call_on_gone(call, cabling_gone, holder);
    holder_hand_cables(holder);
}

void holder_call_cable_met(struct call *call)
{
    struct holder *holder = holder_of(call);
    json_t *parameters = call_parameters(call);
    const char *id = json_string_value(json_object_get(parameters, "port"));
    const char *text = json_string_value(json_object_get(parameters, "mac"));
    struct port *port = port_meant(holder, parameters);
    uint8_t mac[6];
    bool welcome = port && mac_parse(text, mac) >= 0 && holder_learn_mac(holder, port, mac);

    call_reply(call, json_pack("{ss ss sb}", "port", id, "mac", text, "welcome", welcome), NULL, 0);
}

/* The guest has closed its end. */
void holder_call_cable_ended(struct call *call)
{
    struct holder *holder = holder_of(call);
    struct port *port = port_meant(holder, call_parameters(call));

    if (port) {
        port_close(port);
        port->ended = true;
    }
    call_reply(call, NULL, NULL, 0);
}

/* A forwarder that has cables from a holder that died. */
void holder_call_cable_kept(struct call *call)
{
    struct holder *holder = holder_of(call);
    json_t *parameters = call_parameters(call);
    const char *address = json_string_value(json_object_get(parameters, "address"));
    struct port *port = port_meant(holder, parameters);

    if (holder->journal < 0)
        holder->journal = call_take_fd(call, address ? 1 : 2);
    if (port && port_has_cable(port) && port->tap < 0) {
        port->tap = call_take_fd(call, 0);
        port->peer = address ? -1 : call_take_fd(call, 1);
        port->address = address ? alloc_text(address) : NULL;
        port->handed = true;
        probe_start(holder, port);
    }
    call_reply(call, NULL, NULL, 0);
}
