/* SPDX-License-Identifier: Apache-2.0 */
/* See registry.h. */
#include "broker/registry.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/paths.h"
#include "broker/activation.h"
#include "broker/subnets.h"
#include "config/networks.h"

void registry_init(struct registry *registry, struct loop *loop,
                   void (*changed)(struct registry *registry))
{
    *registry = (struct registry){.loop = loop, .changed = changed};
    list_init(&registry->networks);
}

bool registry_empty(const struct registry *registry)
{
    return list_empty(&registry->networks);
}

json_t *registry_names(const struct registry *registry)
{
    json_t *names = json_array();

    for (struct list *link = registry->networks.next; link != &registry->networks;
         link = link->next)
        json_array_append_new(names, json_string(network_name(network_of_link(link))));
    return names;
}

static struct network *network_named(struct registry *registry, const char *name)
{
    for (struct list *link = registry->networks.next; link != &registry->networks;
         link = link->next)
        if (strcmp(network_name(network_of_link(link)), name) == 0)
            return network_of_link(link);
    return NULL;
}

struct network *registry_find(struct registry *registry, const char *name, struct error *error)
{
    struct network *network = network_named(registry, name);

    if (!network) {
        error_set(error, -ENOENT, ERROR_NO_NETWORK, "network %s is not running", name);
        error_hint(error, "vmlan ls shows which are; vmlan up %s starts it", name);
    }
    return network;
}

static void network_over(struct network *network)
{
    struct registry *registry = network_owner(network);

    network_free(network);
    registry->changed(registry);
}

static void registry_add(struct registry *registry, struct network *network)
{
    list_append(&registry->networks, network_link(network));
    registry->changed(registry);
}

static struct listeners given_of(const struct registry *registry, const char *name)
{
    return registry->activation ? activation_listeners(registry->activation, name) : LISTENERS_NULL;
}

static void adopt_one(struct registry *registry, const char *net, const char *name)
{
    struct listeners given = given_of(registry, name);
    char directory[PATHS_MAX + 300];
    struct network *network;
    struct error error;

    snprintf(directory, sizeof(directory), "%s/%s", net, name);
    if (spec_check_name(name, NULL) < 0 || paths_only_managers(directory))
        return;
    if (network_adopt(registry->loop, name, &given, registry, network_over, &network, &error) < 0) {
        log_warn(name, "nothing is left of this network: %s", error.reason);
        return;
    }
    log_info(name, "adopted");
    registry_add(registry, network);
}

int registry_adopt(struct registry *registry, struct error *error)
{
    char path[PATHS_MAX + 8];
    struct dirent *entry;
    OWN(dir) DIR *dir = NULL;
    int r = paths_runtime(path, error);

    if (r < 0)
        return r;
    strcat(path, "/net");
    dir = opendir(path);
    while (dir && (entry = readdir(dir)))
        adopt_one(registry, path, entry->d_name);
    return 0;
}

void registry_done(struct registry *registry)
{
    while (!list_empty(&registry->networks))
        network_free(network_of_link(registry->networks.next));
}

struct request_places {
    struct spec_places places;
    const char *where;
};

/* "/reservations/0/mac" in a request is "Attach.configuration.reservations.0.mac". */
static void request_place(const struct spec_places *places, const char *path, char *text,
                          size_t size)
{
    const char *where = container_of(places, const struct request_places, places)->where;

    snprintf(text, size, "%s%s", where, path);
    for (char *c = text; *c; c++)
        if (*c == '/')
            *c = '.';
}

static int spec_given(const char *name, const json_t *configuration, const char *where,
                      struct spec *ret, struct error *error)
{
    struct request_places places = {{request_place}, where};
    OWN(faults) struct faults faults = {0};
    int r = spec_from_json(name, configuration, &places.places, ret, &faults);

    if (r < 0)
        *error = faults.items[0];
    return r;
}

/* No configuration in the request: the user's own file has it. */
static int spec_from_file(const char *name, struct spec *ret, struct error *error)
{
    OWN(networks) struct networks networks = {0};
    OWN(faults) struct faults faults = {0};
    json_t *configuration;
    int r = networks_load(NULL, &networks, &faults);

    if (r < 0) {
        *error = faults.items[0];
        return r;
    }
    configuration = networks_find(&networks, name, error);
    return configuration ? spec_given(name, configuration, networks.source, ret, error) : -ENOENT;
}

struct network *registry_get(struct registry *registry, const char *name,
                             const json_t *configuration, const char *where, struct error *error)
{
    OWN(spec) struct spec spec = {0};
    struct network *network = network_named(registry, name);
    struct listeners given = given_of(registry, name);
    int r;

    /* A wrong configuration is refused also where it would not be used: it is wrong. */
    if (!network || configuration) {
        r = configuration ? spec_given(name, configuration, where, &spec, error)
                          : spec_from_file(name, &spec, error);
        if (r < 0)
            return NULL;
    }
    if (network)
        return network;
    if (subnets_settle(&spec, &registry->networks, error) < 0 ||
        network_start(registry->loop, &spec, &given, registry, network_over, &network, error) < 0)
        return NULL;
    registry_add(registry, network);
    return network;
}
