/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of the peer: what may be in one, whose method it is, and the call that a handler ends.
 * Whatever is wrong with a request is answered here, before a handler sees it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "wire/conn-private.h"
#include "wire/idl-private.h"

/* --- ending a call --- */

static void call_end(struct call *call)
{
    if (call->conn) {
        call->conn->serving = NULL;
        conn_update(call->conn);
    }
    json_decref(call->parameters);
    fds_close(&call->fds);
    free(call);
}

/* Takes what fds holds; message is stolen. */
static int call_send(struct call *call, json_t *message, struct fds *fds)
{
    OWN(json) json_t *stolen = message;
    OWN(fds) struct fds taken = *fds;

    *fds = FDS_NULL;
    if (!call->conn)
        return -ENOTCONN;
    if (call->oneway)
        return 0;
    return conn_send(call->conn, stolen, &taken);
}

/* parameters: stolen, may be NULL. */
static json_t *reply_new(json_t *parameters)
{
    return json_pack("{s:o}", "parameters", parameters ? parameters : json_object());
}

static void text_add(json_t *parameters, const char *key, const char *text)
{
    if (text && text[0])
        json_object_set_new(parameters, key, message_text(text));
}

void call_refuse(struct call *call, const char *interface, const char *key, const char *value,
                 const struct error *error)
{
    json_t *parameters = json_object();
    struct fds none = FDS_NULL;
    char name[256], text[ERROR_TEXT_SIZE];

    snprintf(name, sizeof(name), "%s.%s", interface, error->id ? error->id : ERROR_FAILED);
    if (key)
        json_object_set_new(parameters, key, message_text(value));
    text_add(parameters, "field", error->where);
    text_add(parameters, "reason", error->reason);
    text_add(parameters, "hint", error->hint);
    if (call->conn)
        log_debug(call->conn->name, "%s: %s", name, error_text(error, text, sizeof(text)));
    call_send(call, json_pack("{s:s, s:o}", "error", name, "parameters", parameters), &none);
    call_end(call);
}

void call_fail(struct call *call, const struct error *error)
{
    /* What the standard interface calls the field, others call "field". */
    bool standard = strcmp(call->interface, SERVICE_NAME) == 0;

    call_refuse(call, call->interface, standard ? "parameter" : NULL, error->where, error);
}

void call_reply(struct call *call, json_t *parameters, const int *fds, size_t fd_count)
{
    json_t *message = reply_new(parameters);
    struct fds copies = FDS_NULL;
    struct error error;
    int r = fds_copy(fds, fd_count, &copies);

    if (r < 0)
        json_decref(message);
    else
        r = call_send(call, message, &copies);
    if (r >= 0 || !call->conn || call->conn->error) {
        call_end(call);
        return;
    }
    error_system(&error, r, "the reply can't be sent");
    call_fail(call, &error);
}

int call_continue(struct call *call, json_t *parameters)
{
    json_t *message = reply_new(parameters);
    struct fds none = FDS_NULL;

    json_object_set_new(message, "continues", json_true());
    if (!call->more) {
        json_decref(message);
        return -EINVAL;
    }
    return call_send(call, message, &none);
}

void call_drop(struct call *call)
{
    call_end(call);
}

void call_orphan(struct conn *conn, bool tell)
{
    struct call *call = conn->serving;

    if (!call)
        return;
    conn->serving = NULL;
    call->conn = NULL;
    if (tell && call->gone)
        call->gone(call, call->gone_context);
}

/* --- what may be in a request --- */

static const struct key {
    const char *name;
    unsigned types;
    const char *expected, *hint;
} keys[] = {
    {"method", IDL_TYPE(JSON_STRING), "a string",
     "send a method's full name such as \"" SERVICE_NAME ".GetInfo\""},
    {"parameters", IDL_TYPE(JSON_OBJECT), "an object",
     "send an object of the method's parameters such as {}"},
    {"oneway", IDL_TYPES_BOOL, "true or false", "send true for a request without a reply"},
    {"more", IDL_TYPES_BOOL, "true or false", "send true for a request with several replies"},
    {"upgrade", IDL_TYPES_BOOL, "true or false", "leave it out: upgrades are not supported"},
};

/* A fault of the request itself; where: the field. */
static int request_fail(struct error *error, const char *where, const char *reason,
                        const char *hint)
{
    error_set(error, -EINVAL, ERROR_INVALID, "%s", reason);
    error_where(error, "%s", where);
    error_hint(error, "%s", hint);
    return -EINVAL;
}

static int key_check(const char *name, const json_t *value, struct error *error)
{
    char found[IDL_FOUND_SIZE], reason[128];

    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        if (strcmp(name, keys[i].name) != 0)
            continue;
        if (keys[i].types & IDL_TYPE(json_typeof(value)))
            return 0;
        snprintf(reason, sizeof(reason), "found %s, expected %s", idl_found(value, found),
                 keys[i].expected);
        return request_fail(error, name, reason, keys[i].hint);
    }
    return request_fail(error, name, "found a field that no request has",
                        "the fields of a request are method, parameters, oneway, more, upgrade");
}

static int combination_check(const struct call *call, const json_t *json, struct error *error)
{
    if (!json_object_get(json, "method"))
        return request_fail(error, "method", "found nothing, expected a string", keys[0].hint);
    if (json_is_true(json_object_get(json, "upgrade")))
        return request_fail(error, "upgrade", "found true, expected false or nothing",
                            "leave it out: upgrades are not supported");
    if (call->oneway && call->more)
        return request_fail(error, "more", "found true in a request without a reply",
                            "leave out oneway or more");
    return 0;
}

/* oneway is read first: it rules whether anything that follows may be answered at all. */
static int request_read(struct call *call, json_t *json, struct error *error)
{
    const char *name;
    json_t *value;

    call->oneway = json_is_true(json_object_get(json, "oneway"));
    call->more = json_is_true(json_object_get(json, "more"));
    json_object_foreach(json, name, value) {
        int r = key_check(name, value, error);

        if (r < 0)
            return r;
    }
    value = json_object_get(json, "parameters");
    call->parameters = value ? json_incref(value) : json_object();
    return combination_check(call, json, error);
}

/* --- whose method it is --- */

static int fds_check(const struct call *call, const struct method *method, struct error *error)
{
    size_t count = call->fds.count;

    if (count >= method->fds_min && count <= method->fds_max)
        return 0;
    error_set(error, -EINVAL, ERROR_INVALID, "found %zu, expected %zu to %zu", count,
              method->fds_min, method->fds_max);
    error_where(error, "%s.fds", method->name);
    if (method->fds_max == 0)
        error_hint(error, "send no file descriptors beside the request");
    else
        error_hint(error, "send as many file descriptors beside the request (SCM_RIGHTS)");
    return -EINVAL;
}

static void refuse_method(struct call *call, const char *full, const char *reason, const char *hint)
{
    struct error error;

    error_set(&error, -ENOSYS, SERVICE_METHOD_NOT_FOUND, "%s \"%s\"", reason, full);
    error_where(&error, "method");
    error_hint(&error, "%s", hint);
    call_refuse(call, SERVICE_NAME, "method", full, &error);
}

static void refuse_interface(struct call *call, const char *full, size_t size)
{
    OWN(mem) char *name = alloc_printf("%.*s", (int)size, full);
    struct error error;

    service_not_found(call->conn, name, "method", &error);
    call_refuse(call, SERVICE_NAME, "interface", name, &error);
}

/* The method of that full name; NULL: there is none, and the call has been answered. */
static const struct method *call_route(struct call *call, const char *full,
                                       const struct interface **ret_interface)
{
    const char *dot = strrchr(full, '.');
    const struct interface *interface;
    const struct method *method;
    char names[256];

    if (!dot) {
        refuse_method(call, full, "found no interface in", "send interface, dot, method");
        return NULL;
    }
    interface = service_find(call->conn, full, (size_t)(dot - full));
    if (!interface) {
        refuse_interface(call, full, (size_t)(dot - full));
        return NULL;
    }
    method = interface_method(interface, dot + 1);
    if (!method) {
        refuse_method(call, full, "found no method",
                      interface_methods(interface, names, sizeof(names)));
        return NULL;
    }
    *ret_interface = interface;
    return method;
}

static void call_start(struct call *call, const char *full)
{
    const struct interface *interface;
    const struct method *method = call_route(call, full, &interface);
    struct error error;

    if (!method)
        return;
    call->interface = interface_name(interface);
    if (interface_check(interface, method->name, call->parameters, &error) < 0 ||
        fds_check(call, method, &error) < 0)
        call_fail(call, &error);
    else
        method->handle(call);
}

void call_serve(struct conn *conn, struct message *message)
{
    struct call *call = alloc_new(struct call);
    struct error error;

    call->conn = conn;
    call->interface = SERVICE_NAME;
    conn->serving = call;
    fds_move(&call->fds, &message->fds);
    if (message->fault) {
        /* The standard interface has no error for a limit. */
        if (strcmp(message->fault->id, ERROR_LIMIT) == 0 && conn->interfaces[0])
            call->interface = interface_name(conn->interfaces[0]);
        call_fail(call, message->fault);
        conn_finish(conn); /* where the next message begins is anyone's guess */
    } else if (request_read(call, message->json, &error) < 0) {
        call_fail(call, &error);
    } else {
        call_start(call, json_string_value(json_object_get(message->json, "method")));
    }
}

/* --- what handlers ask --- */

struct conn *call_conn(const struct call *call)
{
    return call->conn;
}

json_t *call_parameters(const struct call *call)
{
    return call->parameters;
}

bool call_wants_more(const struct call *call)
{
    return call->more;
}

size_t call_fd_count(const struct call *call)
{
    return call->fds.count;
}

int call_take_fd(struct call *call, size_t index)
{
    return index < call->fds.count ? take_fd(&call->fds.fd[index]) : -1;
}

void call_on_gone(struct call *call, void (*gone)(struct call *call, void *context), void *context)
{
    call->gone = gone;
    call->gone_context = context;
}
