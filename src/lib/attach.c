/* SPDX-License-Identifier: Apache-2.0 */
/* Ports for programs: options to the parameters of Attach, its reply to a struct vmlan_port. See
 * include/vmlan.h. */
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/own.h"
#include "lib/vmlan-private.h"

/* --- options --- */

/* A program may have been compiled with another version of the header than the library: what it
 * does not have is not asked for, what we do not have must not be. */
static int options_copy(const struct vmlan_options *given, struct vmlan_options *ret,
                        struct error *error)
{
    const char *bytes = (const char *)given;
    size_t known = given->size < sizeof(*ret) ? given->size : sizeof(*ret);
    bool fits = given->size >= sizeof(given->size);

    for (size_t i = sizeof(*ret); i < given->size; i++)
        fits = fits && bytes[i] == 0;
    if (!fits) {
        error_set(error, -E2BIG, ERROR_INVALID,
                  "the options have %zu bytes, of which this library knows %zu", given->size,
                  sizeof(*ret));
        error_where(error, "Attach");
        error_hint(error, "set .size, or use a libvmlan as new as the program");
        return -E2BIG;
    }
    *ret = (struct vmlan_options){0};
    memcpy(ret, given, known);
    return 0;
}

static int configuration_load(const struct vmlan_options *options, json_t **ret,
                              struct error *error)
{
    const char *file = options->configuration_file;
    json_error_t why;

    if (options->configuration && file) {
        error_set(error, -EINVAL, ERROR_INVALID, "both configuration and configuration_file");
        error_where(error, "Attach.configuration");
        return -EINVAL;
    }
    if (options->configuration)
        return vmlan_parse(options->configuration, "Attach.configuration", ret, error);
    *ret = file ? json_load_file(file, JSON_REJECT_DUPLICATES, &why) : NULL;
    if (!file || *ret)
        return 0;
    error_set(error, -EINVAL, ERROR_INVALID, "%s", why.text);
    if (why.line > 0)
        error_where(error, "%s:%d:%d", file, why.line, why.column);
    else
        error_where(error, "Attach.configuration");
    return -EINVAL;
}

static int text_add(json_t *parameters, const char *key, const char *text, struct error *error)
{
    if (!text || json_object_set_new(parameters, key, json_string(text)) >= 0)
        return 0;
    error_set(error, -EINVAL, ERROR_INVALID, "not UTF-8");
    error_where(error, "Attach.%s", key);
    return -EINVAL;
}

static int texts_add(json_t *parameters, const struct vmlan_options *options, struct error *error)
{
    const char *const texts[][2] = {{"network", options->network},
                                    {"backend", options->backend},
                                    {"name", options->name},
                                    {"mac", options->mac},
                                    {"ip", options->ip}};
    int r = 0;

    for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(texts); i++)
        r = text_add(parameters, texts[i][0], texts[i][1], error);
    return r;
}

/* The broker says what is wrong with the values. */
static int options_read(const struct vmlan_options *given, json_t **ret, struct error *error)
{
    OWN(json) json_t *parameters = json_object();
    struct vmlan_options options;
    json_t *configuration = NULL;
    int r = options_copy(given, &options, error);

    if (r >= 0)
        r = texts_add(parameters, &options, error);
    if (r >= 0)
        r = configuration_load(&options, &configuration, error);
    if (r < 0)
        return r;
    if (configuration)
        json_object_set_new(parameters, "configuration", configuration);
    if (options.queues)
        json_object_set_new(parameters, "queues", json_integer(options.queues));
    if (options.tso)
        json_object_set_new(parameters, "tso", json_true());
    if (options.checksum_offload)
        json_object_set_new(parameters, "checksumOffload", json_true());
    if (options.strict)
        json_object_set_new(parameters, "strict", json_true());
    *ret = take_ptr(parameters);
    return 0;
}

/* --- ports --- */

/* A port and all that it points to. */
struct port_box {
    struct vmlan_port port;
    json_t *reply;
    char *json;
    const char **differs;
};

static void fds_free(int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        own_fd(&fds[i]);
    free(fds);
}

void vmlan_port_free(struct vmlan_port *port)
{
    struct port_box *box = port ? container_of(port, struct port_box, port) : NULL;

    if (!box)
        return;
    fds_free(port->fds, port->fd_count);
    fds_free(port->vhost_fds, port->vhost_fd_count);
    free(box->differs);
    free(box->json);
    json_decref(box->reply);
    free(box);
}

/* Those of the reply's fds that a field of it refers to. */
static int *fds_of(const json_t *reply, const char *field, int *fds, size_t fd_count,
                   size_t *ret_count)
{
    json_t *indexes = json_object_get(reply, field), *index;
    int *own = alloc_zero(json_array_size(indexes), sizeof(int));
    size_t i;

    json_array_foreach(indexes, i, index) {
        json_int_t at = json_integer_value(index);

        own[i] = at >= 0 && (size_t)at < fd_count ? take_fd(&fds[at]) : -1;
    }
    *ret_count = json_array_size(indexes);
    return own;
}

static const char **differs_of(const json_t *reply)
{
    json_t *keys = json_object_get(reply, "differs"), *key;
    const char **differs = alloc_zero(json_array_size(keys) + 1, sizeof(char *));
    size_t i;

    json_array_foreach(keys, i, key)
        differs[i] = json_string_value(key);
    return differs;
}

/* Takes what the reply refers to of fds. */
static struct vmlan_port *port_new(json_t *reply, int *fds, size_t fd_count)
{
    struct port_box *box = alloc_new(struct port_box);
    struct vmlan_port *port = &box->port;
    const struct {
        const char *key, **field;
    } texts[] = {{"network", &port->network}, {"port", &port->id},
                 {"backend", &port->backend}, {"mac", &port->mac},
                 {"subnet", &port->subnet},   {"gateway", &port->gateway},
                 {"domain", &port->domain},   {"gateway6", &port->gateway6}};

    box->reply = json_incref(reply);
    box->json = json_dumps(reply, JSON_COMPACT);
    box->differs = differs_of(reply);
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        *texts[i].field = json_string_value(json_object_get(reply, texts[i].key));
    port->mtu = (unsigned)json_integer_value(json_object_get(reply, "mtu"));
    port->dhcp = json_is_true(json_object_get(reply, "dhcp"));
    port->fds = fds_of(reply, "fds", fds, fd_count, &port->fd_count);
    port->vhost_fds = fds_of(reply, "vhostFds", fds, fd_count, &port->vhost_fd_count);
    port->differs = box->differs;
    port->json = box->json;
    return port;
}

/* --- asking --- */

int vmlan_attach(struct vmlan *v, const struct vmlan_options *options, struct vmlan_port **ret)
{
    OWN(client_fds) struct client_fds fds = {0};
    OWN(json) json_t *reply = NULL;
    json_t *parameters;
    struct error error;
    int r = options_read(options, &parameters, &error);

    if (r >= 0)
        r = client_call(v->client, "Attach", parameters, &reply, &fds, &error);
    if (r < 0)
        return vmlan_fail(v, &error);
    *ret = port_new(reply, fds.fds, fds.count);
    return 0;
}

int vmlan_attach_async(struct vmlan *v, const struct vmlan_options *options,
                       vmlan_attached_fn *attached, void *userdata, struct vmlan_request **ret)
{
    const struct vmlan_request request = {.v = v, .attached = attached, .userdata = userdata};
    json_t *parameters;
    struct error error;

    if (options_read(options, &parameters, &error) < 0)
        return vmlan_fail(v, &error);
    return vmlan_ask(&request, "Attach", parameters, false, ret);
}

void attach_tell(const struct vmlan_request *request, int result, json_t *reply, int *fds,
                 size_t fd_count)
{
    request->attached(request->v, result, reply ? port_new(reply, fds, fd_count) : NULL,
                      request->userdata);
}
