/* SPDX-License-Identifier: Apache-2.0 */
/* See units.h. */
#include "cli/units.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/own.h"
#include "made/unit_service_text.h"
#include "made/unit_socket_text.h"

#define SERVICE "vmlan.service"

/* Room for a directory and a name in it. */
enum { UNIT_PATH = PATHS_MAX + 300 };

/* --- texts --- */

struct field {
    const char *name, *value;
};

/* The template with @NAME@ replaced by the fields' values. */
static char *template_fill(const char *template, const struct field *fields, size_t count)
{
    OWN(buf) struct buf text = BUF_NULL;

    while (*template) {
        size_t plain = strcspn(template, "@"), length;

        buf_append(&text, template, plain);
        template += plain;
        if (!*template)
            break;
        length = strcspn(++template, "@");
        for (size_t i = 0; i < count; i++)
            if (strlen(fields[i].name) == length && strncmp(template, fields[i].name, length) == 0)
                buf_printf(&text, "%s", fields[i].value);
        template += length + 1;
    }
    return alloc_text(buf_text(&text));
}

/* A value for a unit, with what is special there made plain: '%' everywhere; in a quoted word also
 * quotes and backslashes. ('$' is left alone in assignments and in the path of a program.) */
static char *unit_escape(const char *value, bool quoted)
{
    OWN(buf) struct buf text = BUF_NULL;

    if (quoted)
        buf_append(&text, "\"", 1);
    for (; *value; value++) {
        if (quoted && (*value == '"' || *value == '\\'))
            buf_append(&text, "\\", 1);
        if (*value == '%')
            buf_append(&text, value, 1);
        buf_append(&text, value, 1);
    }
    if (quoted)
        buf_append(&text, "\"", 1);
    return alloc_text(buf_text(&text));
}

static int value_check(const char *value, struct error *error)
{
    for (const char *c = value; *c; c++)
        if ((unsigned char)*c < ' ')
            return error_set(error, -EINVAL, ERROR_INVALID,
                             "\"%s\" has a control character and can't stand in a unit", value);
    return 0;
}

static int facts_check(const struct units_facts *facts, struct error *error)
{
    json_t *environment = (json_t *)facts->environment, *value;
    int r = value_check(facts->program, error);
    const char *name;

    if (r >= 0 && strpbrk(facts->program, "\"'\\")) /* string_is_safe() of systemd */
        r = error_set(error, -EINVAL, ERROR_INVALID,
                      "systemd runs no program at %s: quotes and backslashes can't be in its path",
                      facts->program);
    if (r >= 0)
        r = value_check(facts->runtime, error);
    if (r >= 0)
        r = value_check(facts->state, error);
    json_object_foreach(environment, name, value)
        if (r >= 0)
            r = value_check(json_string_value(value), error);
    return r;
}

struct socket_unit {
    const char *what, *listen, *path, *mode, *name;
};

static void socket_add(struct units *units, const char *unit, const struct socket_unit *socket)
{
    OWN(mem) char *path = unit_escape(socket->path, false);
    const struct field fields[] = {{"WHAT", socket->what},
                                   {"LISTEN", socket->listen},
                                   {"PATH", path},
                                   {"MODE", socket->mode},
                                   {"NAME", socket->name}};
    OWN(mem) char *text = template_fill(unit_socket_text, fields, ARRAY_SIZE(fields));
    OWN(mem) char *before = units->sockets;

    json_object_set_new(units->texts, unit, json_string(text));
    units->sockets = alloc_printf("%s%s%s", before ? before : "", before ? " " : "", unit);
}

const struct units_path units_paths[] = {
    {"vmlan-stream-", "stream.sock", "ListenStream", "stream."},
    {"vmlan-datagram-", "datagram.sock", "ListenDatagram", "datagram."},
    {0},
};

/* The mode of a network's path says whose it is: paths_remove() in base/paths.h. */
static void path_add(const struct units_facts *facts, struct units *units,
                     const struct units_path *path, const char *network)
{
    OWN(mem) char *unit = alloc_printf("%s%s.socket", path->prefix, network);
    OWN(mem) char *what = alloc_printf("where hypervisors connect to network %s", network);
    OWN(mem) char *file = alloc_printf("%s/net/%s/%s", facts->runtime, network, path->file);
    OWN(mem) char *name = alloc_printf("%s%s", path->name, network);

    socket_add(units, unit, &(struct socket_unit){what, path->listen, file, "0700", name});
}

static void sockets_make(const struct units_facts *facts, struct units *units)
{
    OWN(mem) char *broker = alloc_printf("%s/broker.sock", facts->runtime);
    const json_t *network;
    size_t index;

    socket_add(units, "vmlan.socket",
               &(struct socket_unit){"where programs ask for networks", "ListenStream", broker,
                                     "0600", "broker"});
    json_array_foreach((json_t *)facts->networks, index, network)
        for (const struct units_path *path = units_paths; path->prefix; path++)
            path_add(facts, units, path, json_string_value(network));
}

static char *environment_text(const json_t *environment)
{
    OWN(buf) struct buf text = BUF_NULL;
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)environment, name, value) {
        OWN(mem) char *both = alloc_printf("%s=%s", name, json_string_value(value));
        OWN(mem) char *escaped = unit_escape(both, true);

        buf_printf(&text, "Environment=%s\n", escaped);
    }
    return alloc_text(buf_text(&text));
}

static void service_make(const struct units_facts *facts, struct units *units)
{
    OWN(mem) char *program = unit_escape(facts->program, true);
    OWN(mem) char *state = unit_escape(facts->state, false);
    OWN(mem) char *environment = environment_text(facts->environment);
    const struct field fields[] = {{"PROGRAM", program},
                                   {"SOCKETS", units->sockets},
                                   {"ENVIRONMENT", environment},
                                   {"STATE", state}};
    OWN(mem) char *text = template_fill(unit_service_text, fields, ARRAY_SIZE(fields));

    json_object_set_new(units->texts, SERVICE, json_string(text));
}

int units_make(const struct units_facts *facts, struct units *ret, struct error *error)
{
    int r = facts_check(facts, error);

    if (r < 0)
        return r;
    *ret = (struct units){.texts = json_object()};
    sockets_make(facts, ret);
    service_make(facts, ret);
    return 0;
}

void units_done(struct units *units)
{
    json_decref(units->texts);
    free(units->sockets);
    *units = (struct units){0};
}

/* --- files --- */

int units_directory(char *path, struct error *error)
{
    const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

    if (geteuid() == 0) {
        snprintf(path, PATHS_MAX, "/etc/systemd/system");
    } else if (xdg && *xdg == '/') {
        snprintf(path, PATHS_MAX, "%s/systemd/user", xdg);
    } else if (home && *home == '/') {
        snprintf(path, PATHS_MAX, "%s/.config/systemd/user", home);
    } else {
        error_set(error, -ENOENT, ERROR_UNAVAILABLE,
                  "there is no place for units: HOME is not set");
        error_hint(error, "set HOME");
        return -ENOENT;
    }
    return 0;
}

static void unit_path(char *path, const char *directory, const char *unit)
{
    snprintf(path, UNIT_PATH, "%s/%s", directory, unit);
}

/* Whether the file begins as the units of vmlan do. */
static bool unit_is_ours(const char *path)
{
    OWN(file) FILE *file = fopen(path, "re");
    size_t length = strcspn(unit_service_text, "\n") + 1;
    char line[128];

    return file && fgets(line, sizeof(line), file) && strncmp(line, unit_service_text, length) == 0;
}

static bool name_is_ours(const char *name)
{
    size_t length = strlen(name);

    return strcmp(name, SERVICE) == 0 || strcmp(name, "vmlan.socket") == 0 ||
           (strncmp(name, "vmlan-", 6) == 0 && length > 7 &&
            strcmp(name + length - 7, ".socket") == 0);
}

json_t *units_found(const char *directory)
{
    OWN(dir) DIR *dir = opendir(directory);
    json_t *names = json_array();
    struct dirent *entry;
    char path[UNIT_PATH];

    while (dir && (entry = readdir(dir))) {
        unit_path(path, directory, entry->d_name);
        if (name_is_ours(entry->d_name) && unit_is_ours(path))
            json_array_append_new(names, json_string(entry->d_name));
    }
    return names;
}

static int strangers_check(const char *directory, const json_t *texts, struct error *error)
{
    char path[UNIT_PATH];
    const char *name;
    json_t *text;

    json_object_foreach((json_t *)texts, name, text) {
        unit_path(path, directory, name);
        if (access(path, F_OK) < 0 || unit_is_ours(path))
            continue;
        error_set(error, -EEXIST, ERROR_CONFLICT, "%s is there and was not written by vmlan", path);
        error_hint(error, "move it away");
        return -EEXIST;
    }
    return 0;
}

static void stale_remove(const char *directory, const json_t *texts)
{
    OWN(json) json_t *found = units_found(directory);
    OWN(json) json_t *stale = json_array();
    json_t *name;
    size_t index;

    json_array_foreach(found, index, name)
        if (!json_object_get(texts, json_string_value(name)))
            json_array_append(stale, name);
    units_remove(directory, stale);
}

int units_write(const char *directory, const struct units *units, struct error *error)
{
    char path[UNIT_PATH];
    const char *name;
    json_t *text;
    int r = strangers_check(directory, units->texts, error);

    if (r >= 0)
        r = paths_make(directory, error);
    if (r < 0)
        return r;
    stale_remove(directory, units->texts);
    json_object_foreach(units->texts, name, text) {
        unit_path(path, directory, name);
        if (r >= 0)
            r = paths_write(path, json_string_value(text), error);
    }
    return r;
}

void units_remove(const char *directory, const json_t *names)
{
    char path[UNIT_PATH], link[UNIT_PATH + 32];
    json_t *name;
    size_t index;

    json_array_foreach((json_t *)names, index, name) {
        unit_path(path, directory, json_string_value(name));
        unlink(path);
        snprintf(link, sizeof(link), "%s/sockets.target.wants/%s", directory,
                 json_string_value(name));
        unlink(link);
    }
    snprintf(link, sizeof(link), "%s/sockets.target.wants", directory);
    rmdir(link); /* only when it is empty */
}
