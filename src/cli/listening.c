/* SPDX-License-Identifier: Apache-2.0 */
/* See listening.h. */
#include "cli/listening.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/paths.h"
#include "cli/units.h"

/* Room for a directory and names in it. */
enum { LISTENING_PATH = PATHS_MAX + 128 };

static bool network_runs(const char *runtime, const char *network)
{
    char path[LISTENING_PATH];

    snprintf(path, sizeof(path), "%s/net/%s/holder.sock", runtime, network);
    return access(path, F_OK) == 0;
}

/* The network of "vmlan-stream-NAME.socket" and what its path is; false: another unit. */
static bool unit_parse(const char *unit, char *network, size_t size,
                       const struct units_path **ret_path)
{
    for (const struct units_path *path = units_paths; path->prefix; path++) {
        size_t prefix = strlen(path->prefix), length = strlen(unit);

        if (strncmp(unit, path->prefix, prefix) != 0 || length < prefix + strlen(".socket"))
            continue;
        snprintf(network, size, "%.*s", (int)(length - prefix - strlen(".socket")), unit + prefix);
        *ret_path = path;
        return true;
    }
    return false;
}

static bool has_unit(const json_t *found, const char *network)
{
    char of[128];
    const struct units_path *path;
    const json_t *unit;
    size_t index;

    json_array_foreach((json_t *)found, index, unit)
        if (unit_parse(json_string_value(unit), of, sizeof(of), &path) && strcmp(of, network) == 0)
            return true;
    return false;
}

void listening_split(const char *runtime, const json_t *networks, const json_t *found,
                     json_t **ret_listen, json_t **ret_later)
{
    json_t *listen = json_array(), *later = json_array(), *network;
    size_t index;

    json_array_foreach((json_t *)networks, index, network) {
        const char *name = json_string_value(network);
        bool waits = network_runs(runtime, name) && !has_unit(found, name);

        json_array_append(waits ? later : listen, network);
    }
    *ret_listen = listen;
    *ret_later = later;
}

json_t *listening_stoppable(const char *runtime, const json_t *found, const json_t *kept)
{
    json_t *units = json_array(), *unit;
    const struct units_path *path;
    char network[128];
    size_t index;

    json_array_foreach((json_t *)found, index, unit)
        if (!json_object_get(kept, json_string_value(unit)) ||
            !unit_parse(json_string_value(unit), network, sizeof(network), &path) ||
            !network_runs(runtime, network))
            json_array_append(units, unit);
    return units;
}

void listening_release(const char *runtime, const json_t *found)
{
    char network[128], file[LISTENING_PATH];
    const struct units_path *path;
    const json_t *unit;
    size_t index;

    json_array_foreach((json_t *)found, index, unit) {
        if (!unit_parse(json_string_value(unit), network, sizeof(network), &path))
            continue;
        snprintf(file, sizeof(file), "%s/net/%s/%s", runtime, network, path->file);
        if (network_runs(runtime, network)) {
            chmod(file, 0600); /* no longer a service manager's: paths_remove() */
            continue;
        }
        unlink(file);
        *strrchr(file, '/') = '\0';
        rmdir(file);
    }
}
