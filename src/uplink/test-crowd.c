/* SPDX-License-Identifier: Apache-2.0 */
/* Forwards when sockets run short, and that nothing of them is left. */
#include "uplink/test-forwards.h"

#include "base/test-fds.h"

static void test_starved(void)
{
    const struct forward_rule rules[] = {rule("127.0.0.1", 8080, "four", 80),
                                         rule_udp("127.0.0.1", 5300, "127.5.0.2", 53)};
    OWN(fd) int guest = server(SOCK_STREAM, "127.5.0.2", 80);
    OWN(fd) int guest_udp = server(SOCK_DGRAM, "127.5.0.2", 53);
    OWN(fd) int from = -1;
    OWN(fd) int from_udp = -1;
    OWN(fd) int to = -1;

    begin();
    set(rules, 2);
    starved = true;
    from = client(SOCK_STREAM, "127.0.0.1", 8080);
    from_udp = client(SOCK_DGRAM, "127.0.0.1", 5300);
    say(from, "x");
    say(from_udp, "held");
    settle();
    CHECK_INT(forwards->dials, 1);
    starved = false;
    forwards_resume(forwards);
    expect(guest_udp, "held");
    CHECK(readable(guest));
    to = accept(guest, NULL, NULL);
    expect(to, "x");
    CHECK_INT(forwards->dials, 0);
    end();
}

enum { CROWD = 1500 };

static void test_crowd(void)
{
    const struct forward_rule rules[] = {rule("127.0.0.1", 8080, "127.5.0.2", 80)};
    OWN(fd) int guest = server(SOCK_STREAM, "127.5.0.2", 80);
    static int from[CROWD];
    int before;

    begin();
    set(rules, 1);
    before = fds_open();
    starved = true;
    for (int i = 0; i < CROWD; i++)
        from[i] = client(SOCK_STREAM, "127.0.0.1", 8080);
    settle();
    settle();
    CHECK_INT(forwards->dials, FORWARD_DIALS_MAX);
    CHECK(forwards->paused);
    starved = false;
    for (int i = 0; i < CROWD; i++) {
        OWN(fd) int to = -1;

        CHECK(readable(guest));
        to = accept(guest, NULL, NULL);
        say(to, "y");
    }
    for (int i = 0; i < CROWD; i++) {
        expect(from[i], "y");
        fd_close(&from[i]);
    }
    for (int i = 0; i < 500 && forwards->tcp_count; i++)
        loop_turn(&loop, 10);
    CHECK_INT(forwards->tcp_count, 0);
    CHECK_INT(forwards->dials, 0);
    CHECK(fds_open() <= before + 1); /* a pipe may be kept for the next */
    end();
}

static void test_leaves_nothing(void)
{
    const struct forward_rule rules[] = {rule("127.0.0.1", 8080, "nobody", 80),
                                         rule_udp("127.0.0.1", 5300, "nobody", 53)};
    int before = fds_open();

    for (int i = 0; i < 3; i++) {
        OWN(fd) int from = -1;
        OWN(fd) int from_udp = -1;

        begin();
        set(rules, 2);
        from = client(SOCK_STREAM, "127.0.0.1", 8080);
        from_udp = client(SOCK_DGRAM, "127.0.0.1", 5300);
        say(from_udp, "x");
        for (int turn = 0; turn < i; turn++) /* end at different stages */
            loop_turn(&loop, 10);
        end();
    }
    CHECK_INT(fds_open(), before);
}

static const struct test tests[] = {
    {"without sockets inside all wait", test_starved},
    {"more connections than may be dialled at once wait their turn", test_crowd},
    {"no descriptor is left", test_leaves_nothing},
};

int main(void)
{
    return forwards_test_main(tests, ARRAY_SIZE(tests));
}
