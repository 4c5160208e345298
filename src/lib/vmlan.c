/* SPDX-License-Identifier: Apache-2.0 */
/* The object of libvmlan, and its calls: see include/vmlan.h. */
#include <errno.h>

#include "base/alloc.h"
#include "base/own.h"
#include "lib/vmlan-private.h"
#include "made/version.h"

int vmlan_open(unsigned int flags, struct vmlan **ret)
{
    const struct launch launch = {.library = true, .if_networks = flags & VMLAN_NO_START};
    struct vmlan *v;
    struct client *client;
    int r = flags & ~VMLAN_NO_START ? -EINVAL : client_new(&launch, &client);

    if (r < 0)
        return r;
    v = alloc_new(struct vmlan);
    v->client = client;
    list_init(&v->requests);
    vmlan_fail(v, &(struct error){.id = ""});
    *ret = v;
    return 0;
}

static void request_free(struct vmlan_request *request)
{
    list_remove(&request->link);
    free(request);
}

void vmlan_close(struct vmlan *v)
{
    struct vmlan_request *request;

    if (!v)
        return;
    client_free(v->client);
    while ((request = list_first(&v->requests, struct vmlan_request, link)))
        request_free(request);
    free(v);
}

const char *vmlan_version(void)
{
    return VMLAN_VERSION;
}

const struct vmlan_error *vmlan_error(const struct vmlan *v)
{
    return &v->told;
}

int vmlan_fail(struct vmlan *v, const struct error *error)
{
    if (error->code == -ECANCELED)
        return error->code;
    v->error = *error;
    v->told = (struct vmlan_error){.code = v->error.code,
                                   .name = v->error.id,
                                   .field = v->error.where,
                                   .reason = v->error.reason,
                                   .hint = v->error.hint};
    return error->code;
}

int vmlan_fd(const struct vmlan *v)
{
    return client_fd(v->client);
}

int vmlan_dispatch(struct vmlan *v, int timeout_ms)
{
    int r = client_turn(v->client, timeout_ms);
    struct error error;

    if (r >= 0)
        return 0;
    error_system(&error, r, "cannot dispatch");
    return vmlan_fail(v, &error);
}

int vmlan_parse(const char *text, const char *field, json_t **ret, struct error *error)
{
    json_error_t why;
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &why);

    if (json_is_object(json)) {
        *ret = json;
        return 0;
    }
    if (json)
        error_set(error, -EINVAL, ERROR_INVALID, "not a JSON object but an array");
    else
        error_set(error, -EINVAL, ERROR_INVALID, "line %d, column %d: %s", why.line, why.column,
                  why.text);
    error_where(error, "%s", field);
    json_decref(json);
    return -EINVAL;
}

/* --- asking and waiting --- */

/* A reply and all that it points to. */
struct reply_box {
    struct vmlan_reply reply;
    struct client_fds fds;
    char *json;
};

void vmlan_reply_free(struct vmlan_reply *reply)
{
    struct reply_box *box = reply ? container_of(reply, struct reply_box, reply) : NULL;

    if (!box)
        return;
    client_fds_done(&box->fds);
    free(box->json);
    free(box);
}

static int parameters_take(const char *text, json_t **ret, struct error *error)
{
    *ret = NULL;
    return text ? vmlan_parse(text, "parameters", ret, error) : 0;
}

int vmlan_call(struct vmlan *v, const char *method, const char *parameters,
               struct vmlan_reply **ret)
{
    json_t *json, *reply;
    struct client_fds fds;
    struct reply_box *box;
    struct error error;
    int r = parameters_take(parameters, &json, &error);

    if (r >= 0)
        r = client_call(v->client, method, json, &reply, &fds, &error);
    if (r < 0)
        return vmlan_fail(v, &error);
    box = alloc_new(struct reply_box);
    box->fds = fds;
    box->json = json_dumps(reply, JSON_COMPACT);
    box->reply = (struct vmlan_reply){box->json, box->fds.fds, box->fds.count, 0};
    json_decref(reply);
    *ret = &box->reply;
    return 0;
}

/* parameters: stolen. ret_json: NULL where the reply says nothing. */
static int ask_text(struct vmlan *v, const char *method, json_t *parameters, char **ret_json)
{
    OWN(json) json_t *reply = NULL;
    struct error error;

    if (client_call(v->client, method, parameters, &reply, NULL, &error) < 0)
        return vmlan_fail(v, &error);
    if (ret_json)
        *ret_json = json_dumps(reply, JSON_COMPACT);
    return 0;
}

/* What is no UTF-8 can't be sent; the broker says of the rest what is wrong with it. */
static int ask_network(struct vmlan *v, const char *method, const char *network,
                       json_t *configuration, char **ret_json)
{
    json_t *parameters =
        json_pack("{ss*, so*}", "network", network, "configuration", configuration);
    struct error error;

    if (parameters)
        return ask_text(v, method, parameters, ret_json);
    error_set(&error, -EINVAL, ERROR_INVALID, "not UTF-8");
    error_where(&error, "%s.network", method);
    return vmlan_fail(v, &error);
}

int vmlan_list(struct vmlan *v, char **ret_json)
{
    return ask_text(v, "List", NULL, ret_json);
}

int vmlan_inspect(struct vmlan *v, const char *network, char **ret_json)
{
    return ask_network(v, "Inspect", network, NULL, ret_json);
}

int vmlan_leases(struct vmlan *v, const char *network, char **ret_json)
{
    return ask_network(v, "Leases", network, NULL, ret_json);
}

int vmlan_up(struct vmlan *v, const char *network, const char *configuration)
{
    json_t *json = NULL;
    struct error error;

    if (configuration && vmlan_parse(configuration, "Up.configuration", &json, &error) < 0)
        return vmlan_fail(v, &error);
    return ask_network(v, "Up", network, json, NULL);
}

int vmlan_down(struct vmlan *v, const char *network)
{
    return ask_network(v, "Down", network, NULL, NULL);
}

/* --- asking --- */

static void call_tell(const struct vmlan_request *request, int result, json_t *reply, int *fds,
                      size_t fd_count, bool more)
{
    OWN(mem) char *json = reply ? json_dumps(reply, JSON_COMPACT) : NULL;
    struct vmlan_reply told = {json, fds, fd_count, more};

    request->replied(request->v, result, reply ? &told : NULL, request->userdata);
}

static void request_answered(void *context, json_t *reply, int *fds, size_t fd_count, bool more,
                             const struct error *error)
{
    struct vmlan_request *request = context, copy = *request;
    int result = error ? vmlan_fail(request->v, error) : 0;

    if (!more)
        request_free(request);
    if (copy.attached)
        attach_tell(&copy, result, reply, fds, fd_count);
    else
        call_tell(&copy, result, reply, fds, fd_count, more);
}

int vmlan_ask(const struct vmlan_request *template, const char *method, json_t *parameters,
              bool more, struct vmlan_request **ret)
{
    struct vmlan_request *request = alloc_new(struct vmlan_request);
    struct error error;

    *request = *template;
    list_init(&request->link);
    list_append(&request->v->requests, &request->link);
    if (client_ask(request->v->client, method, parameters, more, request_answered, request,
                   &request->call, &error) < 0) {
        request_free(request);
        return vmlan_fail(template->v, &error);
    }
    if (ret)
        *ret = request;
    return 0;
}

int vmlan_call_async(struct vmlan *v, const char *method, const char *parameters,
                     unsigned int flags, vmlan_reply_fn *replied, void *userdata,
                     struct vmlan_request **ret)
{
    const struct vmlan_request request = {.v = v, .replied = replied, .userdata = userdata};
    json_t *json = NULL;
    struct error error;

    if (flags & ~VMLAN_MORE)
        error_set(&error, -EINVAL, ERROR_INVALID, "unknown flags %#x", flags & ~VMLAN_MORE);
    else if (parameters_take(parameters, &json, &error) >= 0)
        return vmlan_ask(&request, method, json, flags & VMLAN_MORE, ret);
    return vmlan_fail(v, &error);
}

int vmlan_monitor(struct vmlan *v, const char *const *networks, vmlan_reply_fn *replied,
                  void *userdata, struct vmlan_request **ret)
{
    const struct vmlan_request request = {.v = v, .replied = replied, .userdata = userdata};
    OWN(json) json_t *names = json_array();
    struct error error;

    for (size_t i = 0; networks && networks[i]; i++)
        if (json_array_append_new(names, json_string(networks[i])) < 0) {
            error_set(&error, -EINVAL, ERROR_INVALID, "not UTF-8");
            error_where(&error, "Monitor.networks.%zu", i);
            return vmlan_fail(v, &error);
        }
    return vmlan_ask(&request, "Monitor", networks ? json_pack("{sO}", "networks", names) : NULL,
                     true, ret);
}

void vmlan_cancel(struct vmlan_request *request)
{
    client_cancel(request->call);
    request_free(request);
}
