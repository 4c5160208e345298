/* SPDX-License-Identifier: Apache-2.0 */
/* vmlan up, down, check: networks and their configuration. */
#include "cli/manage.h"

#include <errno.h>
#include <stdio.h>

#include "cli/host-link.h"
#include "cli/session.h"
#include "config/networks.h"

static int up(struct cli *cli)
{
    const char *network = cli->arguments[0];
    OWN(json) json_t *reply = NULL;
    bool linked = cli_option(cli, "host-link");
    struct error error;
    json_t *parameters;

    if (linked && host_link_check(&error) < 0)
        return cli_fail(cli, &error);
    if (session_parameters(cli, network, &parameters) < 0 ||
        session_ask(cli, "Up", parameters, &reply, NULL) < 0)
        return 1;
    session_warn_differs(cli, network, reply);
    return linked && host_link_make(cli, network) < 0;
}

static const struct verb_option up_options[] = {
    {"host-link", 0, NULL,
     "give the host an interface on the network; for root, or with CAP_NET_ADMIN"},
    SESSION_STRICT,
    {0},
};

const struct verb verb_up = {
    .name = "up",
    .arguments = "NET",
    .summary = "start a network and keep it without ports",
    .text =
        "With --host-link, root (or who has CAP_NET_ADMIN) gets an interface of the host on the "
        "network, with addresses of its own, which it prints; it goes with the network. "
        "Without root, vmlan exec is the way to the guests.",
    .options = up_options,
    .arguments_min = 1,
    .arguments_max = 1,
    .run = up,
};

static int down_one(const struct cli *cli, struct client *client, const char *network)
{
    OWN(json) json_t *reply = NULL;
    struct error error;
    int r =
        client_call(client, "Down", json_pack("{ss}", "network", network), &reply, NULL, &error);

    return r < 0 ? cli_fail(cli, &error) : 0;
}

static int down(struct cli *cli)
{
    OWN(client) struct client *client = NULL;
    struct error error;
    int r = client_open(CLIENT_IF_NETWORKS, &client, &error), status = 0;

    if (r == -ENOENT)
        return cli_fail_text(cli, "network %s is not running", cli->arguments[0]);
    if (r < 0)
        return cli_fail(cli, &error);
    for (int i = 0; i < cli->argument_count; i++)
        status |= down_one(cli, client, cli->arguments[i]);
    return status;
}

const struct verb verb_down = {
    .name = "down",
    .arguments = "NET…",
    .summary = "end a network; its ports are cut off",
    .arguments_min = 1,
    .arguments_max = -1,
    .run = down,
};

static void check_print(const struct networks *networks)
{
    const char *name;
    json_t *configuration;

    printf("%s: good\n", networks->source);
    json_object_foreach(networks->vmnet, name, configuration)
        printf("  %s\n", name);
}

static int check(struct cli *cli)
{
    OWN(networks) struct networks networks = {0};
    OWN(faults) struct faults faults = {0};
    const char *file = cli->argument_count ? cli->arguments[0] : cli->config;
    char text[ERROR_TEXT_SIZE];

    if (networks_load(file, &networks, &faults) >= 0) {
        if (cli->json)
            session_print_json(networks.vmnet);
        else
            check_print(&networks);
        return 0;
    }
    for (size_t i = 0; i < faults.count; i++)
        fprintf(stderr, "%s\n", error_text(&faults.items[i], text, sizeof(text)));
    return 1;
}

const struct verb verb_check = {
    .name = "check",
    .arguments = "[FILE]",
    .summary = "validate a configuration",
    .text = "Prints one line, with file:line:column, for each thing that is wrong; with --json "
            "and nothing wrong, the networks.",
    .arguments_max = 1,
    .run = check,
};
