/* SPDX-License-Identifier: Apache-2.0 */
/* See instance.h. The rules are Lima's: pkg/limayaml/validate.go and defaults.go. */
#include "config/instance.h"

#include <ctype.h>
#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/own.h"
#include "config/check.h"
#include "config/yaml.h"

#define INSTANCE_NETWORKS_MAX 64
#define INTERFACE_MAX         15 /* bytes: IFNAMSIZ less the NUL */

void instance_done(struct instance *instance)
{
    for (size_t i = 0; i < instance->count; i++) {
        free(instance->networks[i].network);
        free(instance->networks[i].interface);
    }
    free(instance->networks);
    *instance = (struct instance){0};
}

void instance_mac(const char *unique_id, uint8_t ret_mac[6])
{
    static const uint8_t prefix[3] = {0x52, 0x55, 0x55};
    uint8_t digest[32];

    machine_digest(unique_id, digest);
    memcpy(ret_mac, prefix, 3);
    memcpy(ret_mac + 3, digest, 3);
}

/* -- one entry ------------------------------------------------------------------------------- */

/* Entries of all kinds are read, because their interfaces must differ; network is NULL for those
 * that are Lima's business. */
struct entry {
    struct instance_network network;
    bool has_mac;
};

struct entries {
    struct entry items[INSTANCE_NETWORKS_MAX];
    size_t count;
};

static void own_entries(struct entries **entries)
{
    for (size_t i = 0; i < (*entries)->count; i++) {
        free((*entries)->items[i].network.network);
        free((*entries)->items[i].network.interface);
    }
    free(*entries);
}

/* Each says whether the key selects the entry's kind: an empty string and false don't, as in Lima.
 */
static bool parse_text(struct check *check, const json_t *value, struct entry *entry)
{
    const char *text = check_string(check, value);

    (void)entry;
    return !text || *text;
}

static bool parse_vznat(struct check *check, const json_t *value, struct entry *entry)
{
    bool set = true;

    (void)entry;
    check_boolean(check, value, &set);
    return set;
}

static bool parse_vmnet(struct check *check, const json_t *value, struct entry *entry)
{
    const char *name = check_string(check, value);
    struct error error;

    if (!name || !*name)
        return !name;
    if (spec_check_name(name, &error) < 0)
        error_hint(check_fault(check, "%s", error.reason), "%s", error.hint);
    else
        entry->network.network = alloc_text(name);
    return true;
}

static bool parse_mac(struct check *check, const json_t *value, struct entry *entry)
{
    if (json_string_length(value) > 0 || !json_is_string(value))
        entry->has_mac = check_mac(check, value, entry->network.mac);
    return false;
}

static bool parse_interface(struct check *check, const json_t *value, struct entry *entry)
{
    const char *text = check_string(check, value), *p = text;
    char found[FAULTS_VALUE_SIZE];

    if (!text || !*text)
        return false;
    while (*p && *p != '/' && !isspace((unsigned char)*p) && !iscntrl((unsigned char)*p))
        p++;
    faults_value(value, found);
    if (strlen(text) > INTERFACE_MAX)
        error_hint(check_fault(check, "%s is %zu bytes long", found, strlen(text)),
                   "use at most %d", INTERFACE_MAX);
    else if (*p)
        error_hint(check_fault(check, "%s contains a blank or slash", found),
                   "use letters and digits");
    else if (strcmp(text, "eth0") == 0)
        error_hint(check_fault(check, "%s is the interface of Lima's own network", found),
                   "use another name, such as lima0");
    else
        entry->network.interface = alloc_text(text);
    return false;
}

static const struct entry_key {
    const char *name;
    bool (*parse)(struct check *check, const json_t *value, struct entry *entry);
} entry_keys[] = {
    {"lima", parse_text},   {"socket", parse_text},    {"vzNAT", parse_vznat},
    {"vmnet", parse_vmnet}, {"macAddress", parse_mac}, {"interface", parse_interface},
};

static void entry_parse(struct check *check, const json_t *value, struct entry *ret)
{
    const char *name, *kind = NULL;
    json_t *member;

    if (!check_mapping(check, value))
        return;
    json_object_foreach((json_t *)value, name, member) {
        const struct entry_key *key = CHECK_KEY(check, name, entry_keys);
        size_t mark = pointer_push(&check->path, name);
        bool selects = key && !json_is_null(member) && key->parse(check, member, ret);

        if (selects && kind)
            error_hint(check_fault_key(check, "excludes %s, which is set too", kind),
                       "keep one of lima, socket, vzNAT and vmnet");
        else if (selects)
            kind = name;
        pointer_pop(&check->path, mark);
    }
    if (!kind)
        error_hint(check_fault(check, "names no network"),
                   "set one of lima, socket, vzNAT: true and vmnet, such as vmnet: shared");
}

/* -- the list -------------------------------------------------------------------------------- */

static void entry_check_interface(struct check *check, const struct entries *entries, size_t index)
{
    const char *interface = entries->items[index].network.interface;
    size_t i = 0, mark;

    while (i < index && strcmp(entries->items[i].network.interface, interface) != 0)
        i++;
    if (i == index)
        return;
    mark = pointer_push_index(&check->path, index);
    pointer_push(&check->path, "interface");
    error_hint(check_fault(check, "\"%s\" is the interface of networks[%zu] already", interface, i),
               "give each its own name");
    pointer_pop(&check->path, mark);
}

static void entries_parse(struct check *check, const json_t *list, const char *path,
                          struct entries *entries)
{
    json_t *value;
    size_t i;

    json_array_foreach(list, i, value) {
        struct instance_network *network = &entries->items[i].network;
        size_t mark = pointer_push_index(&check->path, i);

        entries->count = i + 1;
        entry_parse(check, value, &entries->items[i]);
        pointer_pop(&check->path, mark);
        if (!network->interface)
            network->interface = alloc_printf("lima%zu", i);
        if (!entries->items[i].has_mac) {
            OWN(mem) char *unique_id = alloc_printf("%s#%zu", path, i);

            instance_mac(unique_id, network->mac);
        }
        entry_check_interface(check, entries, i);
    }
}

/* path as Lima has it: absolute, and symbolic links of the directory resolved. The caller owns it.
 */
static char *instance_path(const char *path)
{
    OWN(mem) char *copy = alloc_text(path), *name = alloc_text(path);
    OWN(mem) char *directory = realpath(dirname(copy), NULL);

    if (!directory)
        return alloc_text(path);
    return alloc_printf("%s/%s", strcmp(directory, "/") == 0 ? "" : directory, basename(name));
}

static void instance_take(struct entries *entries, struct instance *ret)
{
    ret->networks = alloc_zero(entries->count, sizeof(*ret->networks));
    for (size_t i = 0; i < entries->count; i++) {
        struct instance_network *network = &entries->items[i].network;

        if (!network->network)
            continue;
        ret->networks[ret->count++] = *network;
        *network = (struct instance_network){0};
    }
}

static int instance_check(const struct yaml_document *document, const char *path,
                          struct instance *ret, struct faults *faults)
{
    struct yaml_places places = yaml_places(document, "");
    OWN(check) struct check check = {.places = &places.places, .faults = faults};
    OWN(entries) struct entries *entries = alloc_new(struct entries);
    const json_t *list = check_given(document->root, "networks");
    OWN(mem) char *absolute = instance_path(path);
    size_t before = faults->total;

    pointer_push(&check.path, "networks");
    if (list && check_list(&check, list, INSTANCE_NETWORKS_MAX))
        entries_parse(&check, list, absolute, entries);
    if (faults->total != before)
        return -EINVAL;
    *ret = (struct instance){0};
    instance_take(entries, ret);
    return 0;
}

int instance_parse(const char *text, size_t size, const char *path, struct instance *ret,
                   struct faults *faults)
{
    OWN(yaml) struct yaml_document document = {0};
    int r = yaml_parse(text, size, path, &document, faults);

    return r < 0 ? r : instance_check(&document, path, ret, faults);
}

int instance_load(const char *path, struct instance *ret, struct faults *faults)
{
    OWN(yaml) struct yaml_document document = {0};
    int r = yaml_load(path, &document, faults);

    return r < 0 ? r : instance_check(&document, path, ret, faults);
}
