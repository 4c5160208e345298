/* SPDX-License-Identifier: Apache-2.0 */
/* What comes in: bytes and fds to messages, messages to JSON objects. See conn-private.h. */
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "wire/conn-private.h"

void message_free(struct message *message)
{
    list_remove(&message->link);
    fds_close(&message->fds);
    json_decref(message->json);
    free(message->fault);
    free(message);
}

/* Takes what fds holds. */
static struct message *message_new(struct conn *conn, const char *text, size_t size,
                                   struct fds *fds)
{
    struct message *message = alloc_zero(1, sizeof(*message) + size + 1);

    list_init(&message->link);
    fds_move(&message->fds, fds);
    message->size = size;
    memcpy(message->text, text, size);
    list_append(&conn->inbox, &message->link);
    return message;
}

void message_split(struct conn *conn, size_t fresh, struct fds *fds)
{
    struct buf *in = &conn->in;
    size_t begin = 0, scan = in->size - fresh;
    struct message *last = NULL;
    char *end;

    while ((end = memchr(in->data + scan, '\0', in->size - scan))) {
        last = message_new(conn, in->data + begin, (size_t)(end - in->data) - begin, &conn->in_fds);
        begin = scan = (size_t)(end - in->data) + 1;
    }
    buf_consume(in, begin);
    /* They belong to the last message that began: see conn.h. */
    fds_move(last && in->size == 0 ? &last->fds : &conn->in_fds, fds);
    /* A message's fault may be its length: the connection ends with it, whatever follows. */
    if (in->size >= CONN_MESSAGE_MAX)
        message_new(conn, in->data, in->size, &conn->in_fds);
    if (in->size == 0 || in->size >= CONN_MESSAGE_MAX)
        buf_done(in); /* an idle connection keeps no buffer */
}

/* where: of the message, there are no fields yet. */
static struct error *fault_new(int code, const char *id, const char *reason, const char *hint)
{
    struct error *fault = alloc_new(struct error);

    error_set(fault, code, id, "%s", reason);
    error_where(fault, "message");
    error_hint(fault, "%s", hint);
    return fault;
}

#define JSON_HINT \
    "send one JSON object such as {\"method\": \"org.varlink.service.GetInfo\"} and a NUL byte"

static struct error *fault_json(const json_error_t *why)
{
    char reason[JSON_ERROR_TEXT_LENGTH + 64];

    snprintf(reason, sizeof(reason), "not readable as a JSON object: line %d, column %d: %s",
             why->line, why->column, why->text);
    return fault_new(-EPROTO, ERROR_INVALID, reason, JSON_HINT);
}

static struct error *fault_limit(const char *reason, size_t limit, const char *of)
{
    char hint[64];

    snprintf(hint, sizeof(hint), "send at most %zu %s in a message", limit, of);
    return fault_new(-EMSGSIZE, ERROR_LIMIT, reason, hint);
}

void message_parse(struct message *message)
{
    json_error_t why;

    if (message->json || message->fault)
        return;
    if (message->fds.lost) {
        message->fault = fault_limit("found more file descriptors than can be received",
                                     CONN_FDS_MAX, "file descriptors");
        return;
    }
    if (message->size >= CONN_MESSAGE_MAX) {
        message->fault =
            fault_limit("found no end of the message", CONN_MESSAGE_MAX, "bytes, NUL included,");
        return;
    }
    message->json = json_loadb(message->text, message->size, JSON_REJECT_DUPLICATES, &why);
    if (message->json && !json_is_object(message->json)) {
        json_decref(take_ptr(message->json));
        message->fault = fault_new(-EPROTO, ERROR_INVALID,
                                   "found a JSON array, expected a JSON object", JSON_HINT);
    } else if (!message->json) {
        message->fault = fault_json(&why);
    }
}

json_t *message_text(const char *text)
{
    size_t size = strlen(text);
    OWN(mem) char *ascii = NULL;

    /* Texts are cut at the size of their field: at most three bytes are then too many. */
    for (size_t cut = 0; cut <= 3 && cut <= size; cut++) {
        json_t *json = json_stringn(text, size - cut);

        if (json)
            return json;
    }
    ascii = alloc_text(text);
    for (size_t i = 0; i < size; i++)
        if (ascii[i] & 0x80)
            ascii[i] = '?';
    return json_string(ascii);
}
