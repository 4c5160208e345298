/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a network's holder is asked: a queue that outlives the holder. A question waits until the
 * holder has been described, as it may then turn out that it can't be asked.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "network/network-private.h"

struct request {
    struct list link;
    struct network *network;
    char *method;
    json_t *parameters, *strict;
    bool revive, sent;
    conn_reply_fn *answer; /* NULL: forgotten */
    void *context;
};

static void request_free(struct request *request)
{
    list_remove(&request->link);
    json_decref(request->parameters);
    json_decref(request->strict);
    free(request->method);
    free(request);
}

static void request_fail(struct request *request, const struct error *error)
{
    conn_reply_fn *answer = request->answer;
    void *context = request->context;

    request_free(request);
    if (answer)
        answer(context, NULL, NULL, 0, false, error);
}

void network_requests_fail(struct network *network, bool all, const struct error *error)
{
    struct request *request;
    struct list failed;

    list_init(&failed);
    list_each(request, &network->requests, link) {
        if (!all && request->revive)
            continue;
        list_remove(&request->link);
        list_append(&failed, &request->link);
    }
    while ((request = list_first(&failed, struct request, link)))
        request_fail(request, error);
}

void network_requests_drop(struct network *network)
{
    struct request *request;

    list_each(request, &network->requests, link)
        request_free(request);
}

static void request_answered(void *context, json_t *reply, int *fds, size_t fd_count, bool more,
                             const struct error *error);

static int request_send(struct request *request)
{
    char method[64];
    int r;

    snprintf(method, sizeof(method), "io.vmlan.Holder.%s", request->method);
    r = conn_call(request->network->holder, method, json_incref(request->parameters), NULL, 0,
                  false, request_answered, request);
    request->sent = r >= 0;
    return r;
}

static void refuse_foreign(const struct network *network, struct error *error)
{
    error_set(error, -ENOSYS, ERROR_UNAVAILABLE,
              "network %s runs with a newer vmlan than this broker's", network->name);
    error_hint(error,
               "use that vmlan: vmlan service restart; or vmlan down %s, which cuts its guests off",
               network->name);
}

static bool differs(const struct network *network, const json_t *wanted, struct error *error)
{
    OWN(json) json_t *keys = spec_differs(&network->spec, wanted);
    OWN(buf) struct buf names = BUF_NULL;
    json_t *key;
    size_t index;

    if (json_array_size(keys) == 0)
        return false;
    json_array_foreach(keys, index, key)
        buf_printf(&names, "%s%s", index ? ", " : "", json_string_value(key));
    error_set(error, -EEXIST, ERROR_CONFLICT, "network %s runs with another configuration (%s)",
              network->name, buf_text(&names));
    error_hint(error, "vmlan down %s, then start it anew; or leave out strict", network->name);
    return true;
}

/* What can be said only now that the holder has been described. */
static bool request_refused(const struct request *request, struct error *error)
{
    static const char *const always[] = {"Describe", "End"};
    const struct network *network = request->network;
    bool foreign = network->foreign;

    for (size_t i = 0; i < ARRAY_SIZE(always); i++)
        foreign = foreign && strcmp(request->method, always[i]) != 0;
    if (foreign)
        refuse_foreign(network, error);
    return foreign || (request->strict && differs(network, request->strict, error));
}

void network_requests_send(struct network *network)
{
    struct request *request;
    struct error error;

    if (!network->holder || !network->known)
        return;
    list_each(request, &network->requests, link) {
        if (request->sent)
            continue;
        if (request_refused(request, &error))
            request_fail(request, &error);
        else if (request_send(request) < 0)
            return;
    }
}

/* What an older holder does not know. */
static void explain_older(const struct request *request, const struct error *told,
                          struct error *error)
{
    const char *name = request->network->name;

    error_set(error, -ENOSYS, ERROR_UNAVAILABLE,
              "network %s runs with an older vmlan, which does not know %s", name,
              strchr(told->where, '.') ? told->where : request->method);
    error_hint(error, "vmlan down %s, then start it anew: its guests are cut off", name);
}

static void request_answered(void *context, json_t *reply, int *fds, size_t fd_count, bool more,
                             const struct error *error)
{
    struct request *request = context;
    struct network *network = request->network;
    conn_reply_fn *answer = request->answer;
    void *answer_context = request->context;
    struct error own;

    if (error && error->code == -ENOSYS) {
        explain_older(request, error, &own);
        error = &own;
    }
    if (error && error->code == -ECONNRESET) {
        request->sent = false; /* holder_lost() decides */
        return;
    }
    request_free(request);
    network_requests_send(network);
    if (answer)
        answer(answer_context, reply, fds, fd_count, more, error);
}

void network_ask(struct network *network, const struct network_question *question,
                 conn_reply_fn *answer, void *context)
{
    struct request *request = alloc_new(struct request);
    json_t *parameters = question->parameters;

    *request = (struct request){.network = network,
                                .method = alloc_text(question->method),
                                .parameters = parameters ? parameters : json_object(),
                                .strict = json_incref((json_t *)question->strict),
                                .revive = question->revive,
                                .answer = answer,
                                .context = context};
    list_append(&network->requests, &request->link);
    network_requests_send(network);
}

void network_forget(struct network *network, const void *context)
{
    struct request *request;

    list_each(request, &network->requests, link)
        if (request->context == context)
            request->answer = NULL;
}
