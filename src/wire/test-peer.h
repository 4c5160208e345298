/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the tests of connections: one end of a socket pair is a connection that serves a small
 * interface, the other end is played by hand, byte by byte. peer_stop() proves that no fd is left.
 */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/test-fds.h"
#include "base/test.h"
#include "wire/conn.h"
#include "wire/fds.h"
#include "wire/idl.h"

static const char peer_interface_text[] = "interface org.example.test\n"
                                          "type Mode (one, two)\n"
                                          "type Box (mode: Mode, size: ?int)\n"
                                          "method Echo(text: ?string) -> (text: ?string)\n"
                                          "method Types(flag: ?bool, number: ?int, real: ?float,\n"
                                          "  mode: ?Mode, box: ?Box, list: ?[]Box,\n"
                                          "  map: ?[string]int, any: ?object) -> ()\n"
                                          "method Need(text: string) -> ()\n"
                                          "method Hold() -> ()\n"
                                          "method Swap() -> (count: int)\n"
                                          "method Fail(hint: ?string) -> ()\n"
                                          "method Finish() -> ()\n"
                                          "method Free() -> ()\n"
                                          "error Conflict(field: ?string, reason: string)\n";

static struct peer {
    struct loop loop;
    struct interface *interfaces[2];
    struct conn *conn;
    int fd;            /* the end played by hand */
    int fds_open;      /* before anything was opened */
    struct call *held; /* what Hold was called with, not ended */
    int gone;          /* calls of call_on_gone()'s callback */
    int closed, error; /* calls of the closed callback, and its error */
    int handled;       /* calls of any handler */
} peer;

static void peer_gone(struct call *call, void *context)
{
    CHECK(context == &peer);
    CHECK(!call_conn(call));
    peer.gone++;
}

static void peer_echo(struct call *call)
{
    peer.handled++;
    call_reply(call, json_incref(call_parameters(call)), NULL, 0);
}

static void peer_hold(struct call *call)
{
    peer.handled++;
    CHECK(!peer.held);
    peer.held = call;
    call_on_gone(call, peer_gone, &peer);
}

/* Gives the fds back in the other order. */
static void peer_swap(struct call *call)
{
    struct fds fds = {.count = call_fd_count(call)};

    peer.handled++;
    for (size_t i = 0; i < fds.count; i++)
        fds.fd[fds.count - 1 - i] = call_take_fd(call, i);
    CHECK_INT(call_take_fd(call, 0), -1);
    CHECK_INT(call_take_fd(call, fds.count), -1);
    call_reply(call, json_pack("{s:i}", "count", (int)fds.count), fds.fd, fds.count);
    fds_close(&fds);
}

static void peer_fail(struct call *call)
{
    const char *hint = json_string_value(json_object_get(call_parameters(call), "hint"));
    struct error error;

    peer.handled++;
    error_set(&error, -EEXIST, ERROR_CONFLICT, "taken");
    error_where(&error, "Fail.hint");
    error_hint(&error, "%s", hint ? hint : "");
    call_fail(call, &error);
}

static void peer_finish(struct call *call)
{
    peer.handled++;
    conn_finish(call_conn(call));
    call_reply(call, NULL, NULL, 0);
}

static void peer_free(struct call *call)
{
    peer.handled++;
    peer.conn = NULL;
    conn_free(call_conn(call));
    CHECK(!call_conn(call));
    call_reply(call, NULL, NULL, 0);
}

static const struct method peer_methods[] = {
    {.name = "Echo", .handle = peer_echo},
    {.name = "Types", .handle = peer_echo},
    {.name = "Need", .handle = peer_echo},
    {.name = "Hold", .handle = peer_hold},
    {.name = "Swap", .handle = peer_swap, .fds_min = 1, .fds_max = CONN_FDS_MAX},
    {.name = "Fail", .handle = peer_fail},
    {.name = "Finish", .handle = peer_finish},
    {.name = "Free", .handle = peer_free},
    {0},
};

static void peer_closed(struct conn *conn, int error)
{
    CHECK(conn == peer.conn);
    peer.closed++;
    peer.error = error;
    conn_free(conn);
    peer.conn = NULL;
}

static inline void peer_start(void)
{
    struct error error = {0};
    int ends[2];

    peer = (struct peer){.fds_open = fds_open()};
    CHECK_INT(loop_init(&peer.loop), 0);
    interface_new(peer_interface_text, peer_methods, &peer.interfaces[0], &error);
    CHECK_TEXT(error.reason, "");
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    peer.fd = ends[1];
    CHECK_INT(
        conn_new(&peer.loop, ends[0], "test", peer.interfaces, &peer, peer_closed, &peer.conn), 0);
    CHECK(conn_owner(peer.conn) == &peer);
    CHECK_INT(conn_peer(peer.conn)->pid, getpid());
}

static inline void peer_stop(void)
{
    if (peer.held)
        call_drop(take_ptr(peer.held));
    conn_free(take_ptr(peer.conn));
    fd_close(&peer.fd);
    interface_free(peer.interfaces[0]);
    loop_done(&peer.loop);
    CHECK_INT(fds_open(), peer.fds_open);
}

/* Delivers all that can be delivered now: each step takes a few turns at most. */
static inline void peer_turn(void)
{
    for (int i = 0; i < 8; i++)
        CHECK_INT(loop_turn(&peer.loop, 0), 0);
}

static inline void peer_send_bytes(const void *data, size_t size, const struct fds *fds)
{
    const struct fds none = FDS_NULL;

    CHECK_INT(fds_send(peer.fd, data, size, fds ? fds : &none), size);
}

/* With the NUL at its end. */
static inline void peer_send(const char *text)
{
    peer_send_bytes(text, strlen(text) + 1, NULL);
}

/* The next message as text without its NUL, "" when there is none, "EOF" at the end; turns first.
 * Static storage. */
static inline const char *peer_receive_fds(struct fds *ret_fds)
{
    static char text[CONN_MESSAGE_MAX];
    size_t size = 0;

    peer_turn();
    for (;; size++) {
        struct fds fds = FDS_NULL;
        ssize_t r = fds_receive(peer.fd, text + size, 1, &fds);

        if (r == -EAGAIN && size == 0)
            return "";
        if (r == 0 || r == -ECONNRESET)
            return "EOF";
        CHECK_INT(r, 1);
        if (size == 0)
            *ret_fds = fds;
        else
            CHECK_INT(fds.count, 0);
        if (text[size] == '\0')
            return text;
        if ((size + 1) % 4096 == 0)
            peer_turn();
    }
}

static inline const char *peer_receive(void)
{
    struct fds fds = FDS_NULL;
    const char *text = peer_receive_fds(&fds);

    CHECK_INT(fds.count, 0);
    return text;
}
