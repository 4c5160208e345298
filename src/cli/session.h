/* SPDX-License-Identifier: Apache-2.0 */
/* What every verb that asks the broker does first: the configuration, the broker, the question. */
#pragma once

#include "cli/verb.h"
#include "config/networks.h"
#include "lib/client.h"

/* The networks of the file that counts. Prints what is wrong with it and returns -EINVAL. */
int session_networks(const struct cli *cli, struct networks *ret);

/* The configuration of a network, a new reference in *ret; NULL there when the file does not have
 * it (a network that runs needs none). Prints what is wrong with the file and returns -EINVAL. */
int session_configuration(const struct cli *cli, const char *network, json_t **ret);

/* {"network": name} and, where the file has it, "configuration"; "strict" if that was asked for. */
int session_parameters(const struct cli *cli, const char *network, json_t **ret);

/* Opens, asks once and closes; prints what went wrong. */
int session_ask(const struct cli *cli, const char *method, json_t *parameters, json_t **ret,
                struct client_fds *ret_fds);

/* The networks that run, a new array; empty where no broker runs and there is nothing for one to
 * find. Prints what went wrong. */
int session_list(const struct cli *cli, json_t **ret);

/* The option of verbs that start networks, for their tables; and what it asks for. */
#define SESSION_STRICT                                                                \
    {                                                                                 \
        "strict", 0, NULL,                                                            \
            "fail if the network runs with another configuration, instead of warning" \
    }
void session_set_strict(const struct cli *cli, json_t *parameters);

/* Says which keys of the configuration a running network does not follow. */
void session_warn_differs(const struct cli *cli, const char *network, const json_t *reply);

/* Pretty-printed to stdout. */
void session_print_json(const json_t *json);
