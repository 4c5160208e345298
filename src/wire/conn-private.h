/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of a connection share. conn.c owns struct conn: the socket, the two queues and the
 * end of it all. message.c owns what came in, call.c the request being served, reply.c the requests
 * this side sent.
 *
 * How requests are served: one at a time, because Varlink replies in the order of requests. A
 * request that comes meanwhile stays in the inbox, and nothing more is read until the inbox is
 * empty again; so a peer fills its own socket buffer, not our memory. Nor is a request taken up
 * while replies to earlier ones still wait to be written. Replies to our own requests pass, unless
 * a request that can't be taken up yet came before them.
 *
 * Who calls whom: everything that runs code of others (handlers, reply, gone and closed callbacks)
 * starts in conn_ready(), called by the loop. call_reply(), conn_call() and their like only write
 * or queue; what they find broken is left for the loop to notice. conn_free() inside a callback
 * empties the connection at once and leaves its memory to conn_ready().
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/list.h"
#include "wire/conn.h"
#include "wire/fds.h"
#include "wire/idl.h"

/* A complete message from the peer. */
struct message {
    struct list link;
    struct fds fds;
    json_t *json;        /* an object, once parsed */
    struct error *fault; /* why there is no json; the connection can't go on after this message */
    size_t size;
    char text[];
};

struct conn {
    struct source source;
    int fd; /* -1: ended */
    char *name;
    struct ucred peer;
    struct interface **interfaces; /* never NULL; ended by NULL */
    void *owner;
    conn_closed_fn *closed;

    struct buf in;     /* the message that is not complete yet, */
    struct fds in_fds; /* and its fds */
    struct list inbox; /* struct message: complete, not taken up yet */
    struct list out;   /* struct item (conn.c): not written yet, */
    size_t out_size;   /* and how many bytes that is */
    struct list sent;  /* struct request (reply.c): calls of ours without their last reply */
    size_t sent_count;
    struct call *serving; /* NULL: none */

    int error;        /* negative errno: writing failed, and ends the connection from the loop */
    bool finishing;   /* conn_finish() */
    bool dispatching; /* inside conn_ready() */
    bool freed;       /* conn_free() inside conn_ready() */
};

struct call {
    struct conn *conn;     /* NULL: the connection is gone */
    const char *interface; /* whose errors it fails with */
    json_t *parameters;    /* an object */
    struct fds fds;
    bool oneway, more;
    void (*gone)(struct call *call, void *context);
    void *gone_context;
};

/* --- conn.c --- */

/* Queues a message and tries to write it. Takes what fds holds in every case; json is borrowed.
 * -EMSGSIZE: longer than CONN_MESSAGE_MAX, nothing happened. -ENOBUFS, -EPIPE and others: the
 * connection is broken, and ends from the loop. -ENOTCONN: it is over. */
int conn_send(struct conn *conn, const json_t *json, struct fds *fds);
/* Makes the loop wait for what the connection's state asks for. */
void conn_update(struct conn *conn);

/* --- message.c --- */

void message_free(struct message *message);
/* Moves the complete messages of conn->in to the inbox. fresh: how many of its bytes the last read
 * added, fds: what came with them; emptied. */
void message_split(struct conn *conn, size_t fresh, struct fds *fds);
/* Fills json or fault of a message, once. */
void message_parse(struct message *message);
/* Text from anywhere as a JSON string: what is not UTF-8, or was cut off within a character, is
 * left out or replaced. A new reference. */
json_t *message_text(const char *text);

/* --- call.c --- */

/* Serves a request, or answers what is wrong with it; conn->serving is NULL. */
void call_serve(struct conn *conn, struct message *message);
/* Ends a call with "<interface>.<error id>"; key (or NULL): a field with value besides ours. */
void call_refuse(struct call *call, const char *interface, const char *key, const char *value,
                 const struct error *error);
/* Cuts the call in hand, if any, off its connection, and tells its holder if it is to be told. */
void call_orphan(struct conn *conn, bool tell);

/* --- reply.c --- */

/* Gives a message to the oldest request it can answer. -EPROTO: it is no proper reply. */
int reply_deliver(struct conn *conn, struct message *message);
/* Ends all requests; tell: with an error. */
void reply_cancel(struct conn *conn, bool tell, int error);

/* --- service.c --- */

#define SERVICE_NAME                "org.varlink.service"
#define SERVICE_METHOD_NOT_FOUND    "MethodNotFound"
#define SERVICE_INTERFACE_NOT_FOUND "InterfaceNotFound"

/* The interface every connection serves; made once, lives as long as the process. */
const struct interface *service_interface(void);
/* The interface of that name a connection serves, or NULL. name need not end at size. */
const struct interface *service_find(const struct conn *conn, const char *name, size_t size);
/* Fills an error that says there is no such interface; its hint says which there are. */
void service_not_found(const struct conn *conn, const char *name, const char *where,
                       struct error *error);
