/* SPDX-License-Identifier: Apache-2.0 */
/* The calling side of a connection: replies, errors, fds, limits, and peers that break the rules.
 */
#include "base/alloc.h"
#include "wire/test-peer.h"

/* What the reply callback saw. */
static struct seen {
    int replies, errors;
    bool more;
    char text[64]; /* of the last reply */
    size_t fd_count;
    int fd; /* taken */
    struct error error;
    struct conn *free; /* to be freed in the callback */
} seen;

static void reply_seen(void *context, json_t *reply, int *fds, size_t fd_count, bool more,
                       const struct error *error)
{
    const char *text = json_string_value(json_object_get(reply, "text"));

    CHECK(context == &seen);
    CHECK(!reply == !!error);
    if (error)
        seen.error = *error;
    seen.replies += !error;
    seen.errors += !!error;
    seen.more = more;
    snprintf(seen.text, sizeof(seen.text), "%s", text ? text : "");
    seen.fd_count = fd_count;
    if (fd_count > 0)
        seen.fd = take_fd(&fds[fd_count - 1]);
    if (seen.free) {
        peer.conn = NULL;
        conn_free(take_ptr(seen.free));
    }
}

static void start(void)
{
    seen = (struct seen){.fd = -1};
    peer_start();
}

static int call(const char *method, bool more)
{
    return conn_call(peer.conn, method, NULL, NULL, 0, more, reply_seen, &seen);
}

/* A connection at either end: everything both ways. */
static void test_both_ends(void)
{
    struct conn *client = NULL;
    int fds[2] = {0, 1};

    start();
    CHECK_INT(conn_new(&peer.loop, take_fd(&peer.fd), "client", NULL, NULL, peer_closed, &client),
              0);
    conn_call(client, "org.example.test.Echo", json_pack("{s:s}", "text", "a"), NULL, 0, false,
              reply_seen, &seen);
    peer_turn();
    CHECK_INT(seen.replies, 1);
    CHECK_TEXT(seen.text, "a");
    CHECK_INT(conn_call(client, "org.example.test.Swap", NULL, fds, 2, false, reply_seen, &seen),
              0);
    peer_turn();
    CHECK_INT(seen.replies, 2);
    CHECK_INT(seen.fd_count, 2); /* one taken here, the other closed for us */
    fd_close(&seen.fd);
    conn_call(client, "org.example.test.Fail", json_pack("{s:s}", "hint", "wait"), NULL, 0, false,
              reply_seen, &seen);
    peer_turn();
    CHECK_INT(seen.errors, 1);
    CHECK_INT(seen.error.code, -EEXIST);
    CHECK_TEXT(seen.error.id, ERROR_CONFLICT);
    CHECK_TEXT(seen.error.where, "Fail.hint");
    CHECK_TEXT(seen.error.reason, "taken");
    CHECK_TEXT(seen.error.hint, "wait");
    conn_free(client);
    peer_turn();
    CHECK_INT(peer.closed, 1);
    peer_stop();
}

#define ERROR(name, parameters) "{\"error\":\"" name "\",\"parameters\":" parameters "}"

static void test_errors(void)
{
    static const struct wire_error {
        const char *reply, *id;
        int code;
        const char *text;
    } errors[] = {
        {ERROR("a.b.InvalidParameter", "{\"field\":\"f\",\"reason\":\"r\",\"hint\":\"h\"}"),
         ERROR_INVALID, -EINVAL, "f: r; h"},
        {ERROR("a.b.NetworkNotFound", "{\"reason\":\"r\"}"), ERROR_NO_NETWORK, -ENOENT, "r"},
        {ERROR("a.b.Conflict", "{\"reason\":\"r\",\"hint\":null}"), ERROR_CONFLICT, -EEXIST, "r"},
        {ERROR("a.b.LimitReached", "{\"reason\":\"r\"}"), ERROR_LIMIT, -ENOSPC, "r"},
        {ERROR("a.b.PermissionDenied", "{\"reason\":\"r\"}"), ERROR_PERMISSION, -EACCES, "r"},
        {ERROR("a.b.Unavailable", "{\"reason\":\"r\"}"), ERROR_UNAVAILABLE, -EOPNOTSUPP, "r"},
        {ERROR("a.b.Failed", "{\"reason\":\"r\"}"), ERROR_FAILED, -EIO, "r"},
        {ERROR("org.varlink.service.MethodNotFound", "{\"method\":\"m\"}"), ERROR_FAILED, -ENOSYS,
         "x.y.Z: the peer answered org.varlink.service.MethodNotFound"},
        {ERROR("a.b.Other", "{\"reason\":5}"), ERROR_FAILED, -EPROTO,
         "x.y.Z: the peer answered a.b.Other"},
        {"{\"error\":\"nodot\"}", ERROR_FAILED, -EPROTO, "x.y.Z: the peer answered nodot"},
    };
    char text[ERROR_TEXT_SIZE];

    start();
    for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
        CHECK_INT(call("x.y.Z", false), 0);
        CHECK_TEXT(peer_receive(), "{\"method\":\"x.y.Z\",\"parameters\":{}}");
        peer_send(errors[i].reply);
        peer_turn();
        CHECK_INT(seen.errors, i + 1);
        CHECK_INT(seen.error.code, errors[i].code);
        CHECK_TEXT(seen.error.id, errors[i].id);
        CHECK_TEXT(error_text(&seen.error, text, sizeof(text)), errors[i].text);
    }
    peer_stop();
}

static void test_wrong_replies(void)
{
    static const char *const wrong[] = {
        "x",
        "[]",
        "{\"parameters\":[]}",
        "{\"parameters\":\"a\"}",
        "{\"error\":5}",
        "{\"error\":null}",
        "{\"continues\":1,\"parameters\":{}}",
        "{\"continues\":true,\"parameters\":{}}",
        "{\"continues\":true,\"error\":\"a.b.Failed\"}",
    };

    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        start();
        CHECK_INT(call("x.y.Z", i == ARRAY_SIZE(wrong) - 1), 0);
        CHECK(strstr(peer_receive(), "x.y.Z"));
        peer_send(wrong[i]);
        CHECK_TEXT(peer_receive(), "EOF");
        CHECK_INT(seen.replies, 0);
        CHECK_INT(seen.errors, 1);
        CHECK_INT(seen.error.code, -ECONNRESET);
        CHECK_TEXT(seen.error.reason,
                   "test ended the connection before it answered: Protocol error");
        CHECK_TEXT(seen.error.where, "x.y.Z");
        CHECK_INT(peer.error, -EPROTO);
        peer_stop();
    }
}

/* An error nobody asked for is not answered with an error: that would go on for ever. */
static void test_unasked_error(void)
{
    start();
    peer_send(ERROR("a.b.Failed", "{}"));
    CHECK_TEXT(peer_receive(), "EOF");
    CHECK_INT(peer.error, -EPROTO);
    peer_stop();
}

static void test_more(void)
{
    start();
    CHECK_INT(call("x.y.Z", true), 0);
    CHECK_TEXT(peer_receive(), "{\"method\":\"x.y.Z\",\"parameters\":{},\"more\":true}");
    for (int i = 1; i <= 3; i++) {
        peer_send("{\"parameters\":{\"text\":\"m\"},\"continues\":true}");
        peer_turn();
        CHECK_INT(seen.replies, i);
        CHECK(seen.more);
    }
    peer_send("{\"parameters\":null}");
    peer_turn();
    CHECK_INT(seen.replies, 4);
    CHECK(!seen.more);
    peer_stop();
}

/* A reply gets through while a request of the peer is in hand. */
static void test_crossing(void)
{
    start();
    peer_send("{\"method\":\"org.example.test.Hold\"}");
    peer_turn();
    CHECK(peer.held);
    CHECK_INT(call("x.y.Z", false), 0);
    CHECK(strstr(peer_receive(), "x.y.Z"));
    peer_send("{\"parameters\":{\"text\":\"crossed\"}}");
    peer_turn();
    CHECK_TEXT(seen.text, "crossed");
    call_reply(take_ptr(peer.held), NULL, NULL, 0);
    CHECK_TEXT(peer_receive(), "{\"parameters\":{}}");
    peer_stop();
}

static void test_limits(void)
{
    OWN(mem) char *text = alloc_zero(1, CONN_MESSAGE_MAX);
    int fds[CONN_FDS_MAX + 1] = {0};
    int bad = -1;

    start();
    memset(text, 'x', CONN_MESSAGE_MAX - 1);
    CHECK_INT(conn_call(peer.conn, "x.y.Z", json_pack("{s:s}", "text", text), NULL, 0, false,
                        reply_seen, &seen),
              -EMSGSIZE);
    CHECK_INT(conn_call(peer.conn, "x.y.Z", NULL, fds, ARRAY_SIZE(fds), false, reply_seen, &seen),
              -E2BIG);
    CHECK_INT(conn_call(peer.conn, "x.y.Z", NULL, &bad, 1, false, reply_seen, &seen), -EBADF);
    for (int i = 0; i < CONN_PENDING_MAX; i++)
        CHECK_INT(call("x.y.Z", false), 0);
    CHECK_INT(call("x.y.Z", false), -EBUSY);
    CHECK_INT(conn_call(peer.conn, "x.y.Oneway", NULL, NULL, 0, false, NULL, NULL), 0);
    for (int i = 0; i < CONN_PENDING_MAX; i++)
        CHECK(strstr(peer_receive(), "x.y.Z"));
    CHECK_TEXT(peer_receive(), "{\"method\":\"x.y.Oneway\",\"parameters\":{},\"oneway\":true}");
    CHECK_INT(seen.errors, 0);
    fd_close(&peer.fd);
    peer_turn();
    CHECK_INT(seen.errors, CONN_PENDING_MAX); /* all, before closed */
    CHECK_TEXT(seen.error.reason, "test ended the connection before it answered");
    CHECK_INT(peer.closed, 1);
    peer_stop();
}

/* Requests that pile up unread end the connection, from the loop and not from conn_call(). */
static void test_stalled(void)
{
    OWN(mem) char *text = alloc_zero(1, 65536);
    int r, calls = 0;

    memset(text, 'x', 65535);
    start();
    do
        r = conn_call(peer.conn, "x.y.Z", json_pack("{s:s}", "text", text), NULL, 0, false, NULL,
                      NULL);
    while (r == 0 && ++calls < 1000);
    CHECK_INT(r, -ENOBUFS);
    CHECK_INT(peer.closed, 0);
    peer_turn();
    CHECK_INT(peer.closed, 1);
    CHECK_INT(peer.error, -ENOBUFS);
    peer_stop();
}

/* The peer's last words count, though writing to it failed before they were read. */
static void test_last_words(void)
{
    start();
    CHECK_INT(call("x.y.Z", false), 0);
    CHECK(strstr(peer_receive(), "x.y.Z"));
    peer_send("{\"parameters\":{\"text\":\"last\"}}");
    peer_send("{\"method\":\"org.example.test.Echo\"}");
    fd_close(&peer.fd);
    CHECK_INT(conn_call(peer.conn, "x.y.Z", NULL, NULL, 0, false, NULL, NULL), -EPIPE);
    peer_turn();
    CHECK_TEXT(seen.text, "last");
    CHECK_INT(peer.handled, 0); /* a request that can't be answered is not served */
    CHECK_INT(peer.closed, 1);
    CHECK_INT(peer.error, -EPIPE);
    peer_stop();
}

/* Freed by the callback of a reply, of one of several, and of the error at the end. */
static void test_free_in_reply(void)
{
    static const char *const replies[] = {
        "{\"parameters\":{}}",
        "{\"parameters\":{},\"continues\":true}",
        ERROR("a.b.Failed", "{}"),
        NULL,
    };

    for (size_t i = 0; i < ARRAY_SIZE(replies); i++) {
        start();
        CHECK_INT(call("x.y.A", true), 0);
        CHECK_INT(call("x.y.B", false), 0);
        seen.free = peer.conn;
        if (replies[i])
            peer_send(replies[i]);
        else
            fd_close(&peer.fd);
        peer_turn();
        CHECK_INT(seen.replies + seen.errors, 1); /* B was dropped silently */
        CHECK_INT(peer.closed, 0);
        peer_stop();
    }
}

static void test_finished(void)
{
    start();
    conn_finish(peer.conn);
    CHECK_INT(call("x.y.Z", false), -ENOTCONN);
    CHECK_TEXT(peer_receive(), "EOF");
    peer_stop();
}

static const struct test tests[] = {
    {"calls, fds and errors between two connections", test_both_ends},
    {"errors of the wire as struct error", test_errors},
    {"a wrong reply ends the connection and fails the call", test_wrong_replies},
    {"an error nobody asked for is not answered", test_unasked_error},
    {"several replies to one call", test_more},
    {"a reply passes a request in hand", test_crossing},
    {"limits of calls, and calls that end with the connection", test_limits},
    {"calls a peer never reads end the connection from the loop", test_stalled},
    {"a reply sent before the peer closed still arrives", test_last_words},
    {"a reply callback frees the connection", test_free_in_reply},
    {"no call on a finished connection", test_finished},
};

TEST_MAIN(tests)
