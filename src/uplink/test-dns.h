/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the DNS relay share: a namespace of their own with the relay in it, sockets for
 * the asker and for resolvers that the test plays. */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>

#include "base/paths.h"
#include "base/test.h"
#include "uplink/dns-message.h"
#include "uplink/dns.h"
#include "uplink/test-loopback.h"
#include "uplink/uplink.h"

#define RELAY 5300

static struct loop loop;
static struct dns *dns;
static int relay_udp, relay_tcp, asker; /* asker: connected to relay_udp */
static char folder[] = "/tmp/test-dns.XXXXXX", conf[64];

static inline struct sockaddr_in address4(const char *address, int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

    inet_pton(AF_INET, address, &a.sin_addr);
    return a;
}

/* A non-blocking socket, bound (and for TCP listening); the caller owns it. */
static inline int socket_at(int type, const char *address, int port)
{
    struct sockaddr_in at = address4(address, port);
    int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

    CHECK(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    CHECK_INT(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    if (type == SOCK_STREAM)
        CHECK_INT(listen(fd, 8), 0);
    return fd;
}

static inline int socket_to(int type, const char *address, int port)
{
    struct sockaddr_in to = address4(address, port);
    int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0);
    CHECK(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 || errno == EINPROGRESS);
    return fd;
}

static inline void resolvers_set(const char *text)
{
    CHECK_INT(paths_write(conf, text, NULL), 0);
}

static inline void relay_start(const char *resolvers)
{
    resolvers_set(resolvers);
    relay_udp = socket_at(SOCK_DGRAM, "127.0.0.1", RELAY);
    relay_tcp = socket_at(SOCK_STREAM, "127.0.0.1", RELAY);
    asker = socket_to(SOCK_DGRAM, "127.0.0.1", RELAY);
    CHECK_INT(dns_new(&loop, "test", relay_udp, relay_tcp, &dns), 0);
}

static inline void relay_stop(void)
{
    dns_free(dns);
    close(relay_udp);
    close(relay_tcp);
    close(asker);
}

/* Runs the relay until fd can be read; false after ms. */
static inline bool readable(int fd, int ms)
{
    struct pollfd wait[] = {{.fd = fd, .events = POLLIN}, {.fd = loop.epoll, .events = POLLIN}};
    uint64_t end = clock_ms() + (uint64_t)ms;

    for (;;) {
        uint64_t now = clock_ms();

        CHECK(poll(wait, 2, now < end ? (int)(end - now) : 0) >= 0);
        if (wait[0].revents)
            return true;
        if (now >= end)
            return false;
        if (wait[1].revents)
            CHECK_INT(loop_turn(&loop, 0), 0);
    }
}

/* Runs the relay until it has nothing to do. */
static inline void relay_rest(void)
{
    struct pollfd wait = {.fd = loop.epoll, .events = POLLIN};

    while (poll(&wait, 1, 0) == 1)
        CHECK_INT(loop_turn(&loop, 0), 0);
}

struct message {
    size_t size;
    uint8_t data[DNS_MESSAGE_MAX];
    struct sockaddr_in from;
};

static inline struct message take(int fd, int ms)
{
    struct message m;
    socklen_t size = sizeof(m.from);
    ssize_t got;

    CHECK(readable(fd, ms));
    got = recvfrom(fd, m.data, sizeof(m.data), 0, (struct sockaddr *)&m.from, &size);
    CHECK(got >= 12);
    m.size = (size_t)got;
    return m;
}

/* Sockets only: free pipes are kept for the next splice. */
static inline int sockets_open(void)
{
    struct stat about;
    int count = 0;

    for (int fd = 0; fd < 4096; fd++)
        count += fstat(fd, &about) == 0 && S_ISSOCK(about.st_mode);
    return count;
}

/* The namespace, the loop and the folder of resolv.conf; then the tests. The program's status. */
static inline int relay_test_main(const struct test *tests, size_t count)
{
    int r;

    rtnl_free(loopback_enter());
    if (loop_init(&loop) < 0 || !mkdtemp(folder)) {
        printf("Bail out! %s\n", strerror(errno));
        return 1;
    }
    signal(SIGPIPE, SIG_IGN);
    snprintf(conf, sizeof(conf), "%s/resolv.conf", folder);
    setenv("VMLAN_RESOLV_CONF", conf, 1);
    r = test_main(tests, count);
    paths_remove(folder);
    loop_done(&loop);
    return r;
}
