/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of forwards share: a network namespace of their own whose loopback is host and
 * network at once, 127.5.0.0/16 and ::/64 being the network's, 127.5.0.1 the gateway; a DNS service
 * there; and both ends of connections.
 */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/own.h"
#include "base/test-fds.h"
#include "base/test.h"
#include "uplink/forwards-private.h"
#include "uplink/test-loopback.h"

static struct loop loop;
static struct forwards *forwards;
static bool starved; /* no sockets inside */
static unsigned asked;

static inline int inside_socket(void *context, int family, int type)
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

static inline union endpoint at(const char *address, unsigned port)
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

static inline struct forward_rule rule(const char *listen, unsigned port, const char *guest,
                                       unsigned guest_port)
{
    struct forward_rule made = {
        .listen = at(listen, port), .count = 1, .guest_port = (uint16_t)guest_port};

    strcpy(made.guest, guest);
    return made;
}

static inline struct forward_rule rule_udp(const char *listen, unsigned port, const char *guest,
                                           unsigned guest_port)
{
    struct forward_rule made = rule(listen, port, guest, guest_port);

    made.udp = true;
    return made;
}

static inline int server(int type, const char *address, unsigned port)
{
    union endpoint e = at(address, port);
    int fd = socket(e.any.sa_family, type | SOCK_CLOEXEC, 0), yes = 1;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    CHECK(bind(fd, &e.any, endpoint_size(&e)) == 0);
    CHECK(type == SOCK_DGRAM || listen(fd, 4096) == 0);
    return fd;
}

static inline int client(int type, const char *address, unsigned port)
{
    union endpoint e = at(address, port);
    int fd = socket(e.any.sa_family, type | SOCK_CLOEXEC, 0);

    CHECK(connect(fd, &e.any, endpoint_size(&e)) == 0);
    return fd;
}

/* Turns the loop until fd has something to read; false after some seconds. */
static inline bool readable(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    uint64_t until = clock_ms() + 8000;

    while (poll(&wait, 1, 0) == 0 && clock_ms() < until)
        loop_turn(&loop, 5);
    return wait.revents != 0;
}

static inline void settle(void)
{
    for (int i = 0; i < 20; i++)
        loop_turn(&loop, 0);
}

static inline ssize_t read_some(int fd, char *text, size_t size)
{
    ssize_t got;

    CHECK(readable(fd));
    got = recv(fd, text, size - 1, 0);
    text[got > 0 ? got : 0] = '\0';
    return got;
}

static inline void expect(int fd, const char *expected)
{
    char text[64];

    CHECK(read_some(fd, text, sizeof(text)) >= 0);
    CHECK_TEXT(text, expected);
}

static inline void say(int fd, const char *text)
{
    CHECK(send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
}

static inline void expect_reset(int fd)
{
    char text[8];

    CHECK(read_some(fd, text, sizeof(text)) < 0);
    CHECK_INT(errno, ECONNRESET);
}

static inline void set(const struct forward_rule *rules, size_t count)
{
    struct forward_result results[8];

    forwards_set(forwards, rules, count, results);
    for (size_t i = 0; i < count; i++)
        CHECK_INT(results[i].error, 0);
}

/* A DNS service that knows names by a table; answers what came so far. */
static struct source dns_source;
static unsigned dns_questions;

static inline size_t dns_answer(uint8_t *message, size_t size)
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

static inline void dns_ready(struct source *source, uint32_t events)
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

static inline void begin(void)
{
    dns_questions = 0;
    starved = false;
    CHECK_INT(forwards_new(&loop, &network, &inside, &forwards), 0);
}

static inline void end(void)
{
    forwards_free(forwards);
    forwards = NULL;
}

static inline void pass(const char *from_address, unsigned port, int listener)
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

/* The namespace and its DNS service, then the tests. The program's status. */
static inline int forwards_test_main(const struct test *tests, size_t count)
{
    OWN(fd) int dns = -1;

    rtnl_free(loopback_enter());
    fds_allow(8192);
    signal(SIGPIPE, SIG_IGN);
    inet_pton(AF_INET, "127.5.0.0", &network.subnet);
    inet_pton(AF_INET, "127.5.0.1", &network.gateway);
    inet_pton(AF_INET6, "::ffff", &network.gateway6);
    dns = server(SOCK_DGRAM, "127.5.0.1", 53);
    if (loop_init(&loop) < 0 || source_add(&loop, &dns_source, dns, EPOLLIN, dns_ready) < 0)
        return 1;
    return test_main(tests, count);
}
