/* SPDX-License-Identifier: Apache-2.0 */
/* See session.h. */
#include "cli/session.h"

#include <errno.h>
#include <stdio.h>

int session_networks(const struct cli *cli, struct networks *ret)
{
    OWN(faults) struct faults faults = {0};
    int r = networks_load(cli->config, ret, &faults);

    for (size_t i = 0; r < 0 && i < faults.count; i++)
        cli_fail(cli, &faults.items[i]);
    return r < 0 ? -EINVAL : 0;
}

int session_configuration(const struct cli *cli, const char *network, json_t **ret)
{
    OWN(networks) struct networks networks = {0};
    struct error error;
    json_t *found;

    if (session_networks(cli, &networks) < 0)
        return -EINVAL;
    found = networks_find(&networks, network, &error);
    if (!found && cli->config) {
        cli_fail(cli, &error);
        return -ENOENT;
    }
    *ret = json_incref(found);
    return 0;
}

int session_parameters(const struct cli *cli, const char *network, json_t **ret)
{
    json_t *configuration, *parameters;
    int r = session_configuration(cli, network, &configuration);

    if (r < 0)
        return r;
    parameters = json_pack("{ss}", "network", network);
    if (configuration)
        json_object_set_new(parameters, "configuration", configuration);
    session_set_strict(cli, parameters);
    *ret = parameters;
    return 0;
}

void session_set_strict(const struct cli *cli, json_t *parameters)
{
    if (cli_option(cli, "strict"))
        json_object_set_new(parameters, "strict", json_true());
}

int session_ask(const struct cli *cli, const char *method, json_t *parameters, json_t **ret,
                struct client_fds *ret_fds)
{
    OWN(json) json_t *owned = parameters;
    OWN(client) struct client *client = NULL;
    struct error error = {0};
    int r = client_open(CLIENT_START, &client, &error);

    if (r >= 0)
        r = client_call(client, method, json_incref(owned), ret, ret_fds, &error);
    if (r < 0)
        cli_fail(cli, &error);
    return r;
}

void session_warn_differs(const struct cli *cli, const char *network, const json_t *reply)
{
    json_t *differs = json_object_get(reply, "differs"), *key;
    size_t index;

    if (json_array_size(differs) == 0)
        return;
    fprintf(stderr, "vmlan %s: warning: network %s runs with another configuration (",
            cli->verb->name, network);
    json_array_foreach(differs, index, key)
        fprintf(stderr, "%s%s", index ? ", " : "", json_string_value(key));
    fprintf(stderr, " differ); vmlan down %s, then start it anew to apply yours\n", network);
}

int session_list(const struct cli *cli, json_t **ret)
{
    OWN(client) struct client *client = NULL;
    OWN(json) json_t *reply = NULL;
    struct error error;
    int r = client_open(CLIENT_IF_NETWORKS, &client, &error);

    if (r == -ENOENT) {
        *ret = json_array();
        return 0;
    }
    if (r >= 0)
        r = client_call(client, "List", NULL, &reply, NULL, &error);
    if (r < 0) {
        cli_fail(cli, &error);
        return r;
    }
    *ret = json_incref(json_object_get(reply, "networks"));
    return 0;
}

void session_print_json(const json_t *json)
{
    json_dumpf(json, stdout, JSON_INDENT(2));
    putchar('\n');
}
