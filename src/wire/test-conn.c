/* SPDX-License-Identifier: Apache-2.0 */
/* The serving side of a connection: bytes in pieces, fds, order, and peers that vanish or stall. */
#include <fcntl.h>

#include "base/alloc.h"
#include "wire/test-peer.h"

#define METHOD(name) "{\"method\":\"org.example.test." name "\"}"
#define MORE(name)   "{\"method\":\"org.example.test." name "\",\"more\":true}"
#define ECHO(text)   "{\"method\":\"org.example.test.Echo\",\"parameters\":{\"text\":\"" text "\"}}"
#define ECHOED(text) "{\"parameters\":{\"text\":\"" text "\"}}"

/* Two fds that can be told apart. */
static void pipe_make(struct fds *ret_fds)
{
    int ends[2];

    CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
    *ret_fds = (struct fds){.count = 2, .fd = {ends[0], ends[1]}};
}

/* What was read from the pipe's first fd after a byte was written to its second. */
static void pipe_check(const struct fds *ends)
{
    char byte = 0;

    CHECK_INT(ends->count, 2);
    CHECK_INT(write(ends->fd[1], "x", 1), 1);
    CHECK_INT(read(ends->fd[0], &byte, 1), 1);
    CHECK_INT(byte, 'x');
    CHECK(fcntl(ends->fd[0], F_GETFD) & FD_CLOEXEC);
}

static void test_bytes(void)
{
    const char text[] = METHOD("Swap");
    struct fds sent, got = FDS_NULL;

    peer_start();
    pipe_make(&sent);
    for (size_t i = 0; i < sizeof(text); i++) {
        peer_send_bytes(text + i, 1, i == 0 ? &sent : NULL);
        peer_turn();
        CHECK_INT(peer.handled, i + 1 == sizeof(text));
    }
    CHECK_TEXT(peer_receive_fds(&got), "{\"parameters\":{\"count\":2}}");
    fds_close(&sent);
    /* Swapped: the second is now the reading end. */
    sent = (struct fds){.count = got.count, .fd = {got.fd[1], got.fd[0]}};
    pipe_check(&sent);
    fds_close(&got);
    peer_stop();
}

/* Messages that arrive in one go, with fds beside the second and the last of them. */
static void test_fds_of_their_message(void)
{
    struct fds first, second, got = FDS_NULL;
    const char *text = METHOD("Swap");

    peer_start();
    pipe_make(&first);
    pipe_make(&second);
    second.count = 1;
    peer_send(ECHO("a"));
    peer_send_bytes(text, strlen(text) + 1, &first);
    peer_send(ECHO("b"));
    peer_send_bytes(text, strlen(text) + 1, &second);
    second.count = 2;
    CHECK_TEXT(peer_receive(), ECHOED("a"));
    CHECK_TEXT(peer_receive_fds(&got), "{\"parameters\":{\"count\":2}}");
    fds_close(&got);
    CHECK_TEXT(peer_receive(), ECHOED("b"));
    CHECK_TEXT(peer_receive_fds(&got), "{\"parameters\":{\"count\":1}}");
    fds_close(&got);
    fds_close(&first);
    fds_close(&second);
    peer_stop();
}

/* fds with the first half of a message, read together with the whole message before it. */
static void test_fds_of_half_a_message(void)
{
    const char text[] = METHOD("Swap");
    struct fds sent, got = FDS_NULL;

    peer_start();
    pipe_make(&sent);
    peer_send(ECHO("a"));
    peer_send_bytes(text, 10, &sent);
    CHECK_TEXT(peer_receive(), ECHOED("a"));
    peer_send_bytes(text + 10, sizeof(text) - 10, NULL);
    CHECK_TEXT(peer_receive_fds(&got), "{\"parameters\":{\"count\":2}}");
    fds_close(&got);
    fds_close(&sent);
    peer_stop();
}

/* Longer than a socket takes at once: the fds go with the first byte and only there. */
static void test_fds_of_a_long_reply(void)
{
    OWN(mem) char *text = alloc_zero(1, CONN_MESSAGE_MAX - 100);
    struct fds got = FDS_NULL;
    int fd = 0;

    memset(text, 'x', CONN_MESSAGE_MAX - 101);
    peer_start();
    peer_send(METHOD("Hold"));
    peer_turn();
    call_reply(take_ptr(peer.held), json_pack("{s:s}", "text", text), &fd, 1);
    CHECK_INT(strlen(peer_receive_fds(&got)), strlen(text) + strlen(ECHOED("")));
    CHECK_INT(got.count, 1);
    fds_close(&got);
    peer_stop();
}

/* Requests wait for the call before them, however that ends. */
static void test_order(void)
{
    peer_start();
    peer_send(METHOD("Hold"));
    peer_send(ECHO("1"));
    peer_send(ECHO("2"));
    CHECK_TEXT(peer_receive(), "");
    peer_send("no JSON");
    CHECK_TEXT(peer_receive(), "");
    CHECK_INT(peer.handled, 1);
    call_reply(take_ptr(peer.held), json_pack("{s:s}", "text", "0"), NULL, 0);
    CHECK_INT(peer.handled, 1); /* the next handler runs from the loop, not from call_reply() */
    CHECK_TEXT(peer_receive(), ECHOED("0"));
    CHECK_TEXT(peer_receive(), ECHOED("1"));
    CHECK_TEXT(peer_receive(), ECHOED("2"));
    CHECK(strstr(peer_receive(), "org.varlink.service.InvalidParameter"));
    CHECK_TEXT(peer_receive(), "EOF");
    peer_stop();
}

static void test_oneway(void)
{
    peer_start();
    peer_send("{\"method\":\"org.example.test.Echo\",\"oneway\":true}");
    peer_send("{\"method\":\"org.example.test.Fail\",\"oneway\":true}");
    peer_send(ECHO("a"));
    CHECK_TEXT(peer_receive(), ECHOED("a"));
    CHECK_INT(peer.handled, 3);
    peer_stop();
}

static void test_stream(void)
{
    peer_start();
    peer_send(MORE("Hold"));
    peer_turn();
    CHECK(call_wants_more(peer.held));
    for (int i = 0; i < 3; i++) {
        CHECK_INT(call_continue(peer.held, json_pack("{s:i}", "n", i)), 0);
        CHECK(strstr(peer_receive(), "\"continues\":true"));
    }
    call_reply(take_ptr(peer.held), NULL, NULL, 0);
    CHECK_TEXT(peer_receive(), "{\"parameters\":{}}");
    peer_send(METHOD("Hold"));
    peer_turn();
    CHECK_INT(call_continue(peer.held, NULL), -EINVAL);
    peer_stop();
}

/* After every byte of a request with fds. Whole requests were taken up before the end was seen. */
static void test_vanish_while_sending(void)
{
    const char text[] = METHOD("Swap");

    for (size_t size = 0; size <= sizeof(text); size++)
        for (int turn = 0; turn < 2; turn++) {
            struct fds fds;

            peer_start();
            pipe_make(&fds);
            if (size > 0)
                peer_send_bytes(text, size, &fds);
            fds_close(&fds);
            if (turn)
                peer_turn();
            fd_close(&peer.fd);
            peer_turn();
            CHECK_INT(peer.handled, size == sizeof(text));
            CHECK_INT(peer.closed, 1);
            CHECK(!peer.conn);
            peer_stop();
        }
}

/* While a call is in hand, without and with a request behind it, half and whole. */
static void test_vanish_while_served(void)
{
    static const char *const behind[] = {"", "{", ECHO("a"), "no JSON"};

    for (size_t i = 0; i < ARRAY_SIZE(behind); i++)
        for (int half = 0; half < 2; half++) {
            peer_start();
            peer_send(METHOD("Hold"));
            peer_send_bytes(behind[i], strlen(behind[i]) + (i > 1), NULL);
            peer_turn();
            CHECK_INT(peer.gone, 0);
            if (half)
                shutdown(peer.fd, SHUT_WR);
            else
                fd_close(&peer.fd);
            peer_turn();
            CHECK_INT(peer.gone, 1);
            CHECK_INT(peer.closed, 1);
            CHECK_INT(peer.error, 0);
            CHECK(!call_conn(peer.held));
            call_reply(take_ptr(peer.held), NULL, NULL, 0);
            CHECK_INT(peer.handled, 1);
            peer_stop();
        }
}

/* An orphan of a stream is told by errno, and fails, replies and drops all the same. */
static void test_orphans(void)
{
    struct error error;

    error_set(&error, -EIO, NULL, "no matter");
    for (int end = 0; end < 3; end++) {
        peer_start();
        peer_send(MORE("Hold"));
        peer_turn();
        conn_free(take_ptr(peer.conn));
        CHECK_INT(peer.gone, 0);
        CHECK_INT(call_continue(peer.held, NULL), -ENOTCONN);
        if (end == 0)
            call_reply(take_ptr(peer.held), NULL, NULL, 0);
        else if (end == 1)
            call_fail(take_ptr(peer.held), &error);
        peer_stop(); /* drops */
    }
}

/* Replies to a closed socket: the failing write is told once, by the loop. */
static void test_vanish_before_reply(void)
{
    peer_start();
    peer_send(MORE("Hold"));
    peer_turn();
    fd_close(&peer.fd);
    CHECK_INT(call_continue(peer.held, NULL), -EPIPE);
    CHECK_INT(call_continue(peer.held, NULL), -EPIPE);
    CHECK_INT(peer.closed, 0);
    call_drop(take_ptr(peer.held));
    peer_turn();
    CHECK_INT(peer.gone, 0);
    CHECK_INT(peer.closed, 1);
    CHECK_INT(peer.error, -EPIPE);
    peer_stop();
}

/* Queues more than the socket takes and less than the limit. Returns how many messages. */
static int stream_queue(void)
{
    OWN(mem) char *text = alloc_zero(1, 65536);
    int count = 16;

    memset(text, 'x', 65535);
    peer_send(MORE("Hold"));
    peer_turn();
    for (int i = 0; i < count; i++)
        CHECK_INT(call_continue(peer.held, json_pack("{s:s}", "text", text)), 0);
    return count;
}

static void test_late_reader(void)
{
    int count;

    peer_start();
    count = stream_queue();
    call_reply(take_ptr(peer.held), NULL, NULL, 0);
    for (int i = 0; i < count; i++)
        CHECK(strlen(peer_receive()) > 65535);
    CHECK_TEXT(peer_receive(), "{\"parameters\":{}}");
    CHECK_TEXT(peer_receive(), "");
    peer_stop();
}

/* A stream nobody reads ends at CONN_OUT_MAX, from the loop. */
static void test_stalled_stream(void)
{
    OWN(mem) char *text = alloc_zero(1, 65536);
    size_t queued = 0;
    int r;

    memset(text, 'x', 65535);
    peer_start();
    peer_send(MORE("Hold"));
    peer_turn();
    do {
        r = call_continue(peer.held, json_pack("{s:s}", "text", text));
        queued += 65536;
        peer_turn();
    } while (r == 0 && queued < 8 * CONN_OUT_MAX);
    CHECK_INT(r, -ENOBUFS);
    CHECK(queued >= CONN_OUT_MAX && queued < 2 * CONN_OUT_MAX);
    CHECK_INT(peer.closed, 1);
    CHECK_INT(peer.error, -ENOBUFS);
    CHECK_INT(peer.gone, 1);
    peer_stop();
}

/* A peer that sends requests and reads nothing stops being served, loses nothing, and goes on. */
static void test_stalled_peer(void)
{
    char request[2048], expected[2048];
    const struct fds none = FDS_NULL;
    int sent = 0, stalled;
    ssize_t r;

    peer_start();
    do {
        snprintf(request, sizeof(request), ECHO("%01000d"), sent);
        r = fds_send(peer.fd, request, strlen(request) + 1, &none);
        CHECK(r == -EAGAIN || r == (ssize_t)strlen(request) + 1);
        sent += r > 0;
        peer_turn();
    } while (r > 0);
    stalled = peer.handled;
    peer_turn();
    CHECK(stalled > 10 && stalled < sent);
    CHECK_INT(peer.handled, stalled);
    for (int i = 0; i < sent; i++) {
        snprintf(expected, sizeof(expected), ECHOED("%01000d"), i);
        CHECK_TEXT(peer_receive(), expected);
    }
    CHECK_INT(peer.handled, sent);
    CHECK_INT(peer.closed, 0);
    peer_stop();
}

/* A reply too long for the wire becomes an error; the connection goes on. */
static void test_long_reply(void)
{
    OWN(mem) char *text = alloc_zero(1, CONN_MESSAGE_MAX);

    memset(text, 'x', CONN_MESSAGE_MAX - 1);
    peer_start();
    peer_send(METHOD("Hold"));
    peer_turn();
    call_reply(take_ptr(peer.held), json_pack("{s:s}", "text", text), NULL, 0);
    CHECK_TEXT(peer_receive(), "{\"error\":\"org.example.test.Failed\",\"parameters\":{\"reason\":"
                               "\"the reply can't be sent: Message too long\"}}");
    peer_send(ECHO("a"));
    CHECK_TEXT(peer_receive(), ECHOED("a"));
    peer_stop();
}

/* fds that can't be duplicated, and texts that are not UTF-8. */
static void test_bad_reply(void)
{
    struct error error;
    int bad = -1;

    peer_start();
    peer_send(METHOD("Hold"));
    peer_turn();
    call_reply(take_ptr(peer.held), NULL, &bad, 1);
    CHECK(strstr(peer_receive(), "the reply can't be sent: Bad file descriptor"));
    peer_send(METHOD("Hold"));
    peer_turn();
    error_set(&error, -EIO, NULL, "cut \xc3");
    error_hint(&error, "wrong \xff byte");
    call_fail(take_ptr(peer.held), &error);
    CHECK_TEXT(peer_receive(), "{\"error\":\"org.example.test.Failed\",\"parameters\":{\"reason\":"
                               "\"cut \",\"hint\":\"wrong ? byte\"}}");
    peer_stop();
}

static void test_finish(void)
{
    peer_start();
    peer_send(METHOD("Finish"));
    peer_send(ECHO("a"));
    CHECK_TEXT(peer_receive(), "{\"parameters\":{}}");
    CHECK_TEXT(peer_receive(), "EOF");
    CHECK_INT(peer.handled, 1);
    CHECK_INT(peer.closed, 1);
    CHECK_INT(peer.error, 0);
    peer_stop();
}

/* What was queued is still written, what comes is not taken up. */
static void test_finish_late_reader(void)
{
    int count;

    peer_start();
    count = stream_queue();
    call_reply(take_ptr(peer.held), NULL, NULL, 0);
    conn_finish(peer.conn);
    peer_send(ECHO("a"));
    peer_turn();
    CHECK_INT(peer.closed, 0);
    for (int i = 0; i < count; i++)
        CHECK(strlen(peer_receive()) > 65535);
    CHECK_TEXT(peer_receive(), "{\"parameters\":{}}");
    CHECK_TEXT(peer_receive(), "EOF");
    CHECK_INT(peer.handled, 1);
    CHECK_INT(peer.error, 0);
    peer_stop();
}

/* Finished with a call in hand: its holder is told. */
static void test_finish_served(void)
{
    peer_start();
    peer_send(METHOD("Hold"));
    peer_turn();
    conn_finish(peer.conn);
    CHECK_INT(peer.gone, 0);
    CHECK_TEXT(peer_receive(), "EOF");
    CHECK_INT(peer.gone, 1);
    CHECK_INT(peer.closed, 1);
    peer_stop();
}

static void test_free_in_handler(void)
{
    peer_start();
    peer_send(METHOD("Free"));
    peer_send(ECHO("a"));
    CHECK_TEXT(peer_receive(), "EOF");
    CHECK_INT(peer.handled, 1);
    CHECK_INT(peer.closed, 0);
    conn_free(NULL);
    peer_stop();
}

static void test_no_socket(void)
{
    struct conn *conn = NULL;
    int ends[2];

    peer_start();
    CHECK_INT(pipe2(ends, O_CLOEXEC), 0);
    CHECK_INT(conn_new(&peer.loop, ends[0], "pipe", NULL, NULL, peer_closed, &conn), -ENOTSOCK);
    CHECK(!conn);
    CHECK_INT(fcntl(ends[0], F_GETFD), -1); /* taken, though it failed */
    close(ends[1]);
    peer_stop();
}

static const struct test tests[] = {
    {"a request in single bytes, fds with its first, and fds in the reply", test_bytes},
    {"fds belong to the message they were sent with", test_fds_of_their_message},
    {"fds belong to the message that began with them", test_fds_of_half_a_message},
    {"fds of a reply in several pieces go once", test_fds_of_a_long_reply},
    {"requests are served one by one, replies keep their order", test_order},
    {"a oneway request is served and not answered", test_oneway},
    {"a call with more goes on until its last reply", test_stream},
    {"a peer vanishes after each byte of a request", test_vanish_while_sending},
    {"a peer vanishes while its call is in hand", test_vanish_while_served},
    {"calls outlive their connection", test_orphans},
    {"a peer vanishes before the reply", test_vanish_before_reply},
    {"a stream read late loses nothing", test_late_reader},
    {"a stream nobody reads ends at its limit", test_stalled_stream},
    {"a peer that reads nothing is served no more, and later goes on", test_stalled_peer},
    {"a reply too long becomes an error", test_long_reply},
    {"fds and texts that can't be sent", test_bad_reply},
    {"a finished connection writes what is queued and ends", test_finish},
    {"a finished connection waits for a late reader", test_finish_late_reader},
    {"a finished connection tells the call in hand", test_finish_served},
    {"a handler frees its connection", test_free_in_handler},
    {"no connection over a pipe", test_no_socket},
};

TEST_MAIN(tests)
