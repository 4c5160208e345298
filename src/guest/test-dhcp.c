/* SPDX-License-Identifier: Apache-2.0 */
/* Messages as bytes: what is built is what RFC 2131 asks for, what is read is bounded. */
#include "guest/dhcp.h"

#include <arpa/inet.h>
#include <errno.h>

#include "base/own.h"
#include "base/test.h"

#define XID 0x01020304u
static const uint8_t mac[6] = {0x52, 0x54, 0, 0, 0, 0x0a};

/* A server's message under construction. */
struct answer {
    uint8_t data[DHCP_PARSE_MAX];
    size_t size;
};

static struct answer answer_new(uint8_t type)
{
    static const uint8_t head[] = {2, 1, 6, 0, 1, 2, 3, 4};
    static const uint8_t address[] = {10, 77, 0, 36};
    static const uint8_t cookie[] = {99, 130, 83, 99};
    struct answer a = {.size = 240};

    memcpy(a.data, head, sizeof(head));
    memcpy(a.data + 16, address, sizeof(address));
    memcpy(a.data + 28, mac, sizeof(mac));
    memcpy(a.data + 236, cookie, sizeof(cookie));
    a.data[a.size++] = 53;
    a.data[a.size++] = 1;
    a.data[a.size++] = type;
    return a;
}

/* bytes: code, length, and so on, as they are. */
#define ADD(answer, ...)                                                       \
    do {                                                                       \
        static const uint8_t add_bytes[] = {__VA_ARGS__};                      \
        memcpy((answer)->data + (answer)->size, add_bytes, sizeof(add_bytes)); \
        (answer)->size += sizeof(add_bytes);                                   \
    } while (0)

/* Server 10.77.0.1, an hour: the least a lease must have. */
static struct answer ack_new(void)
{
    struct answer a = answer_new(DHCP_ACK);

    ADD(&a, 54, 4, 10, 77, 0, 1, 51, 4, 0, 0, 14, 16);
    return a;
}

static int parse(const struct answer *a, enum dhcp_type *ret_type, struct lease *ret)
{
    return dhcp_parse(a->data, a->size, XID, mac, ret_type, ret);
}

static struct lease lease_of(const struct answer *a)
{
    enum dhcp_type type = 0;
    struct lease lease = {0};

    CHECK_INT(parse(a, &type, &lease), 0);
    CHECK_INT(type, DHCP_ACK);
    return lease;
}

static const char *text4(struct in_addr address)
{
    static char text[4][INET_ADDRSTRLEN];
    static unsigned next;

    return inet_ntop(AF_INET, &address, text[next++ % 4], INET_ADDRSTRLEN);
}

/* The value of an option in a built message; NULL when it is not there. */
static const uint8_t *built_option(const uint8_t *data, size_t size, uint8_t code,
                                   uint8_t *ret_length)
{
    for (size_t i = 240; i + 1 < size && data[i] != 255; i += 2u + data[i + 1])
        if (data[i] == code) {
            *ret_length = data[i + 1];
            return data + i + 2;
        }
    return NULL;
}

static void test_discover(void)
{
    struct dhcp_message message = {
        .type = DHCP_DISCOVER, .xid = XID, .mac = mac, .hostname = "guesta", .seconds = 258};
    uint8_t data[DHCP_BUILD_MAX], length;
    size_t size = dhcp_build(&message, data);
    const uint8_t *value;

    CHECK(size >= 300 && size <= DHCP_BUILD_MAX);
    CHECK(memcmp(data, "\1\1\6\0\1\2\3\4\1\2\x80\0", 12) == 0);
    CHECK(memcmp(data + 28, mac, 6) == 0);
    value = built_option(data, size, 53, &length);
    CHECK(value && length == 1 && *value == DHCP_DISCOVER);
    value = built_option(data, size, 12, &length);
    CHECK(value && length == 6 && memcmp(value, "guesta", 6) == 0);
    value = built_option(data, size, 61, &length);
    CHECK(value && length == 7 && value[0] == 1 && memcmp(value + 1, mac, 6) == 0);
    CHECK(built_option(data, size, 80, &length) && length == 0);
    CHECK(!built_option(data, size, 50, &length) && !built_option(data, size, 54, &length));
}

/* RFC 2131, 4.3.2, table 4: selecting names server and address, renewing neither. */
static void test_request(void)
{
    struct dhcp_message message = {.type = DHCP_REQUEST, .xid = XID, .mac = mac};
    uint8_t data[DHCP_BUILD_MAX], length;
    size_t size;

    message.wanted.s_addr = htonl(0x0a4d0024);
    message.server.s_addr = htonl(0x0a4d0001);
    size = dhcp_build(&message, data);
    CHECK(built_option(data, size, 50, &length) && length == 4);
    CHECK(built_option(data, size, 54, &length) && length == 4);
    CHECK(!built_option(data, size, 80, &length) && !built_option(data, size, 12, &length));
    message.current = message.wanted;
    message.wanted.s_addr = message.server.s_addr = 0;
    size = dhcp_build(&message, data);
    CHECK(memcmp(data + 10, "\0\0\x0a\x4d\0\x24", 6) == 0);
    CHECK(!built_option(data, size, 50, &length) && !built_option(data, size, 54, &length));
}

static void test_long_hostname(void)
{
    char name[301];
    struct dhcp_message message = {.type = DHCP_DISCOVER, .mac = mac, .hostname = name};
    uint8_t data[DHCP_BUILD_MAX], length;
    size_t size;

    memset(name, 'x', 300);
    name[300] = '\0';
    size = dhcp_build(&message, data);
    CHECK(built_option(data, size, 12, &length) && length == 63);
}

static void test_lease(void)
{
    struct answer a = ack_new();
    struct lease lease;

    ADD(&a, 1, 4, 255, 255, 255, 0, 3, 4, 10, 77, 0, 1, 6, 8, 10, 77, 0, 1, 192, 0, 2, 53);
    ADD(&a, 0, 0, 15, 6, 'v', 'm', '.', 'c', 'o', 'm', 26, 2, 5, 120, 80, 0);
    ADD(&a, 58, 4, 0, 0, 0, 100, 59, 4, 0, 0, 0, 200, 255, 26, 2, 0, 0);
    lease = lease_of(&a);
    CHECK_TEXT(text4(lease.address), "10.77.0.36");
    CHECK_INT(lease.prefix, 24);
    CHECK_TEXT(text4(lease.router), "10.77.0.1");
    CHECK_INT(lease.dns_count, 2);
    CHECK_TEXT(text4(lease.dns[1]), "192.0.2.53");
    CHECK_TEXT(text4(lease.server), "10.77.0.1");
    CHECK_INT(lease.mtu, 1400);
    CHECK_TEXT(lease.domain, "vm.com");
    CHECK_TEXT(lease.search, "");
    CHECK_INT(lease.seconds, 3600);
    CHECK_INT(lease.t1, 100);
    CHECK_INT(lease.t2, 200);
    CHECK(lease.rapid);
}

static void test_least(void)
{
    struct answer a = ack_new();
    struct lease lease = lease_of(&a);

    CHECK_INT(lease.prefix, 32);
    CHECK_INT(lease.router.s_addr, 0);
    CHECK_INT(lease.dns_count, 0);
    CHECK_INT(lease.mtu, 0);
    CHECK_INT(lease.t1, 1800);
    CHECK_INT(lease.t2, 3150);
    CHECK(!lease.rapid);
}

static void test_endless(void)
{
    struct answer a = answer_new(DHCP_ACK);
    struct lease lease;

    ADD(&a, 54, 4, 10, 77, 0, 1, 51, 4, 255, 255, 255, 255);
    lease = lease_of(&a);
    CHECK_INT(lease.seconds, UINT32_MAX);
    CHECK(lease.t1 <= lease.t2 && lease.t2 <= lease.seconds);
}

/* T1 behind T2, T2 behind the end: neither may stop the renewal. */
static void test_odd_times(void)
{
    struct answer a = ack_new();
    struct lease lease;

    ADD(&a, 58, 4, 0, 0, 255, 255, 59, 4, 0, 1, 0, 0);
    lease = lease_of(&a);
    CHECK_INT(lease.t1, 1800);
    CHECK_INT(lease.t2, 3150);
}

static void test_odd_values(void)
{
    struct answer a = ack_new();
    struct lease lease;

    ADD(&a, 1, 4, 255, 0, 255, 0, 3, 3, 10, 77, 0, 6, 5, 10, 77, 0, 1, 9, 26, 2, 0, 67);
    ADD(&a, 15, 5, 'a', '\n', 'b', ' ', 'c', 58, 1, 9);
    lease = lease_of(&a);
    CHECK_INT(lease.prefix, 32);
    CHECK_INT(lease.router.s_addr, 0);
    CHECK_INT(lease.dns_count, 1);
    CHECK_INT(lease.mtu, 0);
    CHECK_TEXT(lease.domain, "");
}

/* RFC 3397, 3: the list comes in two options, the second name points into the first. */
static void test_search(void)
{
    struct answer a = ack_new();

    ADD(&a, 119, 9, 3, 'e', 'n', 'g', 5, 'a', 'p', 'p', 'l');
    ADD(&a, 119, 19, 'e', 3, 'c', 'o', 'm', 0, 9, 'm', 'a', 'r', 'k', 'e', 't', 'i', 'n', 'g', 0xc0,
        4, 0);
    CHECK_TEXT(lease_of(&a).search, "eng.apple.com marketing.apple.com");
}

static void test_search_garbage(void)
{
    static const struct {
        uint8_t option[12];
        const char *expected;
    } rows[] = {
        {{119, 2, 0xc0, 0}, ""},                  /* points at itself */
        {{119, 4, 1, 'a', 0xc0, 0}, ""},          /* at its own beginning */
        {{119, 6, 0xc0, 2, 0xc0, 0, 1, 'a'}, ""}, /* forwards */
        {{119, 3, 63, 'a', 'b'}, ""},             /* label longer than the option */
        {{119, 3, 2, 'a', 'b'}, ""},              /* no end */
        {{119, 1, 0xc0}, ""},                     /* half a pointer */
        {{119, 1, 0}, ""},                        /* the root */
        {{119, 3, 0x80, 'a', 0}, ""},             /* a reserved kind of label */
        {{119, 5, 1, 'a', 0, 1, '\n'}, "a"},      /* good, then bad */
        {{119, 7, 1, 'a', 0, 1, 'b', 0xc0, 0}, "a b.a"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct answer a = ack_new();

        memcpy(a.data + a.size, rows[i].option, 2u + rows[i].option[1]);
        a.size += 2u + rows[i].option[1];
        CHECK_TEXT(lease_of(&a).search, rows[i].expected);
    }
}

/* More than fits: what fits is taken, in whole names. */
static void test_search_long(void)
{
    struct answer a = ack_new();
    struct lease lease;

    for (int piece = 0; piece < 4; piece++) {
        a.data[a.size++] = 119;
        a.data[a.size++] = 250;
        for (int i = 0; i < 50; i++, a.size += 5)
            memcpy(a.data + a.size, "\3abc", 5);
    }
    lease = lease_of(&a);
    CHECK(strlen(lease.search) < sizeof(lease.search));
    CHECK_TEXT(lease.search + strlen(lease.search) - 4, " abc");
}

/* RFC 2132, 9.3: options go on in the file and sname fields. */
static void test_overload(void)
{
    struct answer a = ack_new();
    struct lease lease;

    memcpy(a.data + 108, "\x1a\2\5\x78\xff", 5);   /* file: MTU 1400 */
    memcpy(a.data + 44, "\3\4\12\115\0\1\xff", 7); /* sname: router 10.77.0.1 */
    lease = lease_of(&a);
    CHECK_INT(lease.mtu, 0);
    ADD(&a, 52, 1, 3);
    lease = lease_of(&a);
    CHECK_INT(lease.mtu, 1400);
    CHECK_TEXT(text4(lease.router), "10.77.0.1");
}

static void test_not_ours(void)
{
    static const struct {
        size_t at;
        uint8_t value;
    } rows[] = {{0, 1}, {1, 6}, {2, 7}, {7, 5}, {28, 0}, {236, 0}, {242, 1}, {16, 224}, {16, 0}};
    struct lease lease;
    enum dhcp_type type;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct answer a = ack_new();

        a.data[rows[i].at] = rows[i].value;
        printf("# byte %zu\n", rows[i].at);
        CHECK_INT(parse(&a, &type, &lease), -EBADMSG);
    }
}

static void test_cut(void)
{
    struct answer a = ack_new();
    enum dhcp_type type;
    struct lease lease;
    size_t whole = a.size;

    for (a.size = 0; a.size < whole; a.size++)
        CHECK_INT(parse(&a, &type, &lease), -EBADMSG);
    CHECK_INT(parse(&a, &type, &lease), 0);
}

static void test_nak(void)
{
    struct answer a = answer_new(DHCP_NAK);
    struct lease lease = {.mtu = 77};
    enum dhcp_type type = 0;

    CHECK_INT(parse(&a, &type, &lease), 0);
    CHECK_INT(type, DHCP_NAK);
    CHECK_INT(lease.mtu, 77);
}

static const struct test tests[] = {
    {"DISCOVER: broadcast, rapid commit, host name, client id", test_discover},
    {"REQUEST: selecting names server and address, renewing the address in use", test_request},
    {"a long host name is cut to a label", test_long_hostname},
    {"every option of a lease", test_lease},
    {"the least a lease must have", test_least},
    {"a lease without end", test_endless},
    {"renewal times that contradict each other are replaced", test_odd_times},
    {"values that can't be are left out", test_odd_values},
    {"a compressed search list in two pieces", test_search},
    {"search lists that are none", test_search_garbage},
    {"a search list that does not fit", test_search_long},
    {"options in the file and sname fields", test_overload},
    {"messages that are not for us", test_not_ours},
    {"messages cut anywhere", test_cut},
    {"NAK", test_nak},
};
TEST_MAIN(tests)
