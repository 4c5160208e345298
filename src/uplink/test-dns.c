/* SPDX-License-Identifier: Apache-2.0 */
/* The DNS relay between an asker (as dnsmasq asks) and resolvers that the test plays itself. */
#include "uplink/test-dns.h"

/* A query for an A record of the one-letter name. */
static struct message query_make(char name, uint16_t id)
{
    struct message m = {.size = 19, .data = {0, 0, 1, 0, 0, 1, [12] = 1, [16] = 1, [18] = 1}};

    m.data[13] = (uint8_t)name;
    dns_message_set_id(m.data, id);
    return m;
}

static void ask(char name, uint16_t id)
{
    struct message m = query_make(name, id);

    CHECK_INT(send(asker, m.data, m.size, 0), m.size);
}

/* m, answered with these flags; extra bytes follow. */
static void answer_send(int resolver, struct message *m, int flags, size_t extra)
{
    m->data[2] = (uint8_t)(flags >> 8);
    m->data[3] = (uint8_t)flags;
    memset(m->data + m->size, 0xab, extra);
    m->size += extra;
    CHECK_INT(sendto(resolver, m->data, m->size, 0, (struct sockaddr *)&m->from, sizeof(m->from)),
              m->size);
}

/* The asker gets an answer to id with these flags. */
static void check_answer(uint16_t id, int flags, size_t size, int ms)
{
    struct message m = take(asker, ms);

    CHECK_INT(dns_message_id(m.data), id);
    CHECK_INT(m.data[2] << 8 | m.data[3], flags);
    CHECK_INT(m.size, size);
    for (size_t i = 19; i < size; i++)
        CHECK_INT(m.data[i], 0xab);
}

static void test_answer(void)
{
    int resolver = socket_at(SOCK_DGRAM, "127.0.0.53", 53);
    struct message m, n;

    relay_start("nameserver 127.0.0.53\n");
    ask('a', 7);
    ask('b', 8);
    m = take(resolver, 1000);
    n = take(resolver, 1000);
    CHECK_INT(m.size, 19);
    CHECK_INT(m.data[13], 'a');
    CHECK_INT(n.data[13], 'b');
    CHECK(m.from.sin_port != n.from.sin_port);
    CHECK(dns_message_id(m.data) != 7 || dns_message_id(n.data) != 8);
    answer_send(resolver, &n, 0x8180, 100);
    check_answer(8, 0x8180, 119, 1000);
    answer_send(resolver, &m, 0x8380, 0); /* truncated: passes as it is */
    check_answer(7, 0x8380, 19, 1000);
    ask('c', 9);
    m = take(resolver, 1000);
    answer_send(resolver, &m, 0x8180, 60000);
    check_answer(9, 0x8180, 60019, 1000);
    relay_stop();
    close(resolver);
}

static void test_forged(void)
{
    int resolver = socket_at(SOCK_DGRAM, "127.0.0.53", 53);
    int other = socket_at(SOCK_DGRAM, "127.0.0.54", 53);
    struct message m, forged;

    relay_start("nameserver 127.0.0.53\n");
    ask('a', 7);
    m = take(resolver, 1000);
    forged = m;
    answer_send(other, &forged, 0x8180, 0);
    forged = m;
    dns_message_set_id(forged.data, (uint16_t)(dns_message_id(m.data) + 1));
    answer_send(resolver, &forged, 0x8180, 0);
    forged = m;
    forged.data[13] = 'b';
    answer_send(resolver, &forged, 0x8180, 0);
    forged = m;
    forged.data[16] = 28;
    answer_send(resolver, &forged, 0x8180, 0);
    forged = m;
    answer_send(resolver, &forged, 0x0100, 0); /* a query */
    forged = m;
    forged.size = 12;
    answer_send(resolver, &forged, 0x8180, 0);
    CHECK(!readable(asker, 100));
    m.data[13] = 'A'; /* case does not count */
    answer_send(resolver, &m, 0x8180, 5);
    check_answer(7, 0x8180, 24, 1000);
    relay_stop();
    close(resolver);
    close(other);
}

static void test_garbage(void)
{
    int resolver = socket_at(SOCK_DGRAM, "127.0.0.53", 53);
    struct message m = query_make('a', 7);

    relay_start("nameserver 127.0.0.53\n");
    for (size_t size = 0; size < m.size; size++)
        CHECK_INT(send(asker, m.data, size, 0), size);
    m.data[2] = 0x81; /* an answer */
    CHECK_INT(send(asker, m.data, m.size, 0), m.size);
    CHECK(!readable(resolver, 100));
    relay_stop();
    close(resolver);
}

static void test_refused(void)
{
    int resolver = socket_at(SOCK_DGRAM, "127.0.0.54", 53);
    struct message m;

    relay_start("nameserver 127.0.0.53\nnameserver 127.0.0.54\n");
    ask('a', 7);
    m = take(resolver, 1000); /* at once, not after 2 s */
    answer_send(resolver, &m, 0x8180, 0);
    check_answer(7, 0x8180, 19, 1000);
    close(resolver);
    ask('b', 8); /* now nobody is there */
    check_answer(8, 0x8182, 19, 1000);
    resolvers_set("nameserver 192.0.2.1\nnameserver 2001:db8::1\n"); /* no route */
    ask('c', 9);
    check_answer(9, 0x8182, 19, 1000);
    relay_stop();
}

static void test_codes(void)
{
    int first = socket_at(SOCK_DGRAM, "127.0.0.53", 53);
    int second = socket_at(SOCK_DGRAM, "127.0.0.54", 53);
    struct message m;

    relay_start("nameserver 127.0.0.53\nnameserver 127.0.0.54\n");
    ask('a', 7);
    m = take(first, 1000);
    answer_send(first, &m, 0x8182, 0); /* SERVFAIL */
    m = take(second, 1000);
    answer_send(second, &m, 0x8185, 0); /* REFUSED: nobody is left to ask */
    check_answer(7, 0x8185, 19, 1000);
    ask('b', 8);
    m = take(first, 1000);
    answer_send(first, &m, 0x8183, 0); /* NXDOMAIN is an answer */
    check_answer(8, 0x8183, 19, 1000);
    CHECK(!readable(second, 50));
    relay_stop();
    close(first);
    close(second);
}

static void test_slow(void)
{
    int first = socket_at(SOCK_DGRAM, "127.0.0.53", 53);
    int second = socket_at(SOCK_DGRAM, "127.0.0.54", 53);
    uint64_t start = clock_ms();
    struct message m;

    relay_start("nameserver 127.0.0.53\nnameserver 127.0.0.54\n");
    ask('a', 7);
    m = take(first, 1000);
    take(second, 3000);
    CHECK(clock_ms() - start >= 1900);
    answer_send(first, &m, 0x8180, 0); /* late is better than never */
    check_answer(7, 0x8180, 19, 1000);
    relay_stop();
    close(first);
    close(second);
}

static void test_silent(void)
{
    int resolver = socket_at(SOCK_DGRAM, "127.0.0.53", 53);
    uint64_t start = clock_ms();
    int asked = 0;
    char byte;

    relay_start("nameserver 127.0.0.53\n");
    ask('a', 7);
    check_answer(7, 0x8182, 19, 13000);
    CHECK(clock_ms() - start >= 9900);
    while (recv(resolver, &byte, 1, 0) >= 0)
        asked++;
    CHECK_INT(asked, 5);
    relay_stop();
    close(resolver);
}

static void test_change(void)
{
    int first = socket_at(SOCK_DGRAM, "127.0.0.53", 53);
    int second = socket_at(SOCK_DGRAM, "127.0.0.54", 53);
    struct message m;

    relay_start("nameserver 127.0.0.53\n");
    ask('a', 7);
    m = take(first, 1000);
    resolvers_set("nameserver 127.0.0.54\n");
    ask('b', 8);
    take(second, 1000);
    CHECK(!readable(first, 50));
    m = take(second, 3000); /* the old query turns to the new resolver too */
    CHECK_INT(m.data[13], 'a');
    answer_send(second, &m, 0x8180, 0);
    check_answer(7, 0x8180, 19, 1000);
    relay_stop();
    close(first);
    close(second);
}

static void test_limit(void)
{
    int before = sockets_open(), resolver = socket_at(SOCK_DGRAM, "127.0.0.53", 53), asked = 0;
    char byte;

    relay_start("nameserver 127.0.0.53\n");
    for (uint16_t i = 0; i < 600; i++) {
        ask('a', i);
        relay_rest();
        while (recv(resolver, &byte, 1, 0) >= 0)
            asked++;
    }
    CHECK_INT(asked, 512);
    relay_stop();
    close(resolver);
    CHECK_INT(sockets_open(), before);
}

static const struct test tests[] = {
    {"answers come back under the id of the query, whatever their size", test_answer},
    {"what is no answer to the query is passed over", test_forged},
    {"what is no query is dropped", test_garbage},
    {"a resolver that is not there is passed over at once", test_refused},
    {"a resolver that will not answer is passed over", test_codes},
    {"a slow resolver is helped by the next and may still answer", test_slow},
    {"silence is asked again and ends after 10 s", test_silent},
    {"new resolvers are asked at once", test_change},
    {"queries are limited, and leave nothing open", test_limit},
};

int main(void)
{
    return relay_test_main(tests, ARRAY_SIZE(tests));
}
