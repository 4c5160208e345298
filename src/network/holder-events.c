/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the holder tells those who watch its network (Monitor): the events of io.vmlan.Broker, but
 * for those of leases. Whoever begins to watch is told first what there is. Nothing is kept for
 * whoever is slow: the connection has a limit and breaks (wire/conn.h).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/stamp.h"
#include "network/holder-private.h"

struct holder_monitor {
    struct list link;
    struct call *call;
};

static void monitor_free(struct holder_monitor *monitor)
{
    list_remove(&monitor->link);
    free(monitor);
}

static void monitor_gone(struct call *call, void *context)
{
    monitor_free(context);
    call_drop(call);
}

/* false: it is gone. */
static bool monitor_tell(struct holder_monitor *monitor, json_t *event)
{
    struct call *call = monitor->call;

    if (call_continue(call, json_pack("{sO}", "event", event)) >= 0)
        return true;
    monitor_free(monitor);
    call_drop(call);
    return false;
}

/* fields: stolen, may be NULL. */
static json_t *event_new(const struct holder *holder, const char *name, json_t *fields)
{
    char time[STAMP_SIZE];
    json_t *event = json_pack("{ss ss ss}", "time", stamp_now(time), "event", name, "network",
                              holder->spec.name);

    json_object_update(event, fields);
    json_decref(fields);
    return event;
}

/* --- what an event says --- */

static json_t *network_fields(const struct holder *holder)
{
    char subnet[SUBNET4_TEXT_SIZE], gateway[INET_ADDRSTRLEN];

    inet_ntop(AF_INET, &holder->plan.gateway, gateway, sizeof(gateway));
    return json_pack("{ss ss ss}", "mode", holder->spec.mode == SPEC_SHARED ? "shared" : "host",
                     "subnet", subnet4_text(&holder->spec.subnet, subnet), "gateway", gateway);
}

static json_t *port_fields(const struct port *port)
{
    static const char *const left_out[] = {"ip", "tso", "checksumOffload", "learnMac"};
    json_t *fields = port_to_json(port);

    for (size_t i = 0; i < ARRAY_SIZE(left_out); i++)
        json_object_del(fields, left_out[i]);
    return fields;
}

static json_t *service_fields(const char *service, pid_t pid)
{
    json_t *fields = json_pack("{ss}", "service", service);

    if (pid)
        json_object_set_new(fields, "pid", json_integer(pid));
    return fields;
}

/* --- telling --- */

void holder_tell(struct holder *holder, const char *event, json_t *fields)
{
    OWN(json) json_t *made = event_new(holder, event, fields);
    struct holder_monitor *monitor;

    if (!holder->started)
        return; /* who watches is told by holder_events_begin() */
    list_each(monitor, &holder->monitors, link)
        monitor_tell(monitor, made);
}

void holder_tell_port(struct holder *holder, const char *event, const struct port *port)
{
    holder_tell(holder, event, port_fields(port));
}

void holder_tell_service(struct holder *holder, const char *service, pid_t pid)
{
    holder_tell(holder, pid ? "service-up" : "service-down", service_fields(service, pid));
}

void holder_tell_dnsmasq(struct dnsmasq *dnsmasq)
{
    holder_tell_service(container_of(dnsmasq, struct holder, dnsmasq), "dnsmasq",
                        dnsmasq_pid(dnsmasq));
}

/* --- forwards: the list and the forwarder's answer, against what was told --- */

static const char *forward_state(const json_t *fields)
{
    return json_object_get(fields, "reason") ? "forward-failed" : "forward-added";
}

static void forward_tell(struct holder *holder, const char *text, const json_t *failure)
{
    json_t *fields = json_pack("{ss}", "forward", text);

    if (failure)
        json_object_set(fields, "reason", json_array_get(failure, 0));
    if (!json_equal(fields, json_object_get(holder->forwards_told, text))) {
        json_object_set(holder->forwards_told, text, fields);
        holder_tell(holder, forward_state(fields), json_incref(fields));
    }
    json_decref(fields);
}

static bool forward_is_there(const struct holder *holder, const char *text)
{
    const json_t *each;
    size_t index;

    json_array_foreach(holder->forwards, index, each)
        if (strcmp(json_string_value(each), text) == 0)
            return true;
    return false;
}

void holder_tell_forwards(struct holder *holder)
{
    bool judged = holder->forwards_applied == holder->forwards_version;
    const char *text;
    json_t *each;
    size_t index;
    void *next;

    json_object_foreach_safe(holder->forwards_told, next, text, each) {
        if (forward_is_there(holder, text))
            continue;
        holder_tell(holder, "forward-removed", json_pack("{ss}", "forward", text));
        json_object_del(holder->forwards_told, text);
    }
    json_array_foreach(holder->forwards, index, each)
        if (judged)
            forward_tell(holder, json_string_value(each),
                         json_object_get(holder->failures, json_string_value(each)));
}

/* --- what there is --- */

static bool present_tell(struct holder *holder, struct holder_monitor *monitor, const char *name,
                         json_t *fields)
{
    OWN(json) json_t *event = event_new(holder, name, fields);

    return monitor_tell(monitor, event);
}

static bool services_tell(struct holder *holder, struct holder_monitor *monitor)
{
    pid_t forwarder = holder->forwarder ? conn_peer(holder->forwarder)->pid : 0;
    const struct {
        const char *name;
        pid_t pid;
    } services[] = {
        {"holder", getpid()}, {"dnsmasq", dnsmasq_pid(&holder->dnsmasq)}, {"forwarder", forwarder}};

    for (size_t i = 0; i < ARRAY_SIZE(services); i++)
        if (services[i].pid && !present_tell(holder, monitor, "service-up",
                                             service_fields(services[i].name, services[i].pid)))
            return false;
    return true;
}

static void all_tell(struct holder *holder, struct holder_monitor *monitor)
{
    bool there = present_tell(holder, monitor, "network-up", network_fields(holder)) &&
                 services_tell(holder, monitor);
    struct port *port;
    const char *text;
    json_t *fields;

    list_each(port, &holder->ports, link)
        there = there && present_tell(holder, monitor, "port-up", port_fields(port));
    json_object_foreach(holder->forwards_told, text, fields)
        there = there && present_tell(holder, monitor, forward_state(fields), json_incref(fields));
    if (there)
        present_tell(holder, monitor, "ready", NULL);
}

/* successor: the forwarder goes on with the forwards, and tells what it can't do. */
void holder_events_begin(struct holder *holder, bool successor)
{
    struct holder_monitor *monitor;
    const json_t *text;
    size_t index;

    holder->forwards_told = json_object();
    json_array_foreach(holder->forwards, index, text)
        if (successor)
            json_object_set_new(holder->forwards_told, json_string_value(text),
                                json_pack("{sO}", "forward", text));
    list_each(monitor, &holder->monitors, link)
        all_tell(holder, monitor);
}

void holder_events_done(struct holder *holder)
{
    struct holder_monitor *monitor;

    list_each(monitor, &holder->monitors, link)
        monitor_gone(monitor->call, monitor);
    json_decref(holder->forwards_told);
}

void holder_call_monitor(struct call *call)
{
    struct holder *holder = holder_of(call);
    struct holder_monitor *monitor;
    struct error error;

    if (!call_wants_more(call)) {
        error_set(&error, -EINVAL, ERROR_INVALID, "Monitor is a call for \"more\"");
        call_fail(call, &error);
        return;
    }
    monitor = alloc_new(struct holder_monitor);
    monitor->call = call;
    list_append(&holder->monitors, &monitor->link);
    call_on_gone(call, monitor_gone, monitor);
    if (holder->started)
        all_tell(holder, monitor);
}
