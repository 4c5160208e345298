/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The forwards of a network: host ports that lead to guests. The holder keeps the list, which
 * begins as the configuration says and is also kept in the network's directory for the next holder;
 * the forwarder, who lives in the host's network namespace, listens. The list goes to it whole with
 * each change, and it answers with what it could not do.
 */
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "network/holder-private.h"
#include "network/uplink-fds.h"

/* A request to add forwards, answered when the forwarder has tried them. */
struct adding {
    struct list link;
    struct call *call;
    json_t *texts; /* what it added, canonical */
    json_int_t version;
};

static void path_of(const struct holder *holder, char *path, size_t size)
{
    snprintf(path, size, "%s/forwards.json", holder->directory);
}

static void forwards_store(struct holder *holder)
{
    OWN(mem) char *text = json_dumps(holder->forwards, JSON_INDENT(2));
    char path[2 * PATHS_MAX], message[ERROR_TEXT_SIZE];
    struct error error;

    path_of(holder, path, sizeof(path));
    if (paths_write(path, text, &error) < 0)
        log_warn(holder->spec.name, "%s", error_text(&error, message, sizeof(message)));
}

/* Tells the forwarder what there is now. */
static void forwards_tell(struct holder *holder)
{
    if (holder->watching &&
        call_continue(holder->watching, json_pack("{sI sO}", "version", holder->forwards_version,
                                                  "forwards", holder->forwards)) < 0)
        call_drop(take_ptr(holder->watching));
}

static void forwards_changed(struct holder *holder)
{
    holder->forwards_version++;
    forwards_store(holder);
    forwards_tell(holder);
}

void holder_forwards_load(struct holder *holder)
{
    char path[2 * PATHS_MAX], text[FORWARD_TEXT_SIZE];
    json_t *kept;

    holder->forwards_version = 1;
    path_of(holder, path, sizeof(path));
    kept = json_load_file(path, 0, NULL);
    if (json_is_array(kept)) {
        holder->forwards = kept;
        return;
    }
    json_decref(kept);
    holder->forwards = json_array();
    for (size_t i = 0; i < holder->spec.forward_count; i++)
        json_array_append_new(holder->forwards,
                              json_string(forward_text(&holder->spec.forwards[i], text)));
}

/* --- adding --- */

static void adding_free(struct adding *adding)
{
    list_remove(&adding->link);
    json_decref(adding->texts);
    free(adding);
}

static void adding_gone(struct call *call, void *context)
{
    adding_free(context); /* what was asked for stays asked for */
    call_drop(call);
}

static void forward_remove(struct holder *holder, const char *text)
{
    for (size_t i = json_array_size(holder->forwards); i-- > 0;)
        if (strcmp(json_string_value(json_array_get(holder->forwards, i)), text) == 0)
            json_array_remove(holder->forwards, i);
}

static int forward_check_free(struct holder *holder, const struct forward *wanted,
                              struct error *error)
{
    struct forward other;
    size_t index;
    json_t *text;

    json_array_foreach(holder->forwards, index, text) {
        if (forward_parse(json_string_value(text), &other, NULL) < 0 ||
            !forward_overlaps(&other, wanted))
            continue;
        error_set(error, -EADDRINUSE, ERROR_CONFLICT, "the host's port is taken by forward %s",
                  json_string_value(text));
        error_hint(error, "remove that one first, or choose another port");
        return -EADDRINUSE;
    }
    return 0;
}

static int forward_take(struct holder *holder, const json_t *asked, json_t *texts,
                        struct error *error)
{
    char text[FORWARD_TEXT_SIZE];
    struct forward forward;
    int r = forward_parse(json_string_value(asked), &forward, error);

    if (r >= 0)
        r = forward_check_guest(&forward, &holder->spec, error);
    if (r >= 0)
        r = forward_check_free(holder, &forward, error);
    if (r >= 0 && json_array_size(holder->forwards) >= FORWARDS_MAX) {
        r = error_set(error, -ENOSPC, ERROR_LIMIT, "a network has at most %d forwards",
                      FORWARDS_MAX);
        error_hint(error, "one forward can be a range of ports");
    }
    if (r < 0)
        return r;
    forward_text(&forward, text);
    json_array_append_new(holder->forwards, json_string(text));
    json_array_append_new(texts, json_string(text));
    return 0;
}

static void texts_withdraw(struct holder *holder, const json_t *texts)
{
    const json_t *text;
    size_t index;

    json_array_foreach(texts, index, text)
        forward_remove(holder, json_string_value(text));
}

void holder_call_forward_add(struct call *call)
{
    struct holder *holder = holder_of(call);
    json_t *asked = json_object_get(call_parameters(call), "forwards"), *item;
    struct adding *adding = alloc_new(struct adding);
    struct error error = {0};
    size_t index;
    int r = 0;

    list_init(&adding->link);
    adding->call = call;
    adding->texts = json_array();
    json_array_foreach(asked, index, item)
        if (r >= 0 && (r = forward_take(holder, item, adding->texts, &error)) < 0)
            error_where(&error, "ForwardAdd.forwards.%zu", index);
    if (r < 0) {
        texts_withdraw(holder, adding->texts);
        adding_free(adding);
        call_fail(call, &error);
        return;
    }
    forwards_changed(holder);
    adding->version = holder->forwards_version;
    list_append(&holder->adding, &adding->link);
    call_on_gone(call, adding_gone, adding);
}

static void adding_judge(struct holder *holder, struct adding *adding, const json_t *failures)
{
    struct call *call = adding->call;
    struct error error;
    const json_t *text;
    size_t index;

    json_array_foreach(adding->texts, index, text) {
        const json_t *failure = json_object_get(failures, json_string_value(text));

        if (!failure)
            continue;
        error_set(&error, -EADDRINUSE, ERROR_CONFLICT, "%s: %s", json_string_value(text),
                  json_string_value(json_array_get(failure, 0)));
        error_hint(&error, "%s", json_string_value(json_array_get(failure, 1)));
        texts_withdraw(holder, adding->texts);
        adding_free(adding);
        call_fail(call, &error);
        forwards_changed(holder);
        return;
    }
    adding_free(adding);
    call_reply(call, NULL, NULL, 0);
}

/* The forwarder's answer. failures: text -> [reason, hint]. */
void holder_call_forwards_applied(struct call *call)
{
    struct holder *holder = holder_of(call);
    json_t *parameters = call_parameters(call);
    json_int_t version = json_integer_value(json_object_get(parameters, "version"));
    struct adding *adding;

    holder->forwards_applied = version;
    json_decref(holder->failures);
    holder->failures = json_incref(json_object_get(parameters, "failures"));
    list_each(adding, &holder->adding, link)
        if (adding->version <= version)
            adding_judge(holder, adding, holder->failures);
    holder_tell_forwards(holder);
    call_reply(call, NULL, NULL, 0);
}

/* --- the rest --- */

void holder_call_forward_remove(struct call *call)
{
    struct holder *holder = holder_of(call);
    json_t *asked = json_object_get(call_parameters(call), "forwards"), *item;
    OWN(json) json_t *before = json_copy(holder->forwards);
    char text[FORWARD_TEXT_SIZE];
    struct forward forward;
    struct error error = {0};
    size_t index;
    int r = 0;

    json_array_foreach(asked, index, item) {
        size_t count = json_array_size(holder->forwards);

        if (r >= 0 && (r = forward_parse(json_string_value(item), &forward, &error)) >= 0) {
            forward_remove(holder, forward_text(&forward, text));
            if (json_array_size(holder->forwards) == count)
                r = error_set(&error, -ENOENT, ERROR_INVALID, "there is no forward %s", text);
        }
        if (r < 0 && !error.where[0])
            error_where(&error, "ForwardRemove.forwards.%zu", index);
    }
    if (r < 0) {
        json_decref(holder->forwards);
        holder->forwards = take_ptr(before);
        call_fail(call, &error);
        return;
    }
    forwards_changed(holder);
    holder_tell_forwards(holder);
    call_reply(call, NULL, NULL, 0);
}

void holder_call_forward_list(struct call *call)
{
    struct holder *holder = holder_of(call);
    json_t *forwards = json_array(), *text;
    size_t index;

    json_array_foreach(holder->forwards, index, text) {
        const json_t *failure = json_object_get(holder->failures, json_string_value(text));
        bool applied = holder->forwards_applied == holder->forwards_version;
        json_t *entry = json_pack("{sO sb}", "forward", text, "active", applied && !failure);

        if (failure)
            json_object_set(entry, "reason", json_array_get(failure, 0));
        else if (!applied)
            json_object_set_new(entry, "reason", json_string("the forwarder is being started"));
        json_array_append_new(forwards, entry);
    }
    call_reply(call, json_pack("{so}", "forwards", forwards), NULL, 0);
}

static void watching_gone(struct call *call, void *context)
{
    struct holder *holder = context;

    holder->watching = NULL;
    call_drop(call);
}

void holder_call_forwards_watch(struct call *call)
{
    struct holder *holder = holder_of(call);
    struct error error;

    if (!call_wants_more(call)) {
        error_set(&error, -EINVAL, ERROR_INVALID, "ForwardsWatch is a call for \"more\"");
        call_fail(call, &error);
        return;
    }
    if (holder->watching)
        call_drop(holder->watching);
    holder->watching = call;
    call_on_gone(call, watching_gone, holder);
    forwards_tell(holder);
}

/* Sockets made inside, for the forwarder to reach guests with. */
void holder_call_sockets(struct call *call)
{
    json_t *parameters = call_parameters(call), *indexes = json_array();
    int family = json_is_true(json_object_get(parameters, "ipv6")) ? AF_INET6 : AF_INET;
    int type = json_is_true(json_object_get(parameters, "stream")) ? SOCK_STREAM : SOCK_DGRAM;
    json_int_t count = json_integer_value(json_object_get(parameters, "count"));
    int fds[CONN_FDS_MAX];
    size_t made = 0;

    while (made < CONN_FDS_MAX && (json_int_t)made < count &&
           (fds[made] = uplink_fds_socket(family, type)) >= 0)
        json_array_append_new(indexes, json_integer((json_int_t)made++));
    call_reply(call, json_pack("{so}", "fds", indexes), fds, made);
    while (made > 0)
        fd_close(&fds[--made]);
}

void holder_forwards_done(struct holder *holder)
{
    struct adding *adding;

    list_each(adding, &holder->adding, link)
        adding_gone(adding->call, adding);
    if (holder->watching)
        call_drop(take_ptr(holder->watching));
    json_decref(holder->forwards);
    json_decref(holder->failures);
}
