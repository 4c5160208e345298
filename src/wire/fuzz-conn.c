/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes to a connection, in pieces of any size, with fds beside any of them: nothing crashes,
 * no fd and no memory stays, and the connection is over when its peer is gone. The first byte of
 * the input is the size of a piece (0: all at once), the second says by its bits: 0-2  every so
 * many pieces carry fds (0: none) 3-4  how many: 1, 2, 40 or 41 (one too many) 5    a call of our
 * own waits for a reply 6    that call takes several replies 7    the peer reads nothing
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/test-fds.h"
#include "wire/conn.h"
#include "wire/fds.h"
#include "wire/idl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition) \
    do {                   \
        if (!(condition))  \
            abort();       \
    } while (0)

static const char definition[] =
    "interface a.b\n"
    "type T (t: ?T, m: [string]int, e: (x, y))\n"
    "method E(s: ?string, t: ?T, a: ?[]float, b: ?bool, o: ?object) -> ()\n"
    "method H() -> ()\n"
    "method F() -> ()\n";

/* One byte more than a connection takes, sent by hand. */
#define FDS_TOO_MANY (CONN_FDS_MAX + 1)

struct state {
    struct loop loop;
    struct conn *conn;
    struct call *held;
    int peer, closed;
};

static void echo(struct call *call)
{
    int fd = call_take_fd(call, 0);

    call_reply(call, json_incref(call_parameters(call)), &fd, fd >= 0);
    own_fd(&fd);
}

static void gone(struct call *call, void *context)
{
    struct state *state = context;

    REQUIRE(!call_conn(call) && call == state->held);
    state->held = NULL;
    call_drop(call);
}

/* Held until the next turn without input. */
static void hold(struct call *call)
{
    struct state *state = conn_owner(call_conn(call));

    REQUIRE(!state->held);
    state->held = call;
    call_on_gone(call, gone, state);
    if (call_wants_more(call))
        call_continue(call, NULL);
}

static void finish(struct call *call)
{
    conn_finish(call_conn(call));
    call_reply(call, NULL, NULL, 0);
}

static const struct method methods[] = {
    {.name = "E", .handle = echo, .fds_max = CONN_FDS_MAX},
    {.name = "H", .handle = hold, .fds_max = 1},
    {.name = "F", .handle = finish},
    {0},
};

static void replied(void *context, json_t *reply, int *fds, size_t fd_count, bool more,
                    const struct error *error)
{
    (void)context;
    REQUIRE(!reply == !!error);
    REQUIRE(!error || (error->code < 0 && error->id && !more));
    if (fd_count > 1)
        fd_close(&fds[1]);
}

static void closed(struct conn *conn, int error)
{
    struct state *state = conn_owner(conn);

    REQUIRE(error <= 0);
    REQUIRE(conn == state->conn);
    state->closed++;
    state->conn = NULL;
    conn_free(conn);
}

/* CONN_FDS_MAX of them fit into a struct fds; the one too many needs its own message header. */
static void piece_send(int peer, const uint8_t *data, size_t size, size_t fd_count)
{
    char control[CMSG_SPACE(sizeof(int) * FDS_TOO_MANY)] __attribute__((aligned(8))) = {0};
    struct iovec bytes = {.iov_base = (void *)data, .iov_len = size};
    struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1};

    if (fd_count > 0) {
        struct cmsghdr *rights = (struct cmsghdr *)control;

        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        *rights = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        rights->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        for (size_t i = 0; i < fd_count; i++)
            memcpy(CMSG_DATA(rights) + i * sizeof(int), &(int){STDERR_FILENO}, sizeof(int));
    }
    /* A connection that ended does not take it: also a result. */
    sendmsg(peer, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void turn(struct state *state, bool reads)
{
    char waste[4096];
    struct fds fds;

    REQUIRE(loop_turn(&state->loop, 0) == 0);
    while (reads && fds_receive(state->peer, waste, sizeof(waste), &fds) > 0)
        fds_close(&fds);
}

static void feed(struct state *state, uint8_t piece, uint8_t how, const uint8_t *data, size_t size)
{
    static const size_t counts[] = {1, 2, CONN_FDS_MAX, FDS_TOO_MANY};
    size_t every = how & 7, fd_count = counts[how >> 3 & 3];

    for (size_t done = 0, index = 1; done < size; index++) {
        size_t length = piece && piece < size - done ? piece : size - done;

        piece_send(state->peer, data + done, length, every && index % every == 0 ? fd_count : 0);
        done += length;
        turn(state, !(how & 0x80));
        if (state->held && index % 4 == 0) {
            struct call *call = take_ptr(state->held);

            call_reply(call, NULL, NULL, 0);
        }
    }
}

static void connect_state(struct state *state, struct interface *const *interfaces)
{
    int ends[2];

    REQUIRE(loop_init(&state->loop) == 0);
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    state->peer = ends[1];
    REQUIRE(conn_new(&state->loop, ends[0], "fuzz", interfaces, state, closed, &state->conn) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct interface *interfaces[2] = {NULL, NULL};
    struct state state = {0};
    int before = fds_open();

    if (size < 2)
        return 0;
    REQUIRE(interface_new(definition, methods, &interfaces[0], NULL) == 0);
    connect_state(&state, interfaces);
    if (data[1] & 0x20)
        conn_call(state.conn, "c.d.E", NULL, NULL, 0, data[1] & 0x40, replied, NULL);
    feed(&state, data[0], data[1], data + 2, size - 2);
    close(state.peer);
    state.peer = -1;
    for (int i = 0; !state.closed && i < 100000; i++)
        REQUIRE(loop_turn(&state.loop, 0) == 0);
    REQUIRE(state.closed == 1 && !state.conn && !state.held);
    interface_free(interfaces[0]);
    loop_done(&state.loop);
    REQUIRE(fds_open() == before);
    return 0;
}
