/* SPDX-License-Identifier: Apache-2.0 */
/* Pings of a guest: answered by who was asked, or by an error, never by us. */
#include <sys/resource.h>

#include "uplink/test-tun.h"

/* By family: where to, and the messages. Raw sockets of IPv4 receive the IP header too. */
static const struct row {
    const char *host, *gone;
    int protocol;
    uint8_t request, reply;
    size_t header;
} rows[] = {
    {"192.0.2.1", "198.51.100.1", IPPROTO_ICMP, 8, 0, 20},
    {"2001:db8::1", "2001:db8:2::1", IPPROTO_ICMPV6, 128, 129, 0},
};

enum { DESCRIPTORS_FEW = 128 };

static uint8_t got[70000];

/* A fresh namespace lets nobody have ping sockets, until this. */
static void pings_allow(void)
{
    CHECK_INT(ns_sysctl("net/ipv4/ping_group_range", "0 0"), 0);
}

static int pinger_new(const struct row *row, const char *to)
{
    union endpoint e = endpoint_of(to, 0);
    int fd = guest_socket(e.any.sa_family, SOCK_RAW, row->protocol);

    CHECK_INT(connect(fd, &e.any, sizeof(e)), 0);
    return fd;
}

static void request_send(const struct row *row, int fd, uint16_t id, uint16_t sequence, size_t size)
{
    static uint8_t message[70000];
    uint16_t sum;

    memset(message, 0, 8);
    message[0] = row->request;
    memcpy(message + 4, &id, 2);
    memcpy(message + 6, &sequence, 2);
    for (size_t i = 8; i < size; i++)
        message[i] = (uint8_t)(i * 3);
    if (row->protocol == IPPROTO_ICMP) { /* the kernel does IPv6's */
        sum = checksum_fold(checksum_add(0, message, size));
        memcpy(message + 2, &sum, 2);
    }
    CHECK_INT(send(fd, message, size, 0), size);
}

/* The reply that comes next is this one. */
static void reply_check(const struct row *row, int fd, uint16_t id, uint16_t sequence, size_t size)
{
    union endpoint from, expected = endpoint_of(row->host, 0);
    const uint8_t *message = got + row->header;

    CHECK_INT(receive(fd, got, sizeof(got), &from), size + row->header);
    CHECK(endpoint_equal(&from, &expected));
    CHECK_INT(message[0], row->reply);
    CHECK(memcmp(message + 4, &id, 2) == 0);
    CHECK(memcmp(message + 6, &sequence, 2) == 0);
    for (size_t i = 8; i < size; i++)
        CHECK(message[i] == (uint8_t)(i * 3));
    if (row->protocol == IPPROTO_ICMP) /* raw sockets of IPv6 get only what has a right one */
        CHECK_INT(checksum_fold(checksum_add(0, message, size)), 0);
}

static void test_echo(void)
{
    static const size_t sizes[] = {8, 9, 64, 1480, 1481, 5000, 60000};

    pings_allow();
    for (size_t r = 0; r < ARRAY_SIZE(rows); r++) {
        OWN(fd) int fd = pinger_new(&rows[r], rows[r].host);

        for (uint16_t i = 0; i < ARRAY_SIZE(sizes); i++) {
            request_send(&rows[r], fd, 77, i, sizes[i]);
            reply_check(&rows[r], fd, 77, i, sizes[i]);
        }
    }
}

/* Many pings at once keep their identifiers apart. */
static void test_identifiers(void)
{
    pings_allow();
    for (size_t r = 0; r < ARRAY_SIZE(rows); r++) {
        OWN(fd) int fd = pinger_new(&rows[r], rows[r].host);

        for (uint16_t i = 0; i < 50; i++)
            request_send(&rows[r], fd, (uint16_t)(i % 5 * 1000), i, 100);
        for (uint16_t i = 0, seen[5] = {0}; i < 50; i++) {
            const uint8_t *message = got + rows[r].header;
            uint16_t id, sequence;

            CHECK_INT(receive(fd, got, sizeof(got), NULL), 100 + rows[r].header);
            memcpy(&id, message + 4, 2);
            memcpy(&sequence, message + 6, 2);
            CHECK_INT(id, sequence % 5 * 1000);
            CHECK_INT(sequence / 5, seen[sequence % 5]++);
        }
    }
}

/* The error the guest gets for a ping to `to`. */
static int ping_error(const struct row *row, const char *to, uint16_t id)
{
    OWN(fd) int fd = pinger_new(row, to);

    option_set(fd, row->protocol == IPPROTO_ICMP ? IPPROTO_IP : IPPROTO_IPV6,
               row->protocol == IPPROTO_ICMP ? IP_RECVERR : IPV6_RECVERR, 1);
    request_send(row, fd, id, 0, 64);
    return (int)-receive(fd, got, sizeof(got), NULL);
}

static void test_unreachable(void)
{
    pings_allow();
    for (size_t r = 0; r < ARRAY_SIZE(rows); r++)
        CHECK_INT(ping_error(&rows[r], rows[r].gone, 5), ENETUNREACH);
    CHECK_INT(ping_error(&rows[0], "203.0.113.1", 5), EHOSTUNREACH);
}

/* First, before they are allowed. icmp(7): ICMP's code 13 is EHOSTUNREACH, ICMPv6's code 1 EACCES.
 */
static void test_prohibited(void)
{
    CHECK_INT(ping_error(&rows[0], rows[0].host, 6), EHOSTUNREACH);
    CHECK_INT(ping_error(&rows[1], rows[1].host, 6), EACCES);
}

static void test_ignored(void)
{
    pings_allow();
    for (size_t r = 0; r < ARRAY_SIZE(rows); r++) {
        struct row odd = rows[r];
        OWN(fd) int fd = pinger_new(&odd, odd.host);

        odd.request = r ? 139 : 13; /* node information, timestamp */
        request_send(&odd, fd, 7, 0, 64);
        settle();
        CHECK(recv(fd, got, sizeof(got), 0) < 0 && errno == EAGAIN);
        request_send(&rows[r], fd, 7, 1, 64);
        reply_check(&rows[r], fd, 7, 1, 64);
    }
}

/* Where descriptors have run out a new flow takes the place of an old one. */
static void test_few_descriptors(void)
{
    OWN(fd) int fd = pinger_new(&rows[0], rows[0].host);
    struct rlimit limit, few;
    int filled[DESCRIPTORS_FEW], count = 0;

    pings_allow();
    request_send(&rows[0], fd, 100, 0, 64);
    reply_check(&rows[0], fd, 100, 0, 64);
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), 0);
    few = (struct rlimit){DESCRIPTORS_FEW, limit.rlim_max};
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &few), 0);
    while ((filled[count] = dup(fd)) >= 0)
        count++;
    request_send(&rows[0], fd, 101, 1, 64);
    reply_check(&rows[0], fd, 101, 1, 64);
    while (count > 0)
        close(filled[--count]);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static const struct test tests[] = {
    {"without ping sockets: prohibited", test_prohibited},
    {"echo of every size", test_echo},
    {"identifiers are kept apart", test_identifiers},
    {"no route and forbidden", test_unreachable},
    {"other messages are ignored", test_ignored},
    {"few descriptors", test_few_descriptors},
};

int main(void)
{
    return rig_main(tests, ARRAY_SIZE(tests));
}
