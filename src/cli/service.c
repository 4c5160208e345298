/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmlan service: the broker as a service of systemd, which then starts it when somebody asks. It
 * changes who starts the broker and nothing else: without it the first program that asks does.
 */
#include "cli/service.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "base/paths.h"
#include "cli/broker.h"
#include "cli/listening.h"
#include "cli/session.h"
#include "cli/systemctl.h"
#include "cli/units.h"

enum { UNITS_MAX = 512 };

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

/* --- the units --- */

/* What decides where a broker's files are: the service is to see what this command sees. */
static const char *const environment_names[] = {
    "VMLAN_RUNTIME_DIR", "VMLAN_STATE_DIR", "VMLAN_CONFIG", "VMLAN_DNSMASQ",
    "XDG_CONFIG_HOME",   "XDG_STATE_HOME",  "LIMA_HOME"};

static json_t *environment_now(const struct cli *cli)
{
    json_t *environment = json_object();
    OWN(mem) char *config = cli->config ? realpath(cli->config, NULL) : NULL;

    for (size_t i = 0; i < ARRAY_SIZE(environment_names); i++) {
        const char *value = getenv(environment_names[i]);

        if (value && *value)
            json_object_set_new(environment, environment_names[i], json_string(value));
    }
    if (config)
        json_object_set_new(environment, "VMLAN_CONFIG", json_string(config));
    return environment;
}

static int program_path(char *path, struct error *error)
{
    ssize_t length = readlink("/proc/self/exe", path, PATHS_MAX - 1);

    if (length < 0)
        return error_system(error, -errno, "cannot tell where this program is");
    path[length] = '\0';
    if (access(path, X_OK) == 0)
        return 0;
    error_set(error, -ENOENT, ERROR_UNAVAILABLE, "this program was replaced while it runs");
    error_hint(error, "run the command again");
    return -ENOENT;
}

static json_t *keys_of(const json_t *object)
{
    json_t *names = json_array(), *value;
    const char *name;

    json_object_foreach((json_t *)object, name, value)
        json_array_append_new(names, json_string(name));
    return names;
}

/* What a registration is made from, and makes. */
struct registration {
    char directory[PATHS_MAX], runtime[PATHS_MAX];
    json_t *found;          /* units of an earlier one */
    json_t *listen, *later; /* networks: listening.h */
    struct units units;
};

static void own_registration(struct registration *r)
{
    json_decref(r->found);
    json_decref(r->listen);
    json_decref(r->later);
    units_done(&r->units);
}

static int units_now(const struct cli *cli, struct registration *registration, struct error *error)
{
    OWN(json) json_t *environment = environment_now(cli);
    char program[PATHS_MAX], state[PATHS_MAX];
    struct units_facts facts = {program, registration->runtime, state, environment,
                                registration->listen};
    int r = program_path(program, error);

    if (r >= 0)
        r = paths_state(state, error);
    return r < 0 ? r : units_make(&facts, &registration->units, error);
}

static int registration_make(const struct cli *cli, const struct networks *networks,
                             struct registration *registration, struct error *error)
{
    OWN(json) json_t *names = keys_of(networks->vmnet);
    int r = units_directory(registration->directory, error);

    if (r >= 0)
        r = paths_runtime(registration->runtime, error);
    if (r < 0)
        return r;
    registration->found = units_found(registration->directory);
    listening_split(registration->runtime, names, registration->found, &registration->listen,
                    &registration->later);
    return units_now(cli, registration, error);
}

/* systemctl with some words, then the units that are sockets; with all: the service, too. */
static int systemctl_units(const char *const *words, const json_t *names, bool all,
                           struct buf *output, struct error *error)
{
    const char *list[UNITS_MAX] = {NULL};
    size_t count = 0, index;
    json_t *name;
    bool any = false;

    while (words[count]) {
        list[count] = words[count];
        count++;
    }
    json_array_foreach((json_t *)names, index, name)
        if (count + 1 < UNITS_MAX && (all || strstr(json_string_value(name), ".socket"))) {
            list[count++] = json_string_value(name);
            any = true;
        }
    return any ? systemctl_run(list, output, error) : 0;
}

/* Stops what an earlier registration started; networks and their ports go on. */
static int units_stop(const json_t *found, struct error *error)
{
    int r = systemctl_units((const char *const[]){"stop", NULL}, found, false, NULL, error);

    return r < 0 ? r
                 : systemctl_units((const char *const[]){"stop", NULL}, found, true, NULL, error);
}

static int units_enable(const char *directory, const struct units *units, struct error *error)
{
    OWN(json) json_t *names = keys_of(units->texts);
    int r = systemctl_run((const char *const[]){"daemon-reload", NULL}, NULL, error);

    if (r >= 0)
        r = systemctl_units((const char *const[]){"enable", "--quiet", "--now", NULL}, names, false,
                            NULL, error);
    if (r >= 0)
        return r;
    units_stop(names, NULL);
    units_remove(directory, names);
    systemctl_run((const char *const[]){"daemon-reload", NULL}, NULL, NULL);
    return r;
}

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

/* With everything known that can be wrong before anything is changed. */
static int register_units(const struct registration *registration, struct error *error)
{
    OWN(json)
    json_t *stop =
        listening_stoppable(registration->runtime, registration->found, registration->units.texts);
    OWN(fd) int lock = -1;
    int r = systemctl_reach(error);

    if (r >= 0)
        r = units_stop(stop, error);
    if (r >= 0)
        r = lock = broker_keep_out(error);
    if (r >= 0)
        r = units_write(registration->directory, &registration->units, error);
    if (r < 0)
        return r;
    listening_release(registration->runtime, stop);
    return units_enable(registration->directory, &registration->units, error);
}

static int register_(const struct cli *cli)
{
    OWN(registration) struct registration registration = {0};
    OWN(networks) struct networks networks = {0};
    struct error error;
    int r;

    if (session_networks(cli, &networks) < 0)
        return 1;
    r = registration_make(cli, &networks, &registration, &error);
    if (r >= 0 && cli_option(cli, "print")) {
        units_print(registration.directory, &registration.units);
        return 0;
    }
    if (r >= 0)
        r = register_units(&registration, &error);
    if (r < 0)
        return cli_fail(cli, &error);
    registered_print(&registration);
    return broker_again(cli);
}

/* Without a manager to talk to, the files go all the same. */
static void unregister_units(const char *directory, const json_t *found)
{
    bool reached = systemctl_reach(NULL) >= 0;

    if (reached) {
        systemctl_units((const char *const[]){"disable", "--quiet", "--now", NULL}, found, false,
                        NULL, NULL);
        units_stop(found, NULL);
    }
    units_remove(directory, found);
    if (reached)
        systemctl_run((const char *const[]){"daemon-reload", NULL}, NULL, NULL);
}

/* The sockets' files; a broker that somebody started meanwhile has its own. */
static void sockets_remove(const json_t *found)
{
    static const char *const files[] = {"broker.sock", "metrics.sock"};
    char runtime[PATHS_MAX];
    struct sockaddr_un address;
    struct error error;
    int lock = broker_keep_out(&error);

    if (lock < 0)
        return;
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        if (paths_socket(&address, NULL, "%s", files[i]) >= 0)
            unlink(address.sun_path);
    if (paths_runtime(runtime, NULL) >= 0)
        listening_release(runtime, found);
    close(lock);
}

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
    unregister_units(directory, found);
    sockets_remove(found);
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
