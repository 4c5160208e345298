/* SPDX-License-Identifier: Apache-2.0 */
/* What went through the network's ports, and its gateway, and how often a rule refused something,
 * as the kernel counts it. */
#include <errno.h>

#include "base/json.h"
#include "kernel/nft.h"
#include "network/holder-private.h"

struct counting {
    struct holder *holder;
    json_t *ports, *gateway;
};

static json_t *counts_json(uint64_t bytes, uint64_t packets, uint64_t dropped)
{
    return json_pack("{sI sI sI}", "bytes", (json_int_t)bytes, "packets", (json_int_t)packets,
                     "dropped", (json_int_t)dropped);
}

static json_t *received_json(const struct rtnl_counters *c)
{
    return counts_json(c->receive_bytes, c->receive_packets, c->receive_dropped);
}

static json_t *transmitted_json(const struct rtnl_counters *c)
{
    return counts_json(c->transmit_bytes, c->transmit_packets, c->transmit_dropped);
}

/* The guest receives what its link transmits. */
static json_t *port_json(const struct port *port, const struct rtnl_counters *counters)
{
    json_t *json =
        json_pack("{ss ss so so}", "port", port->id, "backend", port_backend_name(port->backend),
                  "receive", transmitted_json(counters), "transmit", received_json(counters));

    if (port->name[0])
        json_object_set_new(json, "name", json_string(port->name));
    return json;
}

static void link_count(void *context, const struct rtnl_link_info *link)
{
    struct counting *counting = context;
    struct port *port;

    if (link->ifindex == counting->holder->segment.bridge)
        counting->gateway = json_pack("{so so}", "receive", received_json(&link->counters),
                                      "transmit", transmitted_json(&link->counters));
    list_each(port, &counting->holder->ports, link)
        if (port->ifindex == link->ifindex)
            json_array_append_new(counting->ports, port_json(port, &link->counters));
}

void holder_call_counters(struct call *call)
{
    struct holder *holder = holder_of(call);
    OWN(json) json_t *ports = json_array();
    struct counting counting = {.holder = holder, .ports = ports};
    struct error error = {0};
    int r = holder->started && !holder->ended
                ? rtnl_dump_links(holder->segment.rtnl, link_count, &counting, &error)
                : error_set(&error, -EAGAIN, ERROR_FAILED, "the network is not running");

    if (r < 0) {
        json_decref(counting.gateway);
        call_fail(call, &error);
        return;
    }
    call_reply(call, json_pack("{sO so*}", "ports", ports, "gateway", counting.gateway), NULL, 0);
}

void holder_call_rules(struct call *call)
{
    OWN(mem) char *rules = NULL;
    struct error error;

    if (nft_list("list table inet vmlan", &rules, &error) < 0)
        call_fail(call, &error);
    else
        call_reply(call, json_pack("{ss}", "rules", rules), NULL, 0);
}
