/* SPDX-License-Identifier: Apache-2.0 */
/* vmlan ls, inspect, leases: what there is. */
#include "cli/show.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "cli/counters.h"
#include "cli/session.h"

/* --- ls --- */

static void print_addresses(const json_t *addresses)
{
    const json_t *address;
    size_t index;

    if (json_array_size(addresses) == 0)
        putchar('-');
    json_array_foreach(addresses, index, address)
        printf("%s%s", index ? "," : "", json_string_value(address));
}

static void print_network(const json_t *network)
{
    const json_t *configuration = json_object_get(network, "configuration"), *port;
    json_t *ports = json_object_get(network, "ports");
    size_t index;

    printf("%s  %s  %s  mtu %lld  gateway %s%s\n", json_text(network, "network", "-"),
           json_text(configuration, "mode", "-"), json_text(configuration, "subnet", "-"),
           (long long)json_integer_value(json_object_get(configuration, "mtu")),
           json_text(network, "gateway", "-"),
           json_is_true(json_object_get(network, "pinned")) ? "  pinned" : "");
    json_array_foreach(ports, index, port) {
        printf("  %-6s %-9s %-15s %s  pid %lld  ", json_text(port, "port", "-"),
               json_text(port, "backend", "-"), json_text(port, "name", "-"),
               json_text(port, "mac", "-"),
               (long long)json_integer_value(json_object_get(port, "pid")));
        print_addresses(json_object_get(port, "addresses"));
        putchar('\n');
    }
}

static int ls(struct cli *cli)
{
    OWN(json) json_t *networks = NULL;
    json_t *network;
    size_t index;

    if (session_list(cli, &networks) < 0)
        return 1;
    if (cli->json)
        session_print_json(networks);
    else
        json_array_foreach(networks, index, network)
            print_network(network);
    return 0;
}

const struct verb verb_ls = {
    .name = "ls",
    .arguments = "",
    .summary = "list the networks that run, and their ports",
    .run = ls,
};

/* --- inspect --- */

static const struct verb_option inspect_options[] = {
    {"rules", 0, NULL, "print the nftables rules inside the network, as text"},
    {"services", 0, NULL, "print the configuration of the DHCP and DNS service, as text"},
    {0},
};

static int inspect_counters(const char *network, json_t *reply, struct error *error)
{
    OWN(json) json_t *counters = NULL;
    int r = counters_get(network, &counters, error);

    if (r >= 0 && json_array_size(counters) == 1)
        json_object_set(reply, "counters", json_array_get(counters, 0));
    return r;
}

/* Everything, or the texts that were asked for. */
static void inspect_print(const struct cli *cli, json_t *reply)
{
    OWN(json) json_t *chosen = json_object();
    const char *name;
    json_t *text;

    for (const struct verb_option *option = inspect_options; option->name; option++)
        if (cli_option(cli, option->name))
            json_object_set(chosen, option->name, json_object_get(reply, option->name));
    if (cli->json || json_object_size(chosen) == 0)
        session_print_json(json_object_size(chosen) ? chosen : reply);
    else
        json_object_foreach(chosen, name, text)
            fputs(json_string_value(text), stdout);
}

static int inspect(struct cli *cli)
{
    OWN(json) json_t *reply = NULL;
    struct error error;

    if (session_ask(cli, "Inspect", json_pack("{ss}", "network", cli->arguments[0]), &reply, NULL) <
        0)
        return 1;
    if (inspect_counters(cli->arguments[0], reply, &error) < 0)
        return cli_fail(cli, &error);
    inspect_print(cli, reply);
    return 0;
}

const struct verb verb_inspect = {
    .name = "inspect",
    .arguments = "NET",
    .summary = "all that is known of a network, as JSON",
    .options = inspect_options,
    .arguments_min = 1,
    .arguments_max = 1,
    .run = inspect,
};

/* --- leases --- */

static void print_lease(const json_t *lease, int width)
{
    time_t expires = (time_t)json_integer_value(json_object_get(lease, "expires"));
    char until[32] = "never";
    struct tm local;

    if (expires && localtime_r(&expires, &local))
        strftime(until, sizeof(until), "%Y-%m-%d %H:%M:%S", &local);
    printf("%-*s  %-17s  %-14s  %s\n", width, json_text(lease, "address", "-"),
           json_text(lease, "mac", "-"), json_text(lease, "name", "-"), until);
}

static void print_leases(const struct cli *cli, json_t *leases)
{
    size_t index;
    int width = 0;
    json_t *lease;

    if (cli->json) {
        session_print_json(leases);
        return;
    }
    json_array_foreach(leases, index, lease) {
        int length = (int)strlen(json_text(lease, "address", "-"));

        width = length > width ? length : width;
    }
    json_array_foreach(leases, index, lease)
        print_lease(lease, width);
}

static bool lease_is_of(const json_t *lease, const char *who)
{
    return strcasecmp(json_text(lease, "name", "-"), who) == 0 ||
           strcasecmp(json_text(lease, "mac", "-"), who) == 0;
}

struct waiting {
    const struct cli *cli;
    const char *who;
};

/* 1 when the lease waited for is there. */
static int wait_look(void *context, const json_t *reply)
{
    const struct waiting *waiting = context;
    json_t *leases = json_object_get(reply, "leases"), *lease;
    OWN(json) json_t *found = json_array();
    size_t index;

    json_array_foreach(leases, index, lease)
        if (lease_is_of(lease, waiting->who))
            json_array_append(found, lease);
    if (json_array_size(found) == 0)
        return 0;
    print_leases(waiting->cli, found);
    return 1;
}

static int leases_wait(const struct cli *cli, const char *who)
{
    struct waiting waiting = {cli, who};
    const char *timeout = cli_option(cli, "timeout");
    OWN(client) struct client *client = NULL;
    char *end = "";
    long seconds = timeout ? strtol(timeout, &end, 10) : 60;
    struct error error;
    int r;

    if (*end || seconds < 0 || seconds > 86400)
        return cli_fail_text(cli, "--timeout %s: not a number of seconds up to 86400", timeout);
    r = client_open(CLIENT_START, &client, &error);
    if (r >= 0)
        r = client_stream(client, "Leases", json_pack("{ss}", "network", cli->arguments[0]),
                          (int)seconds * 1000, wait_look, &waiting, &error);
    if (r == -ETIMEDOUT)
        return cli_fail_text(cli, "%s has no lease on %s after %ld s", who, cli->arguments[0],
                             seconds);
    return r < 0 ? cli_fail(cli, &error) : 0;
}

/* A network without leases is one that has none yet, or a name that was mistyped. */
static int network_known(const struct cli *cli, const char *name)
{
    OWN(networks) struct networks networks = {0};
    OWN(json) json_t *running = NULL;
    struct error error;
    json_t *one;
    size_t index;

    if (session_list(cli, &running) < 0 || session_networks(cli, &networks) < 0)
        return -EINVAL;
    json_array_foreach(running, index, one)
        if (strcmp(json_text(one, "network", ""), name) == 0)
            return 0;
    if (networks_find(&networks, name, &error))
        return 0;
    cli_fail(cli, &error);
    return -ENOENT;
}

static int leases(struct cli *cli)
{
    const char *who = cli_option(cli, "wait");
    OWN(json) json_t *reply = NULL;
    json_t *found;

    if (who)
        return leases_wait(cli, who);
    if (session_ask(cli, "Leases", json_pack("{ss}", "network", cli->arguments[0]), &reply, NULL) <
        0)
        return 1;
    found = json_object_get(reply, "leases");
    if (json_array_size(found) == 0 && network_known(cli, cli->arguments[0]) < 0)
        return 1;
    print_leases(cli, found);
    return 0;
}

static const struct verb_option leases_options[] = {
    {"wait", 'w', "WHO", "wait until the guest of that name or MAC address has a lease"},
    {"timeout", 't', "SECONDS", "how long to wait; 60 when not given"},
    {0},
};

const struct verb verb_leases = {
    .name = "leases",
    .arguments = "NET",
    .summary = "list the addresses that were given out",
    .options = leases_options,
    .arguments_min = 1,
    .arguments_max = 1,
    .run = leases,
};
