/* SPDX-License-Identifier: Apache-2.0 */
/* The look-up of guests' names: its messages, and forwards to names. */
#include "uplink/test-forwards.h"

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

static const struct test tests[] = {
    {"questions and answers of DNS", test_messages},
    {"guests by name, asked once, over either family", test_names},
};

int main(void)
{
    return forwards_test_main(tests, ARRAY_SIZE(tests));
}
