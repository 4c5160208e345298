/* SPDX-License-Identifier: Apache-2.0 */
/* The DNS relay's TCP side, and the whole of it between two real dnsmasqs. */
#include <fcntl.h>

#include "base/child.h"
#include "base/program.h"
#include "uplink/test-dns.h"

static void test_tcp(void)
{
    int before = sockets_open(), resolver, client, server;
    char text[8] = "";

    relay_start("nameserver 127.0.0.53\nnameserver 127.0.0.54\n");
    resolver = socket_at(SOCK_STREAM, "127.0.0.54", 53); /* the first one refuses */
    client = socket_to(SOCK_STREAM, "127.0.0.1", RELAY);
    CHECK(readable(resolver, 1000));
    server = accept(resolver, NULL, NULL);
    CHECK_INT(send(client, "ask", 3, 0), 3);
    CHECK(readable(server, 1000));
    CHECK_INT(recv(server, text, sizeof(text), 0), 3);
    CHECK_INT(send(server, "tell", 4, 0), 4);
    close(server);
    CHECK(readable(client, 1000));
    CHECK_INT(recv(client, text, 4, 0), 4);
    CHECK(readable(client, 1000));
    CHECK_INT(recv(client, text, sizeof(text), 0), 0);
    close(client);
    relay_rest();
    close(resolver);
    client = socket_to(SOCK_STREAM, "127.0.0.1", RELAY); /* nobody takes it */
    CHECK(readable(client, 1000));
    CHECK_INT(recv(client, text, sizeof(text), 0), -1);
    CHECK_INT(errno, ECONNRESET);
    close(client);
    relay_stop();
    CHECK_INT(sockets_open(), before);
}

static void test_tcp_many(void)
{
    int before = sockets_open(), resolver = socket_at(SOCK_STREAM, "127.0.0.53", 53), clients[80];
    int accepted = 0, servers[80];

    CHECK_INT(listen(resolver, 100), 0);
    relay_start("nameserver 127.0.0.53\n");
    CHECK_INT(listen(relay_tcp, 100), 0);
    for (int i = 0; i < 80; i++)
        clients[i] = socket_to(SOCK_STREAM, "127.0.0.1", RELAY);
    while (accepted < 64) {
        CHECK(readable(resolver, 1000));
        servers[accepted++] = accept(resolver, NULL, NULL);
    }
    CHECK(!readable(resolver, 100)); /* the others wait … */
    for (int i = 0; i < 64; i++)
        close(servers[i]);
    for (int i = 0; i < 64; i++)
        close(clients[i]);
    while (accepted < 80) { /* … for their turn */
        CHECK(readable(resolver, 1000));
        servers[accepted++] = accept(resolver, NULL, NULL);
    }
    relay_stop();
    for (int i = 64; i < 80; i++) {
        close(servers[i]);
        close(clients[i]);
    }
    close(resolver);
    CHECK_INT(sockets_open(), before);
}

/* With real servers: front is what guests ask (127.0.0.1:5353); it asks the relay, and the relay
 * the resolver at 127.0.0.54, as the one before it is dead. */

static char dnsmasq[PATHS_MAX];

static void dnsmasq_ended(struct child *child, int status)
{
    (void)child;
    (void)status;
}

static void dnsmasq_start(struct child *child, const char *listen_option, const char *port_option,
                          const char *more, const char *record)
{
    const char *argv[] = {dnsmasq,
                          "--conf-file=/dev/null",
                          "-k",
                          "--user=",
                          "--group=",
                          "--pid-file",
                          "--no-resolv",
                          "--no-hosts",
                          "--log-facility=/dev/null",
                          "--bind-interfaces",
                          listen_option,
                          port_option,
                          more,
                          record,
                          NULL};
    struct child_spec spec = {.argv = argv, .die_with_us = true};

    CHECK_INT(child_start(&loop, child, &spec, dnsmasq_ended), 0);
}

/* Connects as soon as somebody listens. */
static int connect_soon(const char *address, int port)
{
    struct sockaddr_in to = address4(address, port);
    uint64_t end = clock_ms() + 5000;

    while (clock_ms() < end) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0) {
            fcntl(fd, F_SETFL, O_NONBLOCK);
            return fd;
        }
        close(fd);
        CHECK_INT(loop_turn(&loop, 10), 0);
    }
    CHECK(false);
    return -1;
}

/* A query for a name of two labels: n.test. */
static struct message query_long(uint8_t name, uint8_t type)
{
    struct message m = {.size = 24, .data = {0x12, 0x34, 1, 0, 0, 1}};
    uint8_t question[] = {1, name, 4, 't', 'e', 's', 't', 0, 0, type, 0, 1};

    memcpy(m.data + 12, question, sizeof(question));
    return m;
}

/* Text that is too long for an answer by UDP: 512 bytes without EDNS. */
#define TEXT40  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define TEXT200 TEXT40 TEXT40 TEXT40 TEXT40 TEXT40

static void check_by_udp(int udp)
{
    struct message m = query_long('a', 1);

    CHECK_INT(send(udp, m.data, m.size, 0), m.size);
    m = take(udp, 3000);
    CHECK_INT(m.data[7], 1);
    CHECK(memcmp(m.data + m.size - 4, (uint8_t[]){192, 0, 2, 7}, 4) == 0);
    m = query_long('t', 16);
    CHECK_INT(send(udp, m.data, m.size, 0), m.size);
    m = take(udp, 3000);
    CHECK_INT(m.data[2] & 2, 2); /* truncated */
}

static void check_by_tcp(int tcp)
{
    struct message m = query_long('t', 16);
    uint8_t size[2] = {0, (uint8_t)m.size};

    CHECK_INT(send(tcp, size, 2, 0), 2);
    CHECK_INT(send(tcp, m.data, m.size, 0), m.size);
    CHECK(readable(tcp, 3000));
    CHECK_INT(recv(tcp, size, 2, 0), 2);
    m = take(tcp, 1000);
    CHECK_INT(m.size, size[0] << 8 | size[1]);
    CHECK_INT(m.data[7], 1);
    CHECK(m.size > 600);
}

static void test_dnsmasq(void)
{
    struct child front = {0}, resolver = {0};
    int udp, tcp;

    relay_start("nameserver 127.0.0.53\nnameserver 127.0.0.54\n");
    dnsmasq_start(&resolver, "--listen-address=127.0.0.54", "--port=53",
                  "--address=/a.test/192.0.2.7",
                  "--txt-record=t.test," TEXT200 "," TEXT200 "," TEXT200);
    close(connect_soon("127.0.0.54", 53));
    dnsmasq_start(&front, "--listen-address=127.0.0.1", "--port=5353", "--server=127.0.0.1#5300",
                  "--cache-size=0");
    tcp = connect_soon("127.0.0.1", 5353);
    udp = socket_to(SOCK_DGRAM, "127.0.0.1", 5353);
    check_by_udp(udp);
    check_by_tcp(tcp);
    close(tcp);
    close(udp);
    relay_stop();
    child_done(&front);
    child_done(&resolver);
}

static struct test tests[] = {
    {"TCP is joined to the first resolver that takes it", test_tcp},
    {"TCP connections are limited, and leave nothing open", test_tcp_many},
    {"dnsmasq asks dnsmasq, by UDP and TCP", test_dnsmasq},
};

static void nothing(void)
{
}

int main(void)
{
    if (program_find("dnsmasq", "VMLAN_DNSMASQ", "", dnsmasq, NULL) < 0)
        tests[2] = (struct test){"dnsmasq asks dnsmasq # SKIP there is no dnsmasq", nothing};
    return relay_test_main(tests, ARRAY_SIZE(tests));
}
