/* SPDX-License-Identifier: Apache-2.0 */
/* The forwarder's part of forwards: follows the holder's list and tells it what can't be done. */

#include "base/alloc.h"
#include "network/forwarder-private.h"

static void rule_of(const struct forward *forward, struct forward_rule *ret)
{
    *ret =
        (struct forward_rule){.listen.any.sa_family = (sa_family_t)forward->family,
                              .udp = forward->protocol == IPPROTO_UDP,
                              .count = (uint16_t)(forward->ports.last - forward->ports.first + 1),
                              .guest_port = (uint16_t)forward->guest_ports.first};
    if (forward->family == AF_INET) {
        ret->listen.v4.sin_addr = forward->address.v4;
        ret->listen.v4.sin_port = htons((uint16_t)forward->ports.first);
    } else {
        ret->listen.v6.sin6_addr = forward->address.v6;
        ret->listen.v6.sin6_port = htons((uint16_t)forward->ports.first);
    }
    snprintf(ret->guest, sizeof(ret->guest), "%s", forward->guest);
}

/* Reason and hint of a failure, as the holder passes them on. */
static json_t *failure_of(const char *text, const struct forward_result *result)
{
    struct forward forward;
    struct error error = {0};

    if (forward_parse(text, &forward, &error) >= 0)
        forward_refused(&forward, result->port, result->error, &error);
    return json_pack("[ss]", error.reason, error.hint);
}

static void forwards_take(struct forwarder *forwarder, const json_t *texts, json_t *failures)
{
    size_t count = json_array_size(texts);
    struct forward_rule *rules = alloc_zero(count, sizeof(*rules));
    struct forward_result *results = alloc_zero(count, sizeof(*results));
    struct forward forward;

    for (size_t i = 0; i < count; i++)
        if (forward_parse(json_string_value(json_array_get(texts, i)), &forward, NULL) >= 0)
            rule_of(&forward, &rules[i]);
    forwards_set(forwarder->forwards, rules, count, results);
    for (size_t i = 0; i < count; i++)
        if (results[i].error) {
            const char *text = json_string_value(json_array_get(texts, i));

            json_object_set_new(failures, text, failure_of(text, &results[i]));
        }
    free(rules);
    free(results);
}

static void forwards_told(void *context, json_t *reply, int *fds, size_t fd_count, bool more,
                          const struct error *error)
{
    struct forwarder *forwarder = context;
    json_t *failures;

    (void)fds, (void)fd_count, (void)more;
    if (error || !forwarder->holder)
        return;
    failures = json_object();
    forwards_take(forwarder, json_object_get(reply, "forwards"), failures);
    conn_call(
        forwarder->holder, "io.vmlan.Holder.ForwardsApplied",
        json_pack("{sO so}", "version", json_object_get(reply, "version"), "failures", failures),
        NULL, 0, false, NULL, NULL);
}

static void watching_lost(struct conn *conn, int error)
{
    struct forwarder *forwarder = conn_owner(conn);

    (void)error;
    conn_free(conn);
    forwarder->watching = NULL;
}

void forwarder_forwards_watch(struct forwarder *forwarder)
{
    conn_free(take_ptr(forwarder->watching));
    if (forwarder_connect(forwarder, watching_lost, &forwarder->watching) >= 0)
        conn_call(forwarder->watching, "io.vmlan.Holder.ForwardsWatch", NULL, NULL, 0, true,
                  forwards_told, forwarder);
}

static void stock_filled(void *context)
{
    struct forwarder *forwarder = context;

    forwards_resume(forwarder->forwards);
}

int forwarder_forwards_start(struct forwarder *forwarder, struct error *error)
{
    struct inside inside = {stock_take, &forwarder->stock};
    int r = forwards_new(&forwarder->loop, uplink_config(forwarder->uplink), &inside,
                         &forwarder->forwards);

    stock_init(&forwarder->stock, stock_filled, forwarder);
    return r < 0 ? error_system(error, r, "cannot prepare forwards") : 0;
}
