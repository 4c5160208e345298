/* SPDX-License-Identifier: Apache-2.0 */
/* Joined sockets over loopback TCP: here-[a b]-there; a and b belong to the pair. */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>

#include "base/test-fds.h"
#include "base/test.h"
#include "uplink/pipes.h"
#include "uplink/splice.h"

static struct loop loop;
static struct splice *pair;
static int ended, here, there;

static void pair_ended(void *context)
{
    CHECK(context == &ended);
    ended++;
}

static void connected(int *ret_client, int *ret_server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    OWN(fd) int listener = socket(AF_INET, SOCK_STREAM, 0);

    CHECK(bind(listener, (struct sockaddr *)&address, size) == 0 && listen(listener, 1) == 0);
    CHECK(getsockname(listener, (struct sockaddr *)&address, &size) == 0);
    *ret_client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(connect(*ret_client, (struct sockaddr *)&address, size) == 0);
    *ret_server = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    CHECK(*ret_server >= 0);
}

static void begin(void)
{
    int a, b, on = 1;

    CHECK_INT(loop_init(&loop), 0);
    connected(&here, &a);
    connected(&there, &b);
    setsockopt(a, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
    ended = 0;
    CHECK_INT(splice_join(&loop, a, b, pair_ended, &ended, &pair), 0);
}

static void end(void)
{
    fd_close(&here);
    fd_close(&there);
    loop_done(&loop);
    pipes_close();
}

static void turn(int times)
{
    while (times-- > 0)
        CHECK_INT(loop_turn(&loop, 5), 0);
}

/* Waits, running the loop, for count bytes, the end of file (0) or an error (negative errno). */
static ssize_t get(int fd, char *data, size_t count)
{
    size_t got = 0;

    for (int tries = 0; tries < 2000 && got < count; tries++) {
        ssize_t n = recv(fd, data + got, count - got, MSG_DONTWAIT);

        if (n == 0)
            break;
        if (n < 0 && errno != EAGAIN)
            return -errno;
        if (n > 0)
            got += (size_t)n;
        else
            turn(1);
    }
    return (ssize_t)got;
}

static void bytes_and_ends_pass_both_ways(void)
{
    char data[16];

    begin();
    CHECK_INT(send(here, "question", 8, 0), 8);
    CHECK_INT(shutdown(here, SHUT_WR), 0);
    CHECK_INT(get(there, data, 16), 8); /* 16: up to the end of file */
    CHECK(memcmp(data, "question", 8) == 0);
    CHECK_INT(send(there, "answer", 6, 0), 6); /* half closed */
    CHECK_INT(get(here, data, 6), 6);
    CHECK_INT(ended, 0);
    CHECK_INT(shutdown(there, SHUT_WR), 0);
    CHECK_INT(get(here, data, 16), 0);
    turn(3);
    CHECK_INT(ended, 1);
    end();
}

static void the_other_way_round(void)
{
    char data[16];

    begin();
    CHECK_INT(shutdown(there, SHUT_WR), 0);
    CHECK_INT(get(here, data, 1), 0);
    CHECK_INT(send(here, "late", 4, 0), 4);
    CHECK_INT(get(there, data, 4), 4);
    fd_close(&here);
    CHECK_INT(get(there, data, 1), 0);
    turn(3);
    CHECK_INT(ended, 1);
    end();
}

static void reset_follows_the_bytes(void)
{
    char data[16];
    int fd;

    for (int side = 0; side < 2; side++) {
        begin();
        fd = side ? there : here;
        CHECK_INT(send(fd, "last", 4, 0), 4);
        turn(1);
        splice_reset(fd);
        *(side ? &there : &here) = -1;
        CHECK_INT(get(side ? here : there, data, 4), 4);
        CHECK_INT(get(side ? here : there, data, 1), -ECONNRESET);
        CHECK_INT(ended, 1);
        end();
    }
}

static void reset_reaches_a_half_closed_one(void)
{
    char data[16];

    begin();
    CHECK_INT(shutdown(there, SHUT_WR), 0);
    CHECK_INT(get(here, data, 1), 0);
    splice_reset(take_fd(&there));
    turn(5);
    CHECK_INT(ended, 1);
    CHECK(send(here, "x", 1, MSG_NOSIGNAL) < 0);
    end();
}

/* The writer is stopped by a reader that does not read, and nothing is lost or changed. */
static void slow_reader(void)
{
    static char chunk[1 << 16], got[1 << 16];
    size_t sent = 0, received = 0;
    int still = 0;
    ssize_t n;

    for (size_t i = 0; i < sizeof(chunk); i++)
        chunk[i] = (char)(i * 7);
    begin();
    while (still < 20) {
        size_t at = sent % sizeof(chunk);

        n = send(here, chunk + at, sizeof(chunk) - at, MSG_DONTWAIT);
        still = n > 0 ? 0 : still + 1;
        sent += n > 0 ? (size_t)n : 0;
        turn(1);
    }
    CHECK(sent > sizeof(chunk) && sent < (256 << 20));
    CHECK_INT(shutdown(here, SHUT_WR), 0);
    while ((n = get(there, got, sizeof(got))) > 0) {
        for (ssize_t i = 0; i < n; i++)
            CHECK(got[i] == chunk[(received + (size_t)i) % sizeof(chunk)]);
        received += (size_t)n;
    }
    CHECK_INT(n, 0);
    CHECK_INT(received, sent);
    splice_free(pair);
    end();
}

/* Fills the way to `there` until the pair holds bytes that it can't get rid of. */
static void stuff(void)
{
    static char chunk[1 << 16];
    int small = 4096, still = 0;

    setsockopt(there, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    while (still < 10) {
        still = send(here, chunk, sizeof(chunk), MSG_DONTWAIT) > 0 ? 0 : still + 1;
        turn(1);
    }
}

static void reset_while_stuck(void)
{
    for (int side = 0; side < 2; side++) {
        begin();
        stuff();
        splice_reset(take_fd(side ? &there : &here));
        for (int i = 0; i < 200 && !ended; i++)
            turn(1);
        CHECK_INT(ended, 1);
        end();
    }
}

/* A stuck pair whose writer has gone in both directions must not keep the loop busy. */
static void stuck_is_quiet(void)
{
    char data[1];
    int turns = 0;
    uint64_t start;

    begin();
    CHECK_INT(shutdown(there, SHUT_WR), 0);
    CHECK_INT(get(here, data, 1), 0);
    stuff();
    fd_close(&here);
    turn(5);
    start = clock_ms();
    for (; clock_ms() - start < 100; turns++)
        CHECK_INT(loop_turn(&loop, 20), 0);
    CHECK(turns < 20);
    CHECK_INT(ended, 0);
    splice_free(pair);
    end();
}

static void urgent_bytes_stay_in_line(void)
{
    char data[16] = "";

    begin();
    CHECK_INT(send(here, "ab!", 3, MSG_OOB), 3); /* '!' is the urgent one */
    CHECK_INT(send(here, "cd", 2, 0), 2);
    CHECK_INT(shutdown(here, SHUT_WR), 0);
    CHECK_INT(get(there, data, 16), 5);
    CHECK_TEXT(data, "ab!cd");
    splice_free(pair);
    end();
}

static void idle_pairs_own_no_pipe(void)
{
    char data[4];
    int before, with_pool;

    begin();
    before = fds_open();
    CHECK_INT(send(here, "ping", 4, 0), 4);
    CHECK_INT(get(there, data, 4), 4);
    CHECK_INT(send(there, "pong", 4, 0), 4);
    CHECK_INT(get(here, data, 4), 4);
    with_pool = fds_open();
    CHECK_INT(with_pool, before + 2); /* one pipe, free again */
    pipes_close();
    CHECK_INT(fds_open(), before);
    splice_free(pair);
    CHECK_INT(fds_open(), before - 2);
    CHECK_INT(recv(here, data, 1, 0), -1);
    CHECK_INT(ended, 0);
    end();
}

static void nothing_is_left(void)
{
    int before = fds_open();
    char data[4];

    for (int i = 0; i < 200; i++) {
        begin();
        CHECK_INT(send(here, "ping", 4, 0), 4);
        CHECK_INT(get(there, data, 4), 4);
        if (i % 2)
            splice_reset(take_fd(&here));
        else
            fd_close(&here);
        fd_close(&there);
        for (int k = 0; k < 50 && !ended; k++)
            turn(1);
        CHECK_INT(ended, 1);
        end();
    }
    CHECK_INT(fds_open(), before);
}

static void pipes_are_limited_and_shared(void)
{
    struct pipe *first = pipes_borrow(), *many[300], *small;

    CHECK(first && first->capacity >= 4096);
    pipes_return(first);
    CHECK(pipes_borrow() == first);
    for (size_t i = 0; i < ARRAY_SIZE(many); i++)
        CHECK((many[i] = pipes_borrow()) != NULL);
    small = many[ARRAY_SIZE(many) - 1];
    CHECK(small->capacity <= 4096);
    for (size_t i = 0; i < ARRAY_SIZE(many); i++)
        pipes_return(many[i]);
    pipes_discard(first);
    pipes_close();
}

static const struct test tests[] = {
    {"bytes and ends of file pass, each way by itself", bytes_and_ends_pass_both_ways},
    {"the server may close first", the_other_way_round},
    {"a reset follows the bytes before it, both ways", reset_follows_the_bytes},
    {"a reset reaches a side that is half closed", reset_reaches_a_half_closed_one},
    {"a slow reader stops the writer and loses nothing", slow_reader},
    {"a reset is seen while the pair is stuck", reset_while_stuck},
    {"a stuck pair keeps quiet", stuck_is_quiet},
    {"urgent bytes stay in line", urgent_bytes_stay_in_line},
    {"an idle pair owns no pipe", idle_pairs_own_no_pipe},
    {"no descriptor is left", nothing_is_left},
    {"few pipes are large", pipes_are_limited_and_shared},
};

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    return test_main(tests, ARRAY_SIZE(tests));
}
