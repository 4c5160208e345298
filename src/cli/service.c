/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmlan service: the broker as a service of systemd, which then starts it when somebody asks. It
 * changes who starts the broker and nothing else: without it the first program that asks does.
 */
#include "cli/service.h"

#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "cli/broker.h"
#include "cli/registration.h"
#include "cli/session.h"
#include "cli/systemctl.h"

/* --- restart --- */

static int restart(const struct cli *cli)
{
    struct error error;

    if (!broker_listens()) {
        puts("no broker runs: the next one that is started is this vmlan");
        return broker_again(cli);
    }
    if (broker_quit(&error) < 0)
        return cli_fail(cli, &error);
    puts("the broker has ended; the next one is this vmlan");
    return broker_again(cli);
}

/* --- register --- */

static void units_print(const char *directory, const struct units *units)
{
    const char *name;
    json_t *text;

    json_object_foreach(units->texts, name, text)
        printf("# %s/%s\n%s\n", directory, name, json_string_value(text));
}

static void registered_print(const struct registration *registration)
{
    const char *name;
    json_t *text;
    size_t index;

    json_object_foreach(registration->units.texts, name, text)
        printf("wrote %s/%s\n", registration->directory, name);
    printf(
        "enabled and started %s\n"
        "the broker now starts when a program asks for a network, and a network when a hypervisor "
        "connects to its path\n",
        registration->units.sockets);
    json_array_foreach(registration->later, index, text)
        printf("network %s runs with paths of its own: once it has ended, vmlan service register "
               "has systemd listen there\n",
               json_string_value(text));
}

static int register_(const struct cli *cli)
{
    OWN(registration) struct registration registration = {0};
    OWN(networks) struct networks networks = {0};
    struct error error;
    int r;

    if (session_networks(cli, &networks) < 0)
        return 1;
    r = registration_make(cli->config, networks.vmnet, &registration, &error);
    if (r >= 0 && cli_option(cli, "print")) {
        units_print(registration.directory, &registration.units);
        return 0;
    }
    if (r >= 0)
        r = registration_apply(&registration, &error);
    if (r < 0)
        return cli_fail(cli, &error);
    registered_print(&registration);
    return broker_again(cli);
}

/* --- unregister --- */

static int unregister(const struct cli *cli)
{
    OWN(json) json_t *found = NULL;
    char directory[PATHS_MAX];
    struct error error;
    json_t *name;
    size_t index;

    if (units_directory(directory, &error) < 0)
        return cli_fail(cli, &error);
    found = units_found(directory);
    if (json_array_size(found) == 0) {
        puts("not registered: there is nothing to remove");
        return 0;
    }
    registration_remove(directory, found);
    json_array_foreach(found, index, name)
        printf("removed %s/%s\n", directory, json_string_value(name));
    puts("the first program that asks for a network now starts the broker");
    return broker_again(cli);
}

/* --- status --- */

/* The state of each unit, in words of systemctl. */
static json_t *units_states(const json_t *found)
{
    OWN(buf) struct buf output = BUF_NULL;
    json_t *states = json_array(), *name;
    char *rest, *line;
    size_t index;

    /* Its exit status says whether all are active; the lines say each. */
    systemctl_units((const char *const[]){"is-active", NULL}, found, true, &output, NULL);
    rest = output.data;
    json_array_foreach((json_t *)found, index, name) {
        line = rest ? strsep(&rest, "\n") : NULL;
        json_array_append_new(
            states, json_pack("{sO ss}", "unit", name, "state", line && *line ? line : "unknown"));
    }
    return states;
}

static void status_print(const json_t *status, const char *directory, const struct error *error)
{
    json_t *units = json_object_get(status, "units"), *unit;
    size_t index;

    if (json_array_size(units))
        printf("registered, by the units in %s\n", directory);
    else
        puts("not registered: the first program that asks for a network starts the broker");
    json_array_foreach(units, index, unit)
        printf("  %-28s %s\n", json_string_value(json_object_get(unit, "unit")),
               json_string_value(json_object_get(unit, "state")));
    if (error->code < 0)
        puts(error->reason);
    if (json_array_size(units) == 0)
        printf("the broker %s\n",
               json_is_true(json_object_get(status, "broker")) ? "runs" : "does not run now");
}

static int status(const struct cli *cli)
{
    OWN(json) json_t *found = NULL;
    OWN(json) json_t *json = NULL;
    char directory[PATHS_MAX];
    struct error error;

    if (units_directory(directory, &error) < 0)
        return cli_fail(cli, &error);
    found = units_found(directory);
    error = (struct error){0};
    systemctl_reach(&error);
    json = json_pack("{sb sb ss so}", "registered", json_array_size(found) > 0, "systemd",
                     error.code >= 0, "directory", directory, "units", units_states(found));
    if (json_array_size(found) == 0) /* a look at a socket of systemd's would start the broker */
        json_object_set_new(json, "broker", json_boolean(broker_listens()));
    if (cli->json)
        session_print_json(json);
    else
        status_print(json, directory, &error);
    return 0;
}

static const struct action {
    const char *name;
    int (*run)(const struct cli *cli);
} actions[] = {
    {"register", register_},
    {"unregister", unregister},
    {"status", status},
    {"restart", restart},
};

static int service(struct cli *cli)
{
    const char *name = cli->argument_count ? cli->arguments[0] : "status";

    for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
        if (strcmp(name, actions[i].name) == 0)
            return actions[i].run(cli);
    return cli_fail_text(
        cli, "unknown action %s; there are register, unregister, status and restart", name);
}

static const struct verb_option service_options[] = {
    {"print", 0, NULL, "register: only print the units"},
    {0},
};

const struct verb verb_service = {
    .name = "service",
    .arguments = "register|unregister|status|restart",
    .summary = "let systemd start the broker; restart the broker",
    .text = "register writes systemd units for this user (for root: of the system) and enables "
            "them: systemd listens for the broker and starts it when a program asks. unregister "
            "removes what register wrote. Neither ends a network. Without systemd nothing is "
            "missing: the first program that asks starts the broker.\n\n"
            "restart ends the broker; networks go on, and the next broker finds them. After an "
            "upgrade it is the new vmlan. Networks of a user end with the user's last session, "
            "unless loginctl enable-linger keeps the user's services.",
    .options = service_options,
    .arguments_max = 1,
    .run = service,
};
