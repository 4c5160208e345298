/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See client.h. A line is one connection with the calls that wait for it. When it ends, its calls
 * are lost, and those that may be are asked again over a new one; what can't be asked again waits
 * in client->failed for the end of the turn, so that no callback runs while lists are walked.
 */
#include "lib/client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

#include "base/alloc.h"
#include "base/own.h"

/* A broker that ends just now closes what it did not accept: ask the next one. Not for ever: it may
 * be the call that ends them. */
enum { TRIES = 5 };

struct line {
    struct list link;
    struct client *client;
    struct conn *conn; /* NULL: none, or none any more */
    struct list calls; /* struct client_call, as they were asked */
};

struct client {
    struct launch launch;
    struct loop loop;
    struct list lines;   /* all */
    struct line *shared; /* that of calls with one answer; the others have one each */
    struct list failed;  /* struct client_call: to be told so */
    bool turning;        /* inside client_turn() */
    bool freed;          /* client_free() inside client_turn() */
};

struct client_call {
    struct list link;
    struct line *line; /* NULL: it failed */
    char *method;
    json_t *parameters;
    bool more;
    bool sent;     /* its connection has it, and its answer is due */
    bool lost;     /* its connection ended, or will before it can be sent */
    bool answered; /* once at least */
    int tries;
    struct error *error;  /* of one that failed */
    conn_reply_fn *reply; /* NULL: cancelled */
    void *context;
};

static void call_free(struct client_call *call)
{
    list_remove(&call->link);
    json_decref(call->parameters);
    free(call->method);
    free(call->error);
    free(call);
}

static void calls_free(struct list *calls)
{
    struct client_call *call;

    while ((call = list_first(calls, struct client_call, link)))
        call_free(call);
}

static struct line *line_new(struct client *client)
{
    struct line *line = alloc_new(struct line);

    line->client = client;
    list_init(&line->calls);
    list_append(&client->lines, &line->link);
    return line;
}

static void line_free(struct line *line)
{
    conn_free(line->conn);
    calls_free(&line->calls);
    list_remove(&line->link);
    free(line);
}

/* Frees the call, and the line if it was the call's own. */
static void call_done(struct client_call *call)
{
    if (call->line && call->line != call->line->client->shared)
        line_free(call->line);
    else
        call_free(call);
}

/* A broker that has been running since before an upgrade. */
static void explain_older(const struct client_call *call, const struct error *told,
                          struct error *error)
{
    error_set(error, told->code, ERROR_UNAVAILABLE,
              "the broker that runs is of an older vmlan: it does not know %s",
              strchr(told->where, '.') ? told->where : strrchr(call->method, '.') + 1);
    error_hint(error, "vmlan service restart; networks and guests go on");
}

/* The last answer. */
static void call_end(struct client_call *call, json_t *reply, int *fds, size_t fd_count,
                     const struct error *error)
{
    conn_reply_fn *tell = call->reply;
    void *context = call->context;
    struct error older;

    if (error && error->code == -ENOSYS) {
        explain_older(call, error, &older);
        error = &older;
    }
    call_done(call);
    if (tell)
        tell(context, reply, fds, fd_count, false, error);
}

static void call_answered(void *context, json_t *reply, int *fds, size_t fd_count, bool more,
                          const struct error *error)
{
    struct client_call *call = context;

    call->answered |= !error;
    if (error && error->code == -ECONNRESET)
        call->lost = true; /* line_closed() follows */
    else if (!more)
        call_end(call, reply, fds, fd_count, error);
    else
        call->reply(call->context, reply, fds, fd_count, true, NULL);
}

/* --- connections --- */

static void line_resume(struct line *line);

static void line_closed(struct conn *conn, int error)
{
    struct line *line = conn_owner(conn);

    (void)error;
    conn_free(take_ptr(line->conn));
    line_resume(line);
}

static int line_connect(struct line *line, struct error *error)
{
    int fd = launch_connect(&line->client->launch, error), r;

    if (fd < 0)
        return fd;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    r = conn_new(&line->client->loop, fd, "broker", NULL, line, line_closed, &line->conn);
    return r < 0 ? error_system(error, r, "cannot use the connection to the broker") : 0;
}

/* The broker ended it, and line_closed() was not called yet. */
static bool line_ending(const struct line *line)
{
    struct pollfd end = {.fd = conn_fd(line->conn), .events = POLLRDHUP};

    return poll(&end, 1, 0) > 0;
}

/* Puts a call on its line. One that is too late for it counts as lost, and will be asked again. */
static int line_ask(struct client_call *call, struct error *error)
{
    struct line *line = call->line;
    int r = line->conn ? 0 : line_connect(line, error);

    if (r < 0)
        return r;
    call->tries++;
    call->lost = call->sent = false;
    r = line_ending(line) ? -EPIPE
                          : conn_call(line->conn, call->method, json_incref(call->parameters), NULL,
                                      0, call->more, call_answered, call);
    if (r == -EPIPE || r == -ECONNRESET || r == -ENOTCONN) {
        call->lost = true;
        return 0;
    }
    call->sent = r >= 0;
    return r < 0 ? error_system(error, r, "cannot ask the broker") : 0;
}

static int line_ask_again(struct client_call *call, struct error *error)
{
    if (call->tries < TRIES && !call->answered)
        return line_ask(call, error);
    error_set(error, -ECONNRESET, ERROR_FAILED, "the broker ended before it answered%s",
              call->answered ? " again" : "");
    error_where(error, "%s", call->method);
    error_hint(error, call->answered ? "ask again" : "look into the log in the state directory");
    return error->code;
}

static void line_resume(struct line *line)
{
    struct client *client = line->client;
    struct client_call *call;

    list_each(call, &line->calls, link) {
        struct error error;

        if (!call->lost || (call->reply && line_ask_again(call, &error) >= 0))
            continue;
        if (call->reply)
            *(call->error = alloc_new(struct error)) = error;
        call->line = NULL;
        list_remove(&call->link);
        list_append(&client->failed, &call->link);
    }
    if (line != client->shared && list_empty(&line->calls))
        line_free(line);
}

/* --- the client --- */

int client_new(const struct launch *launch, struct client **ret)
{
    struct client *client = alloc_new(struct client);
    int r;

    client->launch = *launch;
    list_init(&client->lines);
    list_init(&client->failed);
    client->shared = line_new(client);
    r = loop_init(&client->loop);
    if (r < 0)
        client_free(client);
    else
        *ret = client;
    return r;
}

int client_open(enum client_start start, struct client **ret, struct error *error)
{
    const struct launch launch = {.if_networks = start == CLIENT_IF_NETWORKS,
                                  .never = start == CLIENT_IF_LISTENING};
    OWN(client) struct client *client = NULL;
    int r = client_new(&launch, &client);

    if (r < 0)
        return error_system(error, r, "cannot wait for events");
    r = line_connect(client->shared, error);
    if (r >= 0)
        *ret = take_ptr(client);
    return r;
}

void client_free(struct client *client)
{
    struct line *line;

    if (!client)
        return;
    while ((line = list_first(&client->lines, struct line, link)))
        line_free(line);
    calls_free(&client->failed);
    if (client->turning) {
        client->freed = true;
        loop_stop(&client->loop);
        return;
    }
    loop_done(&client->loop);
    free(client);
}

int client_fd(const struct client *client)
{
    return client->loop.epoll;
}

bool client_turning(const struct client *client)
{
    return client->turning;
}

int client_turn(struct client *client, int timeout_ms)
{
    struct client_call *call;
    int r;

    if (client->turning)
        return -EDEADLK;
    client->turning = true;
    r = loop_turn(&client->loop, timeout_ms);
    while ((call = list_first(&client->failed, struct client_call, link))) {
        OWN(mem) struct error *error = take_ptr(call->error);

        call_end(call, NULL, NULL, 0, error);
    }
    client->turning = false;
    if (!client->freed)
        return r;
    client_free(client);
    return -ECANCELED;
}

static char *method_full(const char *method)
{
    return strchr(method, '.') ? alloc_text(method) : alloc_printf("io.vmlan.Broker.%s", method);
}

int client_ask(struct client *client, const char *method, json_t *parameters, bool more,
               conn_reply_fn *reply, void *context, struct client_call **ret, struct error *error)
{
    struct client_call *call = alloc_new(struct client_call);
    int r;

    *call = (struct client_call){.more = more, .reply = reply, .context = context};
    call->method = method_full(method);
    call->parameters = parameters ? parameters : json_object();
    call->line = more ? line_new(client) : client->shared;
    list_init(&call->link);
    list_append(&call->line->calls, &call->link);
    r = line_ask(call, error);
    if (r < 0)
        call_done(call);
    else if (ret)
        *ret = call;
    return r;
}

void client_cancel(struct client_call *call)
{
    call->reply = NULL;
    if (!call->line || call->line != call->line->client->shared || !call->sent || call->lost)
        call_done(call);
}
