/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a connection: socket, queues, end. See conn.h, and conn-private.h for how it works.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/log.h"
#include "wire/conn-private.h"

/* Bytes a read; bounds what a peer can make us keep besides one message. */
#define READ_SIZE (16 * 1024)

/* A message on its way out: one sendmsg carries its first byte and its fds. */
struct item {
    struct list link;
    struct fds fds;
    size_t size, done;
    char text[];
};

static void item_free(struct conn *conn, struct item *item)
{
    conn->out_size -= item->size - item->done;
    list_remove(&item->link);
    fds_close(&item->fds);
    free(item);
}

static void out_drop(struct conn *conn)
{
    struct item *item;

    while ((item = list_first(&conn->out, struct item, link)))
        item_free(conn, item);
}

static void inbox_drop(struct conn *conn)
{
    struct message *message;

    while ((message = list_first(&conn->inbox, struct message, link)))
        message_free(message);
}

static bool conn_reads(const struct conn *conn)
{
    return list_empty(&conn->inbox) && !conn->finishing;
}

void conn_update(struct conn *conn)
{
    /* A writable socket also means: go on with the inbox, or end a finished connection. */
    bool wake = !conn->serving && !list_empty(&conn->inbox);
    uint32_t events = EPOLLRDHUP;

    if (conn_reads(conn))
        events |= EPOLLIN;
    if (!list_empty(&conn->out) || wake || conn->finishing)
        events |= EPOLLOUT;
    source_want(&conn->source, events);
}

/* Writing is over. The peer may have said why before it closed, so the loop reads what came and
 * ends the connection then; shutting the socket down wakes it (EPOLLHUP) whatever it waits for. */
static void conn_break(struct conn *conn, int error)
{
    log_debug(conn->name, "connection breaks: %s", strerror(-error));
    conn->error = error;
    out_drop(conn);
    shutdown(conn->fd, SHUT_RDWR);
}

static int conn_flush(struct conn *conn)
{
    struct item *item;

    while ((item = list_first(&conn->out, struct item, link))) {
        ssize_t sent =
            fds_send(conn->fd, item->text + item->done, item->size - item->done, &item->fds);

        if (sent == -EAGAIN)
            return 0;
        if (sent < 0) {
            conn_break(conn, (int)sent);
            return (int)sent;
        }
        fds_close(&item->fds);
        item->done += (size_t)sent;
        conn->out_size -= (size_t)sent;
        if (item->done == item->size)
            item_free(conn, item);
    }
    return 0;
}

int conn_send(struct conn *conn, const json_t *json, struct fds *fds)
{
    OWN(fds) struct fds taken = *fds;
    size_t size = json_dumpb(json, NULL, 0, JSON_COMPACT) + 1;
    struct item *item;
    int r;

    *fds = FDS_NULL;
    if (conn->fd < 0 || conn->error)
        return conn->error ? conn->error : -ENOTCONN;
    if (size > CONN_MESSAGE_MAX)
        return -EMSGSIZE;
    if (conn->out_size + size > CONN_OUT_MAX) {
        conn_break(conn, -ENOBUFS);
        return -ENOBUFS;
    }
    item = alloc_zero(1, sizeof(*item) + size);
    json_dumpb(json, item->text, size, JSON_COMPACT); /* the last byte stays NUL */
    item->size = size;
    list_init(&item->link);
    fds_move(&item->fds, &taken);
    list_append(&conn->out, &item->link);
    conn->out_size += size;
    r = conn_flush(conn);
    conn_update(conn);
    return r;
}

/* Once. Callbacks may free the connection; nothing is done after one that did. */
static void conn_end(struct conn *conn, int error)
{
    if (conn->fd < 0)
        return;
    source_remove(&conn->source);
    fd_close(&conn->fd);
    call_orphan(conn, true);
    if (!conn->freed)
        reply_cancel(conn, true, error);
    if (!conn->freed)
        conn->closed(conn, error);
}

/* Returns 0 when more may come, 1 at the end of the stream, or negative errno. */
static int conn_read(struct conn *conn)
{
    struct fds fds = FDS_NULL;
    ssize_t size = fds_receive(conn->fd, buf_reserve(&conn->in, READ_SIZE), READ_SIZE, &fds);

    if (size == -EAGAIN)
        return 0;
    if (size <= 0)
        return size == 0 ? 1 : (int)size;
    buf_commit(&conn->in, (size_t)size);
    message_split(conn, (size_t)size, &fds);
    return 0;
}

/* With requests of ours unanswered, a message that is no request can only be a reply, well-formed
 * or not. Without, an "error" can't be answered: the peer would answer that in turn. */
static int conn_take(struct conn *conn, struct message *message)
{
    bool request = message->json && json_object_get(message->json, "method");
    int r = 0;

    if (!request && !list_empty(&conn->sent))
        r = message->json ? reply_deliver(conn, message) : -EPROTO;
    else if (!request && message->json && json_object_get(message->json, "error"))
        r = -EPROTO;
    else if (!conn->error)
        call_serve(conn, message);
    return r;
}

static bool conn_may_take(const struct conn *conn, const struct message *message)
{
    bool request = !message->json || json_object_get(message->json, "method");
    bool answer = !list_empty(&conn->sent) && !request;

    return answer || conn->error || (!conn->serving && list_empty(&conn->out));
}

static int conn_dispatch(struct conn *conn)
{
    struct message *message;
    int r = 0;

    while (r >= 0 && !conn->freed && (message = list_first(&conn->inbox, struct message, link))) {
        message_parse(message);
        if (!conn_may_take(conn, message))
            break;
        list_remove(&message->link);
        r = conn_take(conn, message);
        message_free(message);
    }
    return r;
}

static void conn_ready(struct source *source, uint32_t events)
{
    struct conn *conn = container_of(source, struct conn, source);
    bool gone = events & (EPOLLHUP | EPOLLRDHUP | EPOLLERR);
    int r = 0;

    conn->dispatching = true;
    conn_flush(conn);
    if (conn_reads(conn))
        r = conn_read(conn);
    else if (gone)
        r = 1;
    if (r == 0)
        r = conn_dispatch(conn);
    if (!conn->freed) {
        bool over = conn->finishing && list_empty(&conn->out);

        if (r != 0 || over)
            conn_end(conn, conn->error ? conn->error : r < 0 ? r : 0);
        else
            conn_update(conn);
    }
    conn->dispatching = false;
    if (conn->freed)
        free(conn);
}

/* A copy of the list, its NULL included; a list that is missing is an empty one. */
static struct interface **interfaces_copy(struct interface *const *interfaces)
{
    size_t count = 0;
    struct interface **copy;

    while (interfaces && interfaces[count])
        count++;
    copy = alloc_zero(count + 1, sizeof(struct interface *));
    if (count > 0)
        memcpy(copy, interfaces, count * sizeof(struct interface *));
    return copy;
}

static int conn_open(struct loop *loop, struct conn *conn)
{
    int r = credentials_of(conn->fd, &conn->peer);

    if (r < 0)
        return r;
    return source_add(loop, &conn->source, conn->fd, EPOLLIN | EPOLLRDHUP, conn_ready);
}

int conn_new(struct loop *loop, int fd, const char *name, struct interface *const *interfaces,
             void *owner, conn_closed_fn *closed, struct conn **ret_conn)
{
    struct conn *conn = alloc_new(struct conn);
    int r;

    conn->fd = fd;
    conn->name = alloc_text(name);
    conn->interfaces = interfaces_copy(interfaces);
    conn->owner = owner;
    conn->closed = closed;
    list_init(&conn->inbox);
    list_init(&conn->out);
    list_init(&conn->sent);
    r = conn_open(loop, conn);
    if (r < 0) {
        conn_free(conn);
        return r;
    }
    *ret_conn = conn;
    return 0;
}

void conn_free(struct conn *conn)
{
    if (!conn || conn->freed)
        return;
    conn->freed = true;
    source_remove(&conn->source);
    fd_close(&conn->fd);
    call_orphan(conn, false);
    reply_cancel(conn, false, 0);
    inbox_drop(conn);
    out_drop(conn);
    fds_close(&conn->in_fds);
    buf_done(&conn->in);
    free(take_ptr(conn->name));
    free(take_ptr(conn->interfaces));
    if (!conn->dispatching)
        free(conn);
}

void *conn_owner(const struct conn *conn)
{
    return conn->owner;
}

const char *conn_name(const struct conn *conn)
{
    return conn->name;
}

const struct ucred *conn_peer(const struct conn *conn)
{
    return &conn->peer;
}

int conn_fd(const struct conn *conn)
{
    return conn->fd;
}

void conn_finish(struct conn *conn)
{
    conn->finishing = true;
    inbox_drop(conn);
    conn_update(conn);
}

size_t conn_queued(const struct conn *conn)
{
    return conn->out_size;
}
