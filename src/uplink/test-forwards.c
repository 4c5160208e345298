/* SPDX-License-Identifier: Apache-2.0 */
/* Forwards over TCP and UDP, and changes of what is forwarded. */
#include "uplink/test-forwards.h"

static void test_tcp(void)
{
    const struct forward_rule rules[] = {rule("127.0.0.1", 8080, "127.5.0.2", 80),
                                         rule("::1", 8080, "::1", 81)};
    OWN(fd) int four = server(SOCK_STREAM, "127.5.0.2", 80);
    OWN(fd) int six = server(SOCK_STREAM, "::1", 81);

    begin();
    set(rules, 2);
    for (int i = 0; i < 2; i++) {
        OWN(fd) int from = client(SOCK_STREAM, i ? "::1" : "127.0.0.1", 8080);
        OWN(fd) int to = -1;

        say(from, "hello");
        CHECK(readable(i ? six : four));
        to = accept(i ? six : four, NULL, NULL);
        expect(to, "hello");
        shutdown(from, SHUT_WR);
        expect(to, "");
        say(to, "good bye");
        fd_close(&to);
        expect(from, "good bye");
        expect(from, "");
    }
    CHECK_INT(dns_questions, 0);
    end();
}

static void test_refused(void)
{
    const struct forward_rule rules[] = {rule("127.0.0.1", 8080, "127.5.0.2", 80),
                                         rule("127.0.0.1", 8081, "127.5.0.1", 53),
                                         rule("127.0.0.1", 8082, "127.0.0.1", 8080)};

    begin();
    set(rules, 3);
    for (unsigned i = 0; i < 3; i++) {
        OWN(fd) int from = client(SOCK_STREAM, "127.0.0.1", 8080 + i);

        asked = 0;
        expect_reset(from);
        CHECK_INT(asked, i == 0); /* nothing is dialled that is no guest */
    }
    end();
}

static void test_listen_fails(void)
{
    struct forward_rule rules[] = {
        rule("127.0.0.1", 8080, "127.5.0.2", 80), rule("192.0.2.1", 8080, "127.5.0.2", 80),
        rule("127.0.0.1", 9000, "127.5.0.2", 80), rule_udp("127.0.0.1", 8080, "127.5.0.2", 80)};
    struct forward_result results[4];
    OWN(fd) int taken = server(SOCK_STREAM, "127.0.0.1", 8083);
    union endpoint free_port = at("127.0.0.1", 8081);
    OWN(fd) int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    rules[0].count = 10;
    begin();
    forwards_set(forwards, rules, 4, results);
    CHECK_INT(results[0].error, -EADDRINUSE);
    CHECK_INT(results[0].port, 8083);
    CHECK_INT(results[1].error, -EADDRNOTAVAIL);
    CHECK_INT(results[2].error, 0);
    CHECK_INT(results[3].error, 0);
    CHECK(bind(probe, &free_port.any, sizeof(free_port.v4)) == 0); /* none of the range listens */
    fd_close(&probe);
    fd_close(&taken);
    forwards_set(forwards, rules, 4, results);
    CHECK_INT(results[0].error, 0);
    CHECK_INT(results[2].error, 0);
    end();
}

static void test_range(void)
{
    struct forward_rule rules[] = {rule("127.0.0.1", 8000, "127.5.0.2", 900)};
    OWN(fd) int last = server(SOCK_STREAM, "127.5.0.2", 902);

    rules[0].count = 3;
    begin();
    set(rules, 1);
    pass("127.0.0.1", 8002, last);
    end();
}

static void test_udp(void)
{
    const struct forward_rule rules[] = {rule_udp("0.0.0.0", 5300, "four", 53),
                                         rule_udp("::1", 5300, "::1", 54)};
    OWN(fd) int four = server(SOCK_DGRAM, "127.5.0.2", 53);
    OWN(fd) int six = server(SOCK_DGRAM, "::1", 54);

    begin();
    set(rules, 2);
    for (int i = 0; i < 2; i++) {
        /* Connected: answers from another address than the one sent to would not be read. */
        OWN(fd) int from = client(SOCK_DGRAM, i ? "::1" : "127.0.0.9", 5300);
        OWN(fd) int other = client(SOCK_DGRAM, i ? "::1" : "127.0.0.8", 5300);
        union endpoint flow, second;
        socklen_t size = sizeof(flow);
        char text[8];

        say(from, "one");
        CHECK(readable(i ? six : four));
        CHECK(recvfrom(i ? six : four, text, sizeof(text), 0, &flow.any, &size) == 3);
        CHECK(sendto(i ? six : four, "answer", 6, 0, &flow.any, size) == 6);
        expect(from, "answer");
        say(from, "two");
        CHECK(readable(i ? six : four));
        size = sizeof(second);
        CHECK(recvfrom(i ? six : four, text, sizeof(text), 0, &second.any, &size) == 3);
        CHECK(memcmp(&flow, &second, size) == 0); /* one flow for one client */
        say(other, "three");
        expect(i ? six : four, "three");
    }
    CHECK_INT(flows_count(forwards->udp_flows), 4);
    end();
}

static void test_udp_refused(void)
{
    const struct forward_rule rules[] = {rule_udp("127.0.0.1", 5300, "127.5.0.2", 53)};
    OWN(fd) int from = -1;
    OWN(fd) int guest = -1;

    begin();
    set(rules, 1);
    from = client(SOCK_DGRAM, "127.0.0.1", 5300);
    say(from, "lost");
    settle();
    guest = server(SOCK_DGRAM, "127.5.0.2", 53);
    say(from, "found"); /* the refusal before does not cost this one */
    expect(guest, "found");
    end();
}

static void test_change(void)
{
    const struct forward_rule rules[] = {rule("127.0.0.1", 8080, "127.5.0.2", 80),
                                         rule("127.0.0.1", 8081, "127.5.0.2", 80),
                                         rule_udp("127.0.0.1", 5300, "127.5.0.2", 53)};
    OWN(fd) int guest = server(SOCK_STREAM, "127.5.0.2", 80);
    union endpoint gone = at("127.0.0.1", 8080);
    OWN(fd) int late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    OWN(fd) int from = -1;
    OWN(fd) int to = -1;
    int kept;

    begin();
    set(rules, 3);
    from = client(SOCK_STREAM, "127.0.0.1", 8080);
    CHECK(readable(guest));
    to = accept(guest, NULL, NULL);
    settle();
    kept = list_first(&forwards->rules, struct rule, link)->listeners[0].fd;
    set(rules, 3);
    CHECK_INT(list_first(&forwards->rules, struct rule, link)->listeners[0].fd, kept);
    set(rules + 1, 1);
    CHECK(connect(late, &gone.any, sizeof(gone.v4)) < 0 && errno == ECONNREFUSED);
    say(from, "still there");
    expect(to, "still there");
    pass("127.0.0.1", 8081, guest);
    end();
    expect_reset(from);
}

static const struct test tests[] = {
    {"TCP reaches a guest by address, half-closes pass", test_tcp},
    {"who refuses, and who is no guest, resets", test_refused},
    {"a port that can't be had, and the whole range with it", test_listen_fails},
    {"ranges lead port to port", test_range},
    {"UDP has a flow for each client, answers come from where it sent to", test_udp},
    {"UDP goes on after a refusal", test_udp_refused},
    {"a change leaves alone what stays, and connections", test_change},
};

int main(void)
{
    return forwards_test_main(tests, ARRAY_SIZE(tests));
}
