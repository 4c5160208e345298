/* SPDX-License-Identifier: Apache-2.0 */
/* What the broker is asked: the methods of io.vmlan.Broker.varlink, each take - check - act -
 * reply. */
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "broker/counters.h"
#include "broker/description.h"
#include "broker/leases.h"
#include "broker/listing.h"
#include "broker/peer.h"
#include "network/address.h"
#include "network/port.h"
#include "network/rules.h"

/* One request that waits for a holder's answer. */
struct asked {
    struct call *call;
    struct network *network;
    json_t *parameters; /* of the call, a reference of our own */
    json_t *described;  /* of Inspect: the holder's first answer */
};

static void asked_free(struct asked *asked)
{
    json_decref(asked->parameters);
    json_decref(asked->described);
    free(asked);
}

static void asked_gone(struct call *call, void *context)
{
    struct asked *asked = context;

    network_forget(asked->network, asked);
    call_drop(call);
    asked_free(asked);
}

/* Asks the holder on behalf of a call; answer gets the struct asked as its context. */
static void ask(struct call *call, struct network *network, const char *method, json_t *parameters,
                bool revive, conn_reply_fn *answer)
{
    json_t *asks = call_parameters(call);
    bool strict = json_is_true(json_object_get(asks, "strict"));
    struct network_question question = {.method = method,
                                        .parameters = parameters,
                                        .strict =
                                            strict ? json_object_get(asks, "configuration") : NULL,
                                        .revive = revive};
    struct asked *asked = alloc_new(struct asked);

    *asked = (struct asked){call, network, json_incref(asks)};
    call_on_gone(call, asked_gone, asked);
    network_ask(network, &question, answer, asked);
}

static void answer_error(struct asked *asked, const struct error *error)
{
    call_fail(asked->call, error);
    asked_free(asked);
}

/* A JSON null is as good as a field that is missing. */
static json_t *given(const json_t *parameters, const char *key)
{
    json_t *value = json_object_get(parameters, key);

    return json_is_null(value) ? NULL : value;
}

static int take_network_name(const json_t *parameters, const char *where, const char **ret_name,
                             struct error *error)
{
    int r;

    *ret_name = json_text(parameters, "network", "");
    r = spec_check_name(*ret_name, error);
    if (r < 0)
        error_where(error, "%s.network", where);
    return r;
}

static void fail(struct call *call, const struct error *error)
{
    char text[ERROR_TEXT_SIZE];

    log_debug(conn_name(call_conn(call)), "%s", error_text(error, text, sizeof(text)));
    call_fail(call, error);
}

/* The network a request names: running, or started with the request's configuration. */
static struct network *take_network(struct call *call, const char *method, bool start)
{
    json_t *parameters = call_parameters(call);
    struct registry *registry = &call_peer(call)->broker->registry;
    struct network *network = NULL;
    struct error error;
    const char *name;
    char where[48];

    snprintf(where, sizeof(where), "%s.configuration", method);
    if (take_network_name(parameters, method, &name, &error) >= 0)
        network =
            start ? registry_get(registry, name, given(parameters, "configuration"), where, &error)
                  : registry_find(registry, name, &error);
    if (!network)
        fail(call, &error);
    return network;
}

static void reply_differs(json_t *reply, const struct asked *asked)
{
    json_object_set_new(
        reply, "differs",
        spec_differs(network_spec(asked->network), given(asked->parameters, "configuration")));
}

/* --- Attach --- */

static void attached(void *context, json_t *reply, int *fds, size_t fd_count, bool more,
                     const struct error *error)
{
    struct asked *asked = context;
    const struct spec *spec = network_spec(asked->network);
    char subnet[SUBNET4_TEXT_SIZE];
    json_t *answer;

    (void)more;
    if (error) {
        answer_error(asked, error);
        return;
    }
    answer = json_deep_copy(reply);
    json_object_set_new(answer, "network", json_string(spec->name));
    json_object_set_new(answer, "backend",
                        json_string(json_text(asked->parameters, "backend", "tap")));
    json_object_set_new(answer, "mtu", json_integer(spec->mtu));
    json_object_set_new(answer, "dhcp", json_boolean(spec->dhcp));
    json_object_set_new(answer, "subnet", json_string(subnet4_text(&spec->subnet, subnet)));
    description_plan(answer, spec);
    reply_differs(answer, asked);
    call_reply(asked->call, answer, fds, fd_count);
    asked_free(asked);
}

static void call_attach(struct call *call)
{
    json_t *parameters = call_parameters(call), *port, *queues = given(parameters, "queues");
    static const char *const passed[] = {"name", "mac", "learnMac", "ip", "tso", "checksumOffload"};
    struct network *network;
    struct port wanted;
    struct error error;

    if (port_parse(parameters, &wanted, &error) < 0) { /* before a network starts for it */
        fail(call, &error);
        return;
    }
    network = take_network(call, "Attach", true);
    if (!network)
        return;
    port = json_pack("{ss sI sI}", "backend", json_text(parameters, "backend", "tap"), "queues",
                     queues ? json_integer_value(queues) : 1, "pid",
                     (json_int_t)conn_peer(call_conn(call))->pid);
    for (size_t i = 0; i < ARRAY_SIZE(passed); i++)
        if (given(parameters, passed[i]))
            json_object_set(port, passed[i], given(parameters, passed[i]));
    ask(call, network, "AddPort", port, true, attached);
}

/* --- Acquire --- */

static void acquired(void *context, json_t *reply, int *fds, size_t fd_count, bool more,
                     const struct error *error)
{
    struct asked *asked = context;
    struct error own;
    json_t *answer;

    (void)more;
    if (!error && peer_may_acquire(call_peer(asked->call), &own) < 0)
        error = &own;
    if (error) {
        answer_error(asked, error);
        return;
    }
    answer = json_deep_copy(reply);
    description_plan(answer, network_spec(asked->network));
    reply_differs(answer, asked);
    call_reply(asked->call, answer, fds, fd_count);
    asked_free(asked);
}

static void call_acquire(struct call *call)
{
    struct network *network;
    struct error error;

    if (peer_may_acquire(call_peer(call), &error) < 0) {
        fail(call, &error);
        return;
    }
    network = take_network(call, "Acquire", true);
    if (network)
        ask(call, network, "Acquire", NULL, true, acquired);
}

/* --- Inspect --- */

/* As they were made, where the kernel can't be asked: in host mode there are none. */
static json_t *rules_made(const struct spec *spec)
{
    OWN(mem) char *rules = NULL;
    struct plan plan;

    plan_make(spec, &plan);
    rules = rules_text(spec, &plan, true);
    return json_string(rules);
}

static void inspected(void *context, json_t *reply, int *fds, size_t fd_count, bool more,
                      const struct error *error)
{
    struct asked *asked = context;
    const struct spec *spec = network_spec(asked->network);
    json_t *rules, *leases;
    struct error own;

    (void)fds, (void)fd_count, (void)more;
    if (leases_of_network(network_name(asked->network), &leases, &own) < 0) {
        answer_error(asked, &own);
        return;
    }
    rules = error ? rules_made(spec) : json_incref(json_object_get(reply, "rules"));
    call_reply(asked->call,
               json_pack("{so sO so so}", "network", description_of(asked->described, spec, leases),
                         "services", json_object_get(asked->described, "services"), "rules", rules,
                         "leases", leases),
               NULL, 0);
    asked_free(asked);
}

static void inspect_rules(void *context, json_t *reply, int *fds, size_t fd_count, bool more,
                          const struct error *error)
{
    struct asked *asked = context;

    (void)fds, (void)fd_count, (void)more;
    if (error) {
        answer_error(asked, error);
        return;
    }
    asked->described = json_incref(reply);
    network_ask(asked->network, &(struct network_question){.method = "Rules"}, inspected, asked);
}

static void call_inspect(struct call *call)
{
    struct network *network = take_network(call, "Inspect", false);

    if (network)
        ask(call, network, "Describe", NULL, false, inspect_rules);
}

/* --- Leases, Up, Down, Quit --- */

static void call_leases(struct call *call)
{
    json_t *parameters = call_parameters(call), *leases;
    struct error error;
    const char *name;
    int r = take_network_name(parameters, "Leases", &name, &error);

    if (r >= 0 && call_wants_more(call))
        r = leases_answer(call, name, &error); /* answers from now on */
    else if (r >= 0 && (r = leases_of_network(name, &leases, &error)) >= 0)
        call_reply(call, json_pack("{so}", "leases", leases), NULL, 0);
    if (r < 0)
        fail(call, &error);
}

static void pinned(void *context, json_t *reply, int *fds, size_t fd_count, bool more,
                   const struct error *error)
{
    struct asked *asked = context;
    json_t *answer = json_object();

    (void)reply, (void)fds, (void)fd_count, (void)more;
    if (error) {
        json_decref(answer);
        answer_error(asked, error);
        return;
    }
    network_set_pinned(asked->network, true);
    reply_differs(answer, asked);
    call_reply(asked->call, answer, NULL, 0);
    asked_free(asked);
}

static void call_up(struct call *call)
{
    struct network *network = take_network(call, "Up", true);

    if (network)
        ask(call, network, "Pin", json_pack("{sb}", "pinned", 1), true, pinned);
}

static void ended(void *context, json_t *reply, int *fds, size_t fd_count, bool more,
                  const struct error *error)
{
    struct asked *asked = context;

    (void)reply, (void)fds, (void)fd_count, (void)more;
    /* It ended by itself before it could be told to: that is what was wanted. */
    if (error && error->id && strcmp(error->id, ERROR_NO_NETWORK) != 0) {
        answer_error(asked, error);
        return;
    }
    call_reply(asked->call, NULL, NULL, 0);
    asked_free(asked);
}

static void call_down(struct call *call)
{
    struct network *network = take_network(call, "Down", false);

    if (network)
        ask(call, network, "End", NULL, false, ended);
}

/* The holder's answer is the answer. */
static void passed_on(void *context, json_t *reply, int *fds, size_t fd_count, bool more,
                      const struct error *error)
{
    struct asked *asked = context;

    (void)more;
    if (error) {
        answer_error(asked, error);
        return;
    }
    call_reply(asked->call, json_incref(reply), fds, fd_count);
    asked_free(asked);
}

static void call_capture(struct call *call)
{
    json_t *port = given(call_parameters(call), "port");
    struct network *network = take_network(call, "Capture", false);

    if (network)
        ask(call, network, "Capture", port ? json_pack("{sO}", "port", port) : NULL, false,
            passed_on);
}

static void forward_ask(struct call *call, const char *method)
{
    struct network *network = take_network(call, method, false);
    json_t *forwards = json_object_get(call_parameters(call), "forwards");

    if (network)
        ask(call, network, method, forwards ? json_pack("{sO}", "forwards", forwards) : NULL, false,
            passed_on);
}

static void call_forward_add(struct call *call)
{
    forward_ask(call, "ForwardAdd");
}

static void call_forward_remove(struct call *call)
{
    forward_ask(call, "ForwardRemove");
}

static void call_forward_list(struct call *call)
{
    forward_ask(call, "ForwardList");
}

static void call_counters(struct call *call)
{
    const json_t *name = given(call_parameters(call), "network");
    struct error error;

    if (counters_call(call_peer(call)->broker, call, json_string_value(name), &error) < 0)
        fail(call, &error);
}

static void call_monitor(struct call *call)
{
    struct broker *broker = call_peer(call)->broker;
    struct error error;

    if (monitor_call(&broker->monitor, call, &error) < 0)
        fail(call, &error);
    else if (broker_is_unused(broker))
        timer_set(&broker->idle, BROKER_IDLE_MS);
}

static void call_quit(struct call *call)
{
    struct broker *broker = call_peer(call)->broker;

    log_info(conn_name(call_conn(call)), "told this broker to end");
    call_reply(call, NULL, NULL, 0);
    scrape_end(&broker->scrape);
    loop_stop(&broker->loop);
}

const struct method broker_methods[] = {
    {.name = "Attach", .handle = call_attach},
    {.name = "Acquire", .handle = call_acquire},
    {.name = "List", .handle = listing_call},
    {.name = "Inspect", .handle = call_inspect},
    {.name = "Leases", .handle = call_leases},
    {.name = "Capture", .handle = call_capture},
    {.name = "Counters", .handle = call_counters},
    {.name = "Monitor", .handle = call_monitor},
    {.name = "Up", .handle = call_up},
    {.name = "Down", .handle = call_down},
    {.name = "Quit", .handle = call_quit},
    {.name = "ForwardAdd", .handle = call_forward_add},
    {.name = "ForwardRemove", .handle = call_forward_remove},
    {.name = "ForwardList", .handle = call_forward_list},
    {0},
};
