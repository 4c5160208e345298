/* SPDX-License-Identifier: Apache-2.0 */
/* See networks.h. */
#include "config/networks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/json.h"
#include "base/own.h"
#include "config/check.h"
#include "config/yaml.h"

#define NETWORKS_MAX      64
#define CLIENTS_MAX       64
#define NETWORKS_BUILT_IN "built-in defaults"

/* As in Lima's template for networks.yaml. */
static const char networks_default[] =
    "{\"shared\": {\"mode\": \"shared\", \"dhcp\": true, \"dnsProxy\": true, \"mtu\": 1500,"
    " \"nat44\": true, \"nat66\": true, \"routerAdvertisement\": true,"
    " \"subnet\": \"192.168.107.0/24\"},"
    " \"host\": {\"mode\": \"host\", \"dhcp\": true, \"dnsProxy\": true, \"mtu\": 1500,"
    " \"nat44\": true, \"nat66\": true, \"routerAdvertisement\": false,"
    " \"subnet\": \"192.168.108.0/24\"}}";

void networks_done(struct networks *networks)
{
    free(networks->source);
    json_decref(networks->vmnet);
    json_decref(networks->clients);
    *networks = (struct networks){0};
}

static void networks_built_in(struct networks *ret)
{
    *ret = (struct networks){
        .source = alloc_text(NETWORKS_BUILT_IN),
        .vmnet = json_loads(networks_default, 0, NULL),
        .clients = json_array(),
    };
}

/* -- checking -------------------------------------------------------------------------------- */

/* What was found right so far, for what has to be compared between networks. */
struct networks_seen {
    struct spec specs[NETWORKS_MAX];
    size_t count;
};

static void own_networks_seen(struct networks_seen **seen)
{
    for (size_t i = 0; i < (*seen)->count; i++)
        spec_done(&(*seen)->specs[i]);
    free(*seen);
}

static void networks_overlap(struct check *check, const struct spec *spec, const struct spec *other,
                             const char *key, const char *subnet, const char *other_subnet)
{
    OWN(mem) char *pointer = alloc_printf("/vmnet/%s/%s", other->name, key);
    char place[CHECK_PLACE_SIZE];
    size_t mark = pointer_push(&check->path, spec->name);

    pointer_push(&check->path, key);
    error_hint(check_fault(check, "%s overlaps %s of %s at %s", subnet, other_subnet, other->name,
                           check_place(check, pointer, place)),
               "give one of them another %s", key);
    pointer_pop(&check->path, mark);
}

static void networks_compare(struct check *check, const struct spec *spec, const struct spec *other)
{
    char text4[2][SUBNET4_TEXT_SIZE], text6[2][SUBNET6_TEXT_SIZE];

    if (spec->subnet.prefix && other->subnet.prefix &&
        subnet4_overlaps(&spec->subnet, &other->subnet))
        networks_overlap(check, spec, other, "subnet", subnet4_text(&spec->subnet, text4[0]),
                         subnet4_text(&other->subnet, text4[1]));
    if (spec->subnet6.prefix && other->subnet6.prefix &&
        memcmp(&spec->subnet6.address, &other->subnet6.address, sizeof(struct in6_addr)) == 0)
        networks_overlap(check, spec, other, "subnet6", subnet6_text(&spec->subnet6, text6[0]),
                         subnet6_text(&other->subnet6, text6[1]));
}

static void networks_check_one(struct check *check, const struct yaml_document *document,
                               const char *name, const json_t *configuration,
                               struct networks_seen *seen)
{
    OWN(buf) struct buf prefix = BUF_NULL;
    struct spec *spec = &seen->specs[seen->count];
    struct yaml_places places;

    buf_printf(&prefix, "/vmnet");
    pointer_push(&prefix, name);
    places = yaml_places(document, buf_text(&prefix));
    if (spec_from_json(name, configuration, &places.places, spec, check->faults) < 0)
        return;
    for (size_t i = 0; i < seen->count; i++)
        networks_compare(check, spec, &seen->specs[i]);
    seen->count++;
}

static void networks_check_all(struct check *check, const struct yaml_document *document,
                               json_t *vmnet)
{
    OWN(networks_seen) struct networks_seen *seen = alloc_new(struct networks_seen);
    size_t mark = pointer_push(&check->path, "vmnet");
    const char *name;
    json_t *configuration;

    if (check_mapping(check, vmnet)) {
        if (json_object_size(vmnet) > NETWORKS_MAX) {
            error_hint(check_fault(check, "%zu networks are too many", json_object_size(vmnet)),
                       "at most %d are possible", NETWORKS_MAX);
        } else {
            json_object_foreach(vmnet, name, configuration)
                networks_check_one(check, document, name, configuration, seen);
        }
    }
    pointer_pop(&check->path, mark);
}

static void clients_check(struct check *check, const json_t *clients)
{
    size_t mark = pointer_push(&check->path, "clients"), index;
    char found[FAULTS_VALUE_SIZE];
    json_t *client;

    if (check_list(check, clients, CLIENTS_MAX)) {
        json_array_foreach(clients, index, client) {
            size_t inside = pointer_push_index(&check->path, index);
            const char *path = check_string(check, client);

            if (path && path[0] != '/')
                error_hint(
                    check_fault(check, "%s is not an absolute path", faults_quote(path, found)),
                    "write the program's whole path, such as /usr/bin/podman");
            pointer_pop(&check->path, inside);
        }
    }
    pointer_pop(&check->path, mark);
}

/* The networks as written, with {} for a name without settings. */
static json_t *networks_written(json_t *vmnet)
{
    json_t *written = json_object();
    const char *name;
    json_t *configuration;

    json_object_foreach(vmnet, name, configuration) {
        if (json_is_null(configuration))
            json_object_set_new(written, name, json_object());
        else
            json_object_set(written, name, configuration);
    }
    return written;
}

static int networks_check(const struct yaml_document *document, bool lima, struct networks *ret,
                          struct faults *faults)
{
    static const char *const keys[] = {"vmnet", "clients"};
    struct yaml_places places = yaml_places(document, "");
    OWN(check) struct check check = {.places = &places.places, .faults = faults};
    json_t *vmnet = check_given(document->root, "vmnet");
    json_t *clients = lima ? NULL : check_given(document->root, "clients");
    size_t before = faults->total;
    const char *key;
    json_t *value;

    json_object_foreach(document->root, key, value) {
        if (!lima)
            CHECK_KEY(&check, key, keys);
    }
    if (vmnet)
        networks_check_all(&check, document, vmnet);
    if (clients)
        clients_check(&check, clients);
    if (faults->total != before)
        return -EINVAL;
    if (json_object_size(vmnet) == 0 && json_array_size(clients) == 0) {
        networks_built_in(ret);
        return 0;
    }
    *ret = (struct networks){
        .source = alloc_text(document->source),
        .lima = lima,
        .vmnet = json_object_size(vmnet) ? networks_written(vmnet)
                                         : json_loads(networks_default, 0, NULL),
        .clients = clients ? json_incref(clients) : json_array(),
    };
    return 0;
}

int networks_parse(const char *text, size_t size, const char *source, bool lima,
                   struct networks *ret, struct faults *faults)
{
    OWN(yaml) struct yaml_document document = {0};
    int r = yaml_parse(text, size, source, &document, faults);

    return r < 0 ? r : networks_check(&document, lima, ret, faults);
}

/* -- which file ------------------------------------------------------------------------------ */

static int networks_load_file(const char *path, bool lima, struct networks *ret,
                              struct faults *faults)
{
    OWN(yaml) struct yaml_document document = {0};
    int r = yaml_load(path, &document, faults);

    return r < 0 ? r : networks_check(&document, lima, ret, faults);
}

/* A variable of the environment; NULL when unset or empty, which mean the same. */
static const char *networks_env(const char *name)
{
    const char *value = getenv(name);

    return value && *value ? value : NULL;
}

/* $name, or sub below the home directory; NULL without either. A relative path counts as unset: XDG
 * Base Directory Specification, "Basics". The caller owns the result. */
static char *networks_directory(const char *name, const char *sub)
{
    const char *path = networks_env(name), *home = networks_env("HOME");

    if (path && *path == '/')
        return alloc_text(path);
    return home ? alloc_printf("%s/%s", home, sub) : NULL;
}

static char *networks_own_path(void)
{
    OWN(mem) char *directory = NULL;

    if (geteuid() == 0)
        return alloc_text("/etc/vmlan/networks.yaml");
    directory = networks_directory("XDG_CONFIG_HOME", ".config");
    return directory ? alloc_printf("%s/vmlan/networks.yaml", directory) : NULL;
}

static char *networks_lima_path(void)
{
    OWN(mem) char *directory = networks_directory("LIMA_HOME", ".lima");

    return directory ? alloc_printf("%s/_config/networks.yaml", directory) : NULL;
}

/* A symbolic link to nowhere is there: it was to be a configuration. */
static bool networks_missing(const char *path)
{
    struct stat st;

    return !path || (lstat(path, &st) < 0 && (errno == ENOENT || errno == ENOTDIR));
}

int networks_load(const char *given, struct networks *ret, struct faults *faults)
{
    const char *named = given ? given : networks_env("VMLAN_CONFIG");
    OWN(mem) char *own = networks_own_path();
    OWN(mem) char *lima = networks_lima_path();

    if (named)
        return networks_load_file(named, false, ret, faults);
    if (!networks_missing(own))
        return networks_load_file(own, false, ret, faults);
    if (!networks_missing(lima))
        return networks_load_file(lima, true, ret, faults);
    networks_built_in(ret);
    return 0;
}

/* -- look-up --------------------------------------------------------------------------------- */

json_t *networks_find(const struct networks *networks, const char *name, struct error *error)
{
    enum { ROOM = 300 }; /* of the hint, so that how many were left out still fits */
    json_t *found = json_object_get(networks->vmnet, name), *value;
    size_t left = json_object_size(networks->vmnet);
    OWN(buf) struct buf names = BUF_NULL;
    char quoted[FAULTS_VALUE_SIZE];
    const char *known;

    if (found)
        return found;
    json_object_foreach(networks->vmnet, known, value) {
        if (names.size > ROOM)
            break;
        buf_printf(&names, "%s%s", names.size ? ", " : "", known);
        left--;
    }
    if (left)
        buf_printf(&names, " and %zu more", left);
    error_set(error, -ENOENT, ERROR_NO_NETWORK, "no network %s is configured",
              faults_quote(name, quoted));
    error_hint(error, "there are %s (%s)", buf_text(&names), networks->source);
    return NULL;
}
