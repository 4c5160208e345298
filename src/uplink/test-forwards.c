/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forwards and the look-up of guests' names, in a network namespace of the test's own: its loopback
 * is host and network at once, 127.5.0.0/16 and ::/64 being the network's, 127.5.0.1 the gateway.
 */
#include "uplink/forwards.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/own.h"
#include "base/test-fds.h"
#include "base/test.h"
#include "uplink/forwards-private.h"

static struct loop loop;
static struct forwards *forwards;
static bool starved; /* no sockets inside */
static unsigned asked;

static int inside_socket(void *context, int family, int type)
{
    int fd;

    (void)context;
    asked++;
    if (starved)
        return -EAGAIN;
    fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd < 0 ? -errno : fd;
}

static const struct inside inside = {inside_socket, NULL};
static struct uplink_config network = {.network = "lab", .prefix = 16, .prefix6 = 64};

static union endpoint at(const char *address, unsigned port)
{
    union endpoint e = {.any.sa_family = strchr(address, ':') ? AF_INET6 : AF_INET};

    if (e.any.sa_family == AF_INET6) {
        inet_pton(AF_INET6, address, &e.v6.sin6_addr);
        e.v6.sin6_port = htons((uint16_t)port);
    } else {
        inet_pton(AF_INET, address, &e.v4.sin_addr);
        e.v4.sin_port = htons((uint16_t)port);
    }
    return e;
}

static struct forward_rule rule(const char *listen, unsigned port, const char *guest,
                                unsigned guest_port)
{
    struct forward_rule made = {
        .listen = at(listen, port), .count = 1, .guest_port = (uint16_t)guest_port};

    strcpy(made.guest, guest);
    return made;
}

static struct forward_rule rule_udp(const char *listen, unsigned port, const char *guest,
                                    unsigned guest_port)
{
    struct forward_rule made = rule(listen, port, guest, guest_port);

    made.udp = true;
    return made;
}

static int server(int type, const char *address, unsigned port)
{
    union endpoint e = at(address, port);
    int fd = socket(e.any.sa_family, type | SOCK_CLOEXEC, 0), yes = 1;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    CHECK(bind(fd, &e.any, endpoint_size(&e)) == 0);
    CHECK(type == SOCK_DGRAM || listen(fd, 4096) == 0);
    return fd;
}

static int client(int type, const char *address, unsigned port)
{
    union endpoint e = at(address, port);
    int fd = socket(e.any.sa_family, type | SOCK_CLOEXEC, 0);

    CHECK(connect(fd, &e.any, endpoint_size(&e)) == 0);
    return fd;
}

/* Turns the loop until fd has something to read; false after some seconds. */
static bool readable(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    uint64_t until = clock_ms() + 8000;

    while (poll(&wait, 1, 0) == 0 && clock_ms() < until)
        loop_turn(&loop, 5);
    return wait.revents != 0;
}

static void settle(void)
{
    for (int i = 0; i < 20; i++)
        loop_turn(&loop, 0);
}

static ssize_t read_some(int fd, char *text, size_t size)
{
    ssize_t got;

    CHECK(readable(fd));
    got = recv(fd, text, size - 1, 0);
    text[got > 0 ? got : 0] = '\0';
    return got;
}

static void expect(int fd, const char *expected)
{
    char text[64];

    CHECK(read_some(fd, text, sizeof(text)) >= 0);
    CHECK_TEXT(text, expected);
}

static void say(int fd, const char *text)
{
    CHECK(send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
}

static void expect_reset(int fd)
{
    char text[8];

    CHECK(read_some(fd, text, sizeof(text)) < 0);
    CHECK_INT(errno, ECONNRESET);
}

static void set(const struct forward_rule *rules, size_t count)
{
    struct forward_result results[8];

    forwards_set(forwards, rules, count, results);
    for (size_t i = 0; i < count; i++)
        CHECK_INT(results[i].error, 0);
}

/* A DNS service that knows names by a table; answers what came so far. */
static struct source dns_source;
static unsigned dns_questions;

static size_t dns_answer(uint8_t *message, size_t size)
{
    bool a = message[size - 3] == 1;
    bool four = message[13] == 'f' || message[13] == 'b'; /* "four", "both" */
    bool six = message[13] == 's' || message[13] == 'b';  /* "six" */
    static const uint8_t record4[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 127, 5, 0, 2};
    static const uint8_t record6[] = {0xc0, 12, 0, 28, 0, 1, 0, 0, 0, 9, 0, 16, 0, 0,
                                      0,    0,  0, 0,  0, 0, 0, 0, 0, 0, 0, 0,  0, 1};

    message[2] |= 0x80;
    if (a && four) {
        message[7] = 1;
        memcpy(message + size, record4, sizeof(record4));
        return size + sizeof(record4);
    }
    if (!a && six) {
        message[7] = 1;
        memcpy(message + size, record6, sizeof(record6));
        return size + sizeof(record6);
    }
    message[3] |= four || six ? 0 : 3; /* NXDOMAIN */
    return size;
}

static void dns_ready(struct source *source, uint32_t events)
{
    uint8_t message[512];
    struct sockaddr_in from;
    socklen_t from_size = sizeof(from);
    ssize_t size = recvfrom(source->fd, message, 400, 0, (struct sockaddr *)&from, &from_size);

    (void)events;
    dns_questions++;
    if (size > 0)
        sendto(source->fd, message, dns_answer(message, (size_t)size), 0, (struct sockaddr *)&from,
               from_size);
}

static void begin(void)
{
    dns_questions = 0;
    starved = false;
    CHECK_INT(forwards_new(&loop, &network, &inside, &forwards), 0);
}

static void end(void)
{
    forwards_free(forwards);
    forwards = NULL;
}

static void test_messages(void)
{
    static const uint8_t expected[] = "\x12\x34\x01\0\0\1\0\0\0\0\0\0\3web\3lab\0\0\x1c\0\1";
    uint8_t query[LOOKUP_QUERY_MAX], answer[LOOKUP_QUERY_MAX];
    union endpoint found;
    char label[70] = "";
    size_t size = lookup_query("web.lab", AF_INET6, 0x1234, query);

    CHECK_INT(size, sizeof(expected) - 1);
    CHECK(memcmp(query, expected, size) == 0);
    CHECK_INT(lookup_query("a..b", AF_INET, 1, answer), 0);
    memset(label, 'a', 64);
    CHECK_INT(lookup_query(label, AF_INET, 1, answer), 0);

    size = lookup_query("four.lab", AF_INET, 7, query);
    memcpy(answer, query, size);
    CHECK_INT(dns_answer(answer, size), size + 16);
    CHECK_INT(lookup_answer(answer, size + 16, query, size, &found), 1);
    CHECK_INT(ntohl(found.v4.sin_addr.s_addr), 0x7f050002);
    for (size_t cut = 0; cut < size + 16; cut++)
        CHECK_INT(lookup_answer(answer, cut, query, size, &found), -EBADMSG);
    answer[size + 3] = 5; /* a record of another type is passed over */
    CHECK_INT(lookup_answer(answer, size + 16, query, size, &found), 0);
    answer[0] ^= 1;
    CHECK_INT(lookup_answer(answer, size + 16, query, size, &found), -EBADMSG);
}

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

static void pass(const char *from_address, unsigned port, int listener)
{
    OWN(fd) int from = client(SOCK_STREAM, from_address, port);
    OWN(fd) int to = -1;

    CHECK(readable(listener));
    to = accept(listener, NULL, NULL);
    say(from, "x");
    expect(to, "x");
    say(to, "y");
    expect(from, "y");
}

static void test_names(void)
{
    const struct forward_rule rules[] = {
        rule("127.0.0.1", 8080, "four", 80), rule("127.0.0.1", 8081, "six", 81),
        rule("127.0.0.1", 8082, "both", 81), rule("127.0.0.1", 8083, "nobody", 80)};
    OWN(fd) int four = server(SOCK_STREAM, "127.5.0.2", 80);
    OWN(fd) int six = server(SOCK_STREAM, "::1", 81);
    OWN(fd) int unknown = -1;

    begin();
    set(rules, 4);
    CHECK_INT(dns_questions, 0); /* none before there is a client */
    pass("127.0.0.1", 8080, four);
    CHECK_INT(dns_questions, 2);
    pass("127.0.0.1", 8080, four);
    CHECK_INT(dns_questions, 2);
    pass("127.0.0.1", 8081, six);
    pass("127.0.0.1", 8082, six); /* refused over IPv4, then over IPv6 */
    unknown = client(SOCK_STREAM, "127.0.0.1", 8083);
    expect_reset(unknown);
    CHECK_INT(dns_questions, 8);
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
    {"questions and answers of DNS", test_messages},
    {"TCP reaches a guest by address, half-closes pass", test_tcp},
    {"guests by name, asked once, over either family", test_names},
    {"who refuses, and who is no guest, resets", test_refused},
    {"a port that can't be had, and the whole range with it", test_listen_fails},
    {"ranges lead port to port", test_range},
    {"UDP has a flow for each client, answers come from where it sent to", test_udp},
    {"UDP goes on after a refusal", test_udp_refused},
    {"a change leaves alone what stays, and connections", test_change},
    {"without sockets inside all wait", test_starved},
    {"more connections than may be dialled at once wait their turn", test_crowd},
    {"no descriptor is left", test_leaves_nothing},
};

static bool namespace_enter(void)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    OWN(fd) int fd = -1;

    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
        return false;
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return ioctl(fd, SIOCSIFFLAGS, &request) == 0;
}

int main(void)
{
    struct rlimit limit;
    OWN(fd) int dns = -1;

    if (!namespace_enter()) {
        puts("1..0 # SKIP no user and network namespace");
        return 0;
    }
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max < 8192 ? limit.rlim_max : 8192;
    setrlimit(RLIMIT_NOFILE, &limit);
    signal(SIGPIPE, SIG_IGN);
    inet_pton(AF_INET, "127.5.0.0", &network.subnet);
    inet_pton(AF_INET, "127.5.0.1", &network.gateway);
    inet_pton(AF_INET6, "::ffff", &network.gateway6);
    dns = server(SOCK_DGRAM, "127.5.0.1", 53);
    if (loop_init(&loop) < 0 || source_add(&loop, &dns_source, dns, EPOLLIN, dns_ready) < 0)
        return 1;
    return test_main(tests, ARRAY_SIZE(tests));
}
