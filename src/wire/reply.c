/* SPDX-License-Identifier: Apache-2.0 */
/* Requests this side sends, the peer's replies to them, and its errors as struct error. */
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "wire/conn-private.h"
#include "wire/idl-private.h"

struct request {
    struct list link;
    char *method;
    bool more;
    conn_reply_fn *reply;
    void *context;
};

/* Names of errors, without their interface, to what programs here ask for: id and errno. */
static const struct known_error {
    const char *name, *id;
    int code;
} known_errors[] = {
    {ERROR_INVALID, ERROR_INVALID, -EINVAL},
    {ERROR_NO_NETWORK, ERROR_NO_NETWORK, -ENOENT},
    {ERROR_CONFLICT, ERROR_CONFLICT, -EEXIST},
    {ERROR_LIMIT, ERROR_LIMIT, -ENOSPC},
    {ERROR_PERMISSION, ERROR_PERMISSION, -EACCES},
    {ERROR_UNAVAILABLE, ERROR_UNAVAILABLE, -EOPNOTSUPP},
    {ERROR_FAILED, ERROR_FAILED, -EIO},
    {SERVICE_METHOD_NOT_FOUND, ERROR_FAILED, -ENOSYS},
    {SERVICE_INTERFACE_NOT_FOUND, ERROR_FAILED, -ENOSYS},
};

static struct known_error error_known(const char *name)
{
    const char *dot = strrchr(name, '.');

    for (size_t i = 0; i < ARRAY_SIZE(known_errors); i++)
        if (dot && strcmp(dot + 1, known_errors[i].name) == 0)
            return known_errors[i];
    return (struct known_error){.id = ERROR_FAILED, .code = -EPROTO};
}

static const char *text_get(const json_t *parameters, const char *key)
{
    return json_string_value(json_object_get(parameters, key));
}

/* name: the error's full name. Errors of others need have none of our fields. */
static void error_read(const struct request *request, const char *name, const json_t *parameters,
                       struct error *error)
{
    const char *field = text_get(parameters, "field");
    const char *reason = text_get(parameters, "reason");
    const char *hint = text_get(parameters, "hint");
    struct known_error known = error_known(name);

    if (reason)
        error_set(error, known.code, known.id, "%s", reason);
    else
        error_set(error, known.code, known.id, "the peer answered %s", name);
    if (reason && strcmp(reason, IDL_UNKNOWN_FIELD) == 0)
        error->code = -ENOSYS;
    error_where(error, "%s", field ? field : reason ? "" : request->method);
    error_hint(error, "%s", hint ? hint : "");
}

static void request_free(struct conn *conn, struct request *request)
{
    conn->sent_count--;
    list_remove(&request->link);
    free(request->method);
    free(request);
}

static bool reply_valid(const struct request *request, const json_t *json)
{
    const json_t *parameters = json_object_get(json, "parameters");
    const json_t *error = json_object_get(json, "error");
    const json_t *continues = json_object_get(json, "continues");

    if (json_is_true(continues) && (error || !request->more))
        return false;
    return (!parameters || json_is_null(parameters) || json_is_object(parameters)) &&
           (!error || json_is_string(error)) && (!continues || json_is_boolean(continues));
}

int reply_deliver(struct conn *conn, struct message *message)
{
    struct request *request = list_first(&conn->sent, struct request, link);
    json_t *parameters = json_object_get(message->json, "parameters");
    const char *name = text_get(message->json, "error");
    bool more = json_is_true(json_object_get(message->json, "continues"));
    OWN(json) json_t *none = json_object();
    conn_reply_fn *reply = request->reply;
    void *context = request->context;
    struct error error;

    if (!reply_valid(request, message->json))
        return -EPROTO;
    if (name)
        error_read(request, name, parameters, &error);
    if (!more)
        request_free(conn, request);
    if (name)
        reply(context, NULL, message->fds.fd, message->fds.count, false, &error);
    else
        reply(context, json_is_object(parameters) ? parameters : none, message->fds.fd,
              message->fds.count, more, NULL);
    return 0;
}

static void request_fail(struct conn *conn, struct request *request, int code)
{
    conn_reply_fn *reply = request->reply;
    void *context = request->context;
    struct error error;

    error_set(&error, -ECONNRESET, ERROR_FAILED, "%s ended the connection before it answered%s%s",
              conn->name, code < 0 ? ": " : "", code < 0 ? strerror(-code) : "");
    error_where(&error, "%s", request->method);
    request_free(conn, request);
    reply(context, NULL, NULL, 0, false, &error);
}

void reply_cancel(struct conn *conn, bool tell, int error)
{
    struct request *request;

    while ((request = list_first(&conn->sent, struct request, link))) {
        if (!tell)
            request_free(conn, request);
        else
            request_fail(conn, request, error);
    }
}

static json_t *request_json(const char *method, json_t *parameters, bool oneway, bool more)
{
    json_t *json = json_pack("{s:s, s:o}", "method", method, "parameters",
                             parameters ? parameters : json_object());

    if (oneway)
        json_object_set_new(json, "oneway", json_true());
    if (more)
        json_object_set_new(json, "more", json_true());
    return json;
}

int conn_call(struct conn *conn, const char *method, json_t *parameters, const int *fds,
              size_t fd_count, bool more, conn_reply_fn *reply, void *context)
{
    OWN(json) json_t *json = request_json(method, parameters, !reply, more);
    struct fds copies = FDS_NULL;
    struct request *request;
    int r;

    if (reply && conn->sent_count >= CONN_PENDING_MAX)
        return -EBUSY;
    if (conn->finishing)
        return -ENOTCONN;
    r = fds_copy(fds, fd_count, &copies);
    if (r >= 0)
        r = conn_send(conn, json, &copies);
    if (r < 0 || !reply)
        return r;
    request = alloc_new(struct request);
    *request = (struct request){.more = more, .reply = reply, .context = context};
    request->method = alloc_text(method);
    list_append(&conn->sent, &request->link);
    conn->sent_count++;
    return 0;
}
