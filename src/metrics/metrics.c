/* SPDX-License-Identifier: Apache-2.0 */
/* See metrics.h. All samples of a metric stand together, so each goes through all networks. */
#include "metrics/metrics.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/own.h"

/* A value with quotes, as the format wants it: backslash, quote and newline are escaped. */
static void label_add(struct buf *out, const char *name, const char *value, bool first)
{
    buf_printf(out, "%s%s=\"", first ? "{" : ",", name);
    for (; *value; value++) {
        if (*value == '\n')
            buf_append(out, "\\n", 2);
        else if (strchr("\\\"", *value))
            buf_printf(out, "\\%c", *value);
        else
            buf_append(out, value, 1);
    }
    buf_append(out, "\"", 1);
}

static void value_add(struct buf *out, const json_t *value)
{
    buf_printf(out, "} %lld\n", (long long)json_integer_value(value));
}

static void port_samples(struct buf *out, const char *metric, const json_t *network,
                         const char *way, const char *field)
{
    const json_t *ports = json_object_get(network, "ports"), *port;
    size_t index;

    json_array_foreach(ports, index, port) {
        buf_printf(out, "%s", metric);
        label_add(out, "network", json_text(network, "network", ""), true);
        label_add(out, "port", json_text(port, "port", ""), false);
        label_add(out, "kind", json_text(port, "backend", ""), false);
        label_add(out, "guest", json_text(port, "name", ""), false);
        value_add(out, json_object_get(json_object_get(port, way), field));
    }
}

static void gateway_samples(struct buf *out, const char *metric, const json_t *network,
                            const char *way, const char *field)
{
    const json_t *counts = json_object_get(json_object_get(network, "gateway"), way);

    if (!counts)
        return;
    buf_printf(out, "%s", metric);
    label_add(out, "network", json_text(network, "network", ""), true);
    value_add(out, json_object_get(counts, field));
}

static void flow_samples(struct buf *out, const char *metric, const json_t *network,
                         const char *way, const char *field)
{
    const json_t *value;
    const char *protocol;

    (void)way, (void)field;
    json_object_foreach(json_object_get(network, "flows"), protocol, value) {
        buf_printf(out, "%s", metric);
        label_add(out, "network", json_text(network, "network", ""), true);
        label_add(out, "protocol", protocol, false);
        value_add(out, value);
    }
}

static void count_samples(struct buf *out, const char *metric, const json_t *network,
                          const char *way, const char *field)
{
    (void)way, (void)field;
    buf_printf(out, "%s", metric);
    label_add(out, "network", json_text(network, "network", ""), true);
    buf_printf(out, "} %zu\n", json_array_size(json_object_get(network, "ports")));
}

#define PORT(way, field, help)                                                          \
    {                                                                                   \
        "vmlan_port_" way "_" field "_total", "counter", help, port_samples, way, field \
    }
#define GATEWAY(way, field, help)                                                             \
    {                                                                                         \
        "vmlan_gateway_" way "_" field "_total", "counter", help, gateway_samples, way, field \
    }

static const struct metric {
    const char *name, *type, *help;
    void (*samples)(struct buf *out, const char *metric, const json_t *network, const char *way,
                    const char *field);
    const char *way, *field;
} metrics[] = {
    {"vmlan_network_ports", "gauge", "Ports of the network.", count_samples, NULL, NULL},
    {"vmlan_network_flows", "gauge", "Flows through the uplink.", flow_samples, NULL, NULL},
    PORT("receive", "bytes", "Bytes that the guest was sent."),
    PORT("receive", "packets", "Packets that the guest was sent."),
    PORT("receive", "dropped", "Packets for the guest that it did not take."),
    PORT("transmit", "bytes", "Bytes that the guest sent."),
    PORT("transmit", "packets", "Packets that the guest sent."),
    PORT("transmit", "dropped", "Packets of the guest that the network did not take."),
    GATEWAY("receive", "bytes", "Bytes that guests sent to or through the gateway."),
    GATEWAY("receive", "packets", "Packets that guests sent to or through the gateway."),
    GATEWAY("transmit", "bytes", "Bytes that guests were sent by or through the gateway."),
    GATEWAY("transmit", "packets", "Packets that guests were sent by or through the gateway."),
};

void metrics_text(const json_t *networks, struct buf *out)
{
    for (size_t i = 0; i < ARRAY_SIZE(metrics); i++) {
        const struct metric *m = &metrics[i];
        const json_t *network;
        size_t index;

        buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name, m->type);
        json_array_foreach(networks, index, network)
            m->samples(out, m->name, network, m->way, m->field);
    }
}
