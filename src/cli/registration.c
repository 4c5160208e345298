/* SPDX-License-Identifier: Apache-2.0 */
/* See registration.h. */
#include "cli/registration.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/own.h"
#include "cli/broker.h"
#include "cli/listening.h"
#include "cli/systemctl.h"

/* What decides where a broker's files are: the service is to see what this command sees. */
static const char *const environment_names[] = {
    "VMLAN_RUNTIME_DIR", "VMLAN_STATE_DIR", "VMLAN_CONFIG", "VMLAN_DNSMASQ",
    "XDG_CONFIG_HOME",   "XDG_STATE_HOME",  "LIMA_HOME"};

static json_t *environment_now(const char *configuration)
{
    json_t *environment = json_object();
    OWN(mem) char *config = configuration ? realpath(configuration, NULL) : NULL;

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

void registration_done(struct registration *r)
{
    json_decref(r->found);
    json_decref(r->listen);
    json_decref(r->later);
    units_done(&r->units);
}

static int units_now(const char *configuration, struct registration *registration,
                     struct error *error)
{
    OWN(json) json_t *environment = environment_now(configuration);
    char program[PATHS_MAX], state[PATHS_MAX];
    struct units_facts facts = {program, registration->runtime, state, environment,
                                registration->listen};
    int r = program_path(program, error);

    if (r >= 0)
        r = paths_state(state, error);
    return r < 0 ? r : units_make(&facts, &registration->units, error);
}

int registration_make(const char *configuration, const json_t *networks,
                      struct registration *registration, struct error *error)
{
    OWN(json) json_t *names = keys_of(networks);
    int r = units_directory(registration->directory, error);

    if (r >= 0)
        r = paths_runtime(registration->runtime, error);
    if (r < 0)
        return r;
    registration->found = units_found(registration->directory);
    listening_split(registration->runtime, names, registration->found, &registration->listen,
                    &registration->later);
    return units_now(configuration, registration, error);
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

/* With everything known that can be wrong before anything is changed. */
int registration_apply(const struct registration *registration, struct error *error)
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

/* Without a manager to talk to, the files go all the same. */
static void units_unregister(const char *directory, const json_t *found)
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

void registration_remove(const char *directory, const json_t *found)
{
    units_unregister(directory, found);
    sockets_remove(found);
}
