/* SPDX-License-Identifier: Apache-2.0 */
/* See nic.h. */
#include "cli/nic.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "cli/backend.h"
#include "config/instance.h"

/* A derived MAC address that is taken is derived anew this often; then the network chooses one. */
enum { SALTS = 32 };

static void nic_done(struct nic *nic)
{
    free(nic->network);
    free(nic->backend);
    free(nic->mac);
    free(nic->ip);
    free(nic->name);
    free(nic->tso);
    free(nic->checksum_offload);
    json_decref(nic->reply);
    client_fds_done(&nic->fds);
}

void nics_done(struct nics *nics)
{
    for (int i = 0; i < nics->count; i++)
        nic_done(&nics->items[i]);
    nics->count = 0;
}

static int take_queues(struct nic *nic, const char *value, struct error *error)
{
    char *end;
    long queues = strtol(value, &end, 10);

    if (*end || end == value || queues < 1 || queues > 16) {
        error_set(error, -EINVAL, ERROR_INVALID, "queues=%s: not a number of queues", value);
        error_hint(error, "use 1 to 16");
        return -EINVAL;
    }
    nic->queues = (unsigned)queues;
    return 0;
}

static int check_switch(const char *key, const char *value, struct error *error)
{
    if (strcmp(value, "on") == 0 || strcmp(value, "off") == 0)
        return 0;
    error_set(error, -EINVAL, ERROR_INVALID, "%s=%s: not a switch", key, value);
    error_hint(error, "use on or off");
    return -EINVAL;
}

static int check_backend(const char *key, const char *value, struct error *error)
{
    (void)key;
    return backend_check(value, error);
}

static int take_field(struct nic *nic, const char *key, const char *value, struct error *error)
{
    const struct {
        const char *key;
        char **field;
        int (*check)(const char *key, const char *value, struct error *error);
    } fields[] = {
        {"backend", &nic->backend, check_backend},
        {"mac", &nic->mac, NULL},
        {"ip", &nic->ip, NULL},
        {"name", &nic->name, NULL},
        {"tso", &nic->tso, check_switch},
        {"checksumOffload", &nic->checksum_offload, check_switch},
    };

    if (strcmp(key, "queues") == 0)
        return take_queues(nic, value, error);
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
        if (strcmp(key, fields[i].key) == 0) {
            if (fields[i].check && fields[i].check(key, value, error) < 0)
                return -EINVAL;
            free(*fields[i].field);
            *fields[i].field = alloc_text(value);
            return 0;
        }
    error_set(error, -EINVAL, ERROR_INVALID, "unknown field %s", key);
    error_hint(error, "the fields are backend, mac, ip, name, queues, tso and checksumOffload");
    return -EINVAL;
}

static int nic_parse(struct nic *nic, char *text, struct error *error)
{
    char *word = strsep(&text, ","), *value;
    int r = spec_check_name(word, error);

    nic->network = alloc_text(word);
    nic->queues = 1;
    while (r >= 0 && (word = strsep(&text, ","))) {
        value = strchr(word, '=');
        if (!value || !value[1]) {
            r = error_set(error, -EINVAL, ERROR_INVALID, "\"%s\" is not of the form field=value",
                          word);
            break;
        }
        *value++ = '\0';
        r = take_field(nic, word, value, error);
    }
    return r;
}

static int nics_full(const struct nics *nics, struct error *error)
{
    if (nics->count < NICS_MAX)
        return 0;
    return error_set(error, -E2BIG, ERROR_LIMIT, "more than %d networks for one command", NICS_MAX);
}

int nics_add(struct nics *nics, const char *text, struct error *error)
{
    OWN(mem) char *copy = alloc_text(text);
    int r = nics_full(nics, error);

    if (r < 0)
        return r;
    r = nic_parse(&nics->items[nics->count++], copy, error);
    if (r < 0)
        error_where(error, "%s", text);
    return r;
}

int nics_take_only(const struct cli *cli, struct nics *nics, const char *backend,
                   struct error *error)
{
    struct nic *nic = &nics->items[0];
    const struct {
        const char *option;
        char **field;
    } fields[] = {{"name", &nic->name}, {"mac", &nic->mac}, {"ip", &nic->ip}};
    int r = nics_add(nics, cli->arguments[0], error);

    if (r >= 0 && (nic->backend || nic->queues > 1)) {
        r = error_set(error, -EINVAL, ERROR_INVALID, "%s has no backend or queues",
                      cli->verb->name);
        error_where(error, "%s", cli->arguments[0]);
        error_hint(error, "leave them out, or use vmlan run");
    }
    if (r < 0)
        return r;
    nic->backend = alloc_text(backend);
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
        if (cli_option(cli, fields[i].option)) {
            free(*fields[i].field);
            *fields[i].field = alloc_text(cli_option(cli, fields[i].option));
        }
    return 0;
}

bool nic_switched_on(const char *text)
{
    return text && strcmp(text, "on") == 0;
}

int nics_add_instance(const struct cli *cli, struct nics *nics, const char *path)
{
    struct instance instance = {0};
    OWN(faults) struct faults faults = {0};
    struct error error;
    char mac[MAC_TEXT_SIZE];
    int r = instance_load(path, &instance, &faults);

    for (size_t i = 0; i < faults.count; i++)
        cli_fail(cli, &faults.items[i]);
    for (size_t i = 0; r >= 0 && i < instance.count; i++) {
        struct nic *nic = &nics->items[nics->count];

        r = nics_full(nics, &error);
        if (r < 0) {
            cli_fail(cli, &error);
            break;
        }
        nics->count++;
        nic->network = alloc_text(instance.networks[i].network);
        nic->mac = alloc_text(mac_text(instance.networks[i].mac, mac));
        nic->queues = 1;
    }
    instance_done(&instance);
    return r;
}

static void mac_derive(const struct nic *nic, const char *identity, int index, int salt,
                       char text[MAC_TEXT_SIZE])
{
    OWN(mem)
    char *unique = alloc_printf("%s\n%s\n%d\n%d", nic->network, nic->name ? nic->name : identity,
                                nic->name ? 0 : index, salt);
    uint8_t mac[6];

    instance_mac(unique, mac);
    mac_text(mac, text);
}

static json_t *attach_parameters(const struct cli *cli, const struct nic *nic, const char *mac,
                                 json_t *configuration)
{
    json_t *parameters =
        json_pack("{ss sI}", "network", nic->network, "queues", (json_int_t)nic->queues);

    if (mac)
        json_object_set_new(parameters, "mac", json_string(mac));
    if (configuration)
        json_object_set(parameters, "configuration", configuration);
    if (nic->backend)
        json_object_set_new(parameters, "backend", json_string(backend_protocol(nic->backend)));
    if (nic->ip)
        json_object_set_new(parameters, "ip", json_string(nic->ip));
    if (nic->name)
        json_object_set_new(parameters, "name", json_string(nic->name));
    if (nic->learn_mac)
        json_object_set_new(parameters, "learnMac", json_true());
    if (nic->tso)
        json_object_set_new(parameters, "tso", json_boolean(nic_switched_on(nic->tso)));
    if (nic->checksum_offload)
        json_object_set_new(parameters, "checksumOffload",
                            json_boolean(nic_switched_on(nic->checksum_offload)));
    session_set_strict(cli, parameters);
    return parameters;
}

static bool taken(const struct error *error, const char *where)
{
    return strcmp(error->id, ERROR_CONFLICT) == 0 && strcmp(error->where, where) == 0;
}

/* Attaches; what was derived or guessed gives way when another port has it already. */
static int nic_attach(const struct cli *cli, struct client *client, struct nic *nic,
                      const char *identity, int index, json_t *configuration, struct error *error)
{
    char derived[MAC_TEXT_SIZE];
    int salt = 0;

    for (;;) {
        const char *mac = nic->mac;
        int r;

        if (!mac && !nic->learn_mac && salt < SALTS) {
            mac_derive(nic, identity, index, salt, derived);
            mac = derived;
        }
        r = client_call(client, "Attach", attach_parameters(cli, nic, mac, configuration),
                        &nic->reply, &nic->fds, error);
        if (r >= 0)
            return r;
        if (taken(error, "Attach.name") && nic->named_by_command) {
            free(take_ptr(nic->name));
            nic->named_by_command = false;
        } else if (!nic->mac && taken(error, "Attach.mac") && salt < SALTS) {
            salt++;
        } else {
            return r;
        }
    }
}

int nics_attach(const struct cli *cli, struct nics *nics, const char *identity, const char *guess)
{
    OWN(client) struct client *client = NULL;
    struct error error = {0};
    int r = 0;

    for (int i = 0; i < nics->count && r >= 0; i++) {
        struct nic *nic = &nics->items[i];
        OWN(json) json_t *configuration = NULL;

        if (session_configuration(cli, nic->network, &configuration) < 0)
            return -EINVAL; /* said already */
        if (!nic->name && guess && spec_check_guest_name(guess, NULL) >= 0) {
            nic->name = alloc_text(guess);
            nic->named_by_command = true;
        }
        if (!client)
            r = client_open(CLIENT_START, &client, &error);
        if (r >= 0)
            r = nic_attach(cli, client, nic, identity, i, configuration, &error);
        if (r >= 0)
            session_warn_differs(cli, nic->network, nic->reply);
    }
    if (r < 0)
        cli_fail(cli, &error);
    return r;
}

bool nic_is_named(const struct nic *nic)
{
    return nic->backend && strcmp(nic->backend, BACKEND_NAMED) == 0;
}

int nics_name(struct nics *nics, struct error *error)
{
    for (int i = 0; i < nics->count; i++) {
        struct nic *nic = &nics->items[i];

        if (nic->backend || nic->queues > 1) {
            error_set(error, -EINVAL, ERROR_INVALID, "a tap by name has no backend or queues");
            error_where(error, "%s", nic->network);
            error_hint(error, "leave them out, or --in-namespace");
            return -EINVAL;
        }
        if (strcmp(nic->network, nics->items[0].network) != 0) {
            error_set(error, -EINVAL, ERROR_INVALID, "a command can be inside one network only");
            error_hint(error, "name one network, or leave --in-namespace out");
            return -EINVAL;
        }
        nic->backend = alloc_text(BACKEND_NAMED);
    }
    return 0;
}

unsigned nic_fd_count(const struct nic *nic, const char *field)
{
    return (unsigned)json_array_size(json_object_get(nic->reply, field));
}

const char *nic_text(const struct nic *nic, const char *field)
{
    const char *text = json_string_value(json_object_get(nic->reply, field));

    return text ? text : "";
}

static int nic_fd(const struct nic *nic, json_t *index)
{
    json_int_t i = json_integer_value(index);

    return i >= 0 && (size_t)i < nic->fds.count ? nic->fds.fds[i] : -1;
}

char *nic_fds_text(const struct nic *nic, const char *field, char *text, size_t size)
{
    json_t *indexes = json_object_get(nic->reply, field), *index;
    size_t i, used = 0;

    text[0] = '\0';
    json_array_foreach(indexes, i, index)
        used +=
            (size_t)snprintf(text + used, size - used, "%s%d", i ? ":" : "", nic_fd(nic, index));
    return text;
}

static void export(const char *what, int index, const char *value)
{
    char name[48];

    snprintf(name, sizeof(name), index ? "VMLAN_%s%d" : "VMLAN_%s", what, index);
    setenv(name, value, 1);
}

static void nic_export(const struct nic *nic, int index)
{
    static const struct {
        const char *name, *field;
    } texts[] = {{"NETWORK", "network"}, {"PORT", "port"},        {"IFNAME", "port"},
                 {"MAC", "mac"},         {"SUBNET", "subnet"},    {"GATEWAY", "gateway"},
                 {"DOMAIN", "domain"},   {"GATEWAY6", "gateway6"}};
    char text[256], *rest;

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        export(texts[i].name, index, nic_text(nic, texts[i].field));
    snprintf(text, sizeof(text), "%lld",
             (long long)json_integer_value(json_object_get(nic->reply, "mtu")));
    export("MTU", index, text);
    if (nic_is_named(nic))
        return; /* its descriptor is no device's */
    export("VHOST_FDS", index, nic_fds_text(nic, "vhostFds", text, sizeof(text)));
    export("FDS", index, nic_fds_text(nic, "fds", text, sizeof(text)));
    rest = text;
    export("FD", index, strsep(&rest, ":"));
}

void nics_export(const struct nics *nics)
{
    char count[16];

    for (int i = 0; i < nics->count; i++) {
        const struct nic *nic = &nics->items[i];

        nic_export(nic, i);
        for (size_t j = 0; j < nic->fds.count; j++)
            if (nic->fds.fds[j] >= 0)
                fcntl(nic->fds.fds[j], F_SETFD, 0);
    }
    snprintf(count, sizeof(count), "%d", nics->count);
    setenv("VMLAN_COUNT", count, 1);
}
