/* SPDX-License-Identifier: Apache-2.0 */
/* vmlan forward NET add|rm|ls: ports of the host that lead to guests, while the network runs. */
#include "cli/forward.h"

#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "cli/session.h"
#include "config/forward.h"

enum { NET, ACTION, SPECS };

/* The forwards that were typed, in canonical form, as {"network", "forwards"}; NULL after a message
 * about the first that is wrong. */
static json_t *parameters_make(const struct cli *cli)
{
    json_t *list = json_array();

    for (int i = SPECS; i < cli->argument_count; i++) {
        char text[FORWARD_TEXT_SIZE];
        struct forward forward;
        struct error error;

        if (forward_parse(cli->arguments[i], &forward, &error) < 0) {
            cli_fail(cli, &error);
            json_decref(list);
            return NULL;
        }
        json_array_append_new(list, json_string(forward_text(&forward, text)));
    }
    return json_pack("{ss so}", "network", cli->arguments[NET], "forwards", list);
}

static int change(const struct cli *cli, const char *method)
{
    OWN(json) json_t *reply = NULL;
    json_t *parameters;

    if (cli->argument_count == SPECS)
        return cli_fail_text(cli, "write which: vmlan forward %s %s 8080:web:80",
                             cli->arguments[NET], cli->arguments[ACTION]);
    parameters = parameters_make(cli);
    return !parameters || session_ask(cli, method, parameters, &reply, NULL) < 0;
}

static int add(const struct cli *cli)
{
    return change(cli, "ForwardAdd");
}

static int remove_(const struct cli *cli)
{
    return change(cli, "ForwardRemove");
}

static void print_forward(const json_t *entry)
{
    const char *text = json_string_value(json_object_get(entry, "forward"));
    const char *reason = json_string_value(json_object_get(entry, "reason"));
    char listen[FORWARD_TEXT_SIZE], to[FORWARD_TEXT_SIZE];
    struct forward forward;

    if (forward_parse(text, &forward, NULL) < 0) { /* a broker that knows more than this client */
        puts(text);
        return;
    }
    printf("%-3s %-24s %s%s%s\n", ports_protocol_text(forward.protocol),
           forward_listen_text(&forward, listen), forward_to_text(&forward, to),
           reason ? "  not active: " : "", reason ? reason : "");
}

static int ls(const struct cli *cli)
{
    OWN(json) json_t *reply = NULL;
    const json_t *entry;
    json_t *forwards;
    size_t index;

    if (cli->argument_count > SPECS)
        return cli_fail_text(cli, "ls takes no forward");
    if (session_ask(cli, "ForwardList", json_pack("{ss}", "network", cli->arguments[NET]), &reply,
                    NULL) < 0)
        return 1;
    forwards = json_object_get(reply, "forwards");
    if (cli->json)
        session_print_json(forwards);
    else
        json_array_foreach(forwards, index, entry)
            print_forward(entry);
    return 0;
}

static const struct action {
    const char *name;
    int (*run)(const struct cli *cli);
} actions[] = {
    {"add", add},
    {"rm", remove_},
    {"ls", ls},
};

static int forward(struct cli *cli)
{
    const char *name = cli->argument_count > ACTION ? cli->arguments[ACTION] : "ls";

    for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
        if (strcmp(name, actions[i].name) == 0)
            return actions[i].run(cli);
    return cli_fail_text(cli, "unknown action %s; there are add, rm and ls", name);
}

const struct verb verb_forward = {
    .name = "forward",
    .arguments = "NET add|rm|ls [FORWARD…]",
    .summary = "lead ports of this host to guests",
    .text = "A forward is [ADDRESS:]PORT[-PORT]:GUEST:PORT[-PORT][/tcp|/udp]. ADDRESS is one of "
            "this host's, 127.0.0.1 when left out; 0.0.0.0 and [::] stand for all, and so for "
            "everyone who reaches this host. GUEST is a guest's name, or its address. IPv6 "
            "addresses stand in brackets. Examples: 8080:web:80, 0.0.0.0:2222:db:22, "
            "5353:ns:53/udp, [::1]:8000-8010:web:8000-8010.\n\n"
            "add succeeds when all of them listen, and else adds none. rm leaves connections "
            "alone that are there already. Forwards last as long as the network runs; those that "
            "are to be there at its start stand in the configuration, as forwards. Guests see the "
            "network's gateway as the client.",
    .arguments_min = 1,
    .arguments_max = -1,
    .run = forward,
};
