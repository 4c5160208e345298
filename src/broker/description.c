/* SPDX-License-Identifier: Apache-2.0 */
/* See description.h. */
#include "broker/description.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/json.h"
#include "network/address.h"

void description_plan(json_t *reply, const struct spec *spec)
{
    char gateway[INET_ADDRSTRLEN], gateway6[INET6_ADDRSTRLEN];
    struct plan plan;

    plan_make(spec, &plan);
    inet_ntop(AF_INET, &plan.gateway, gateway, sizeof(gateway));
    json_object_set_new(reply, "gateway", json_string(gateway));
    json_object_set_new(reply, "domain", json_string(plan.domain));
    if (!plan.has6)
        return;
    inet_ntop(AF_INET6, &plan.gateway6, gateway6, sizeof(gateway6));
    json_object_set_new(reply, "gateway6", json_string(gateway6));
}

static json_t *addresses_of(const json_t *leases, const char *mac)
{
    json_t *addresses = json_array(), *lease;
    size_t index;

    json_array_foreach(leases, index, lease) {
        const char *of = json_text(lease, "mac", "");

        if (strcasecmp(of, mac) == 0)
            json_array_append(addresses, json_object_get(lease, "address"));
    }
    return addresses;
}

/* What the guest of a listening path calls itself: nobody else has named it. */
static void name_by_lease(json_t *port, const json_t *leases)
{
    json_t *lease;
    size_t index;

    if (!json_is_true(json_object_get(port, "learnMac")) || json_object_get(port, "name"))
        return;
    json_array_foreach(leases, index, lease)
        if (strcasecmp(json_text(lease, "mac", ""), json_text(port, "mac", "")) == 0 &&
            json_is_string(json_object_get(lease, "name")))
            json_object_set(port, "name", json_object_get(lease, "name"));
}

json_t *description_of(const json_t *described, const struct spec *spec, const json_t *leases)
{
    json_t *ports = json_deep_copy(json_object_get(described, "ports")), *port;
    json_t *json = json_pack("{ss ss sO sO so}", "network", spec->name, "state", "running",
                             "configuration", json_object_get(described, "configuration"), "pinned",
                             json_object_get(described, "pinned"), "ports", ports);
    size_t index;

    description_plan(json, spec);
    json_object_del(json, "domain");
    json_array_foreach(ports, index, port) {
        json_object_set_new(port, "addresses", addresses_of(leases, json_text(port, "mac", "")));
        name_by_lease(port, leases);
        json_object_del(port, "ip");
        json_object_del(port, "tso");
        json_object_del(port, "checksumOffload");
        json_object_del(port, "learnMac");
    }
    return json;
}
