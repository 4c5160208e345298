/* SPDX-License-Identifier: Apache-2.0 */
/* Lease files as dnsmasq 2.90 writes them, and as no program should. */
#include "network/leases.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/own.h"
#include "base/test.h"

#define NOW 1700000000
#define V4  "1700000900 52:54:00:00:00:01 192.168.107.50 guesta 01:52:54:00:00:00:01\n"

/* The leases of text in one line: "[…]"; the caller frees it. */
static char *parsed(const char *text, size_t size)
{
    OWN(json) json_t *leases = leases_parse(text, size, NOW);
    char *dump = json_dumps(leases, JSON_COMPACT);

    return dump ? dump : alloc_text("not an array");
}

static void check_parsed(const char *text, const char *expected)
{
    OWN(mem) char *is = parsed(text, strlen(text));

    CHECK_TEXT(is, expected);
}

#define A50                                                                              \
    "{\"address\":\"192.168.107.50\",\"mac\":\"52:54:00:00:00:01\",\"name\":\"guesta\"," \
    "\"expires\":1700000900}"

static void test_v4(void)
{
    check_parsed(V4, "[" A50 "]");
    check_parsed("1700000900 52:54:00:00:00:02 192.168.107.51 * *\n",
                 "[{\"address\":\"192.168.107.51\",\"mac\":\"52:54:00:00:00:02\",\"name\":null,"
                 "\"expires\":1700000900}]");
    /* a hardware type other than Ethernet stands in front: dnsmasq, src/lease.c */
    check_parsed("1700000900 20-52:54:00:00:00:02 192.168.107.51 x *\n",
                 "[{\"address\":\"192.168.107.51\",\"mac\":null,\"name\":\"x\","
                 "\"expires\":1700000900}]");
}

static void test_v6(void)
{
    check_parsed(V4 "duid 00:01:00:01:2d:00:00:00:52:55:56:00:00:01\n"
                    "1700000900 1 fd00::1abc guesta 00:01:00:01:2d:31:17:0c:52:54:00:00:00:01\n"
                    "1700000900 T2 fd00::1abd * 00:03:00:01:52:54:00:00:00:02\n"
                    "1700000900 3 fd00::1abe b 00:02:00:00:ab:11:01:02:03:04:05:06\n"
                    "1700000900 4 fd00::1abf c 00:03:00:06:52:54:00:00:00:02\n",
                 "[" A50
                 ",{\"address\":\"fd00::1abc\",\"mac\":\"52:54:00:00:00:01\",\"name\":\"guesta\","
                 "\"expires\":1700000900}"
                 ",{\"address\":\"fd00::1abd\",\"mac\":\"52:54:00:00:00:02\",\"name\":null,"
                 "\"expires\":1700000900}"
                 ",{\"address\":\"fd00::1abe\",\"mac\":null,\"name\":\"b\",\"expires\":1700000900}"
                 ",{\"address\":\"fd00::1abf\",\"mac\":null,\"name\":\"c\",\"expires\":1700000900}"
                 "]");
}

static void test_expiry(void)
{
    check_parsed("1700000000 52:54:00:00:00:01 192.168.107.50 guesta *\n", "[]");
    check_parsed("1699999999 52:54:00:00:00:01 192.168.107.50 guesta *\n", "[]");
    check_parsed("0 52:54:00:00:00:01 192.168.107.50 guesta *\n",
                 "[{\"address\":\"192.168.107.50\",\"mac\":\"52:54:00:00:00:01\","
                 "\"name\":\"guesta\",\"expires\":0}]");
}

static void test_incomplete(void)
{
    static const char whole[] = V4;

    check_parsed("", "[]");
    for (size_t size = 0; size < sizeof(whole) - 1; size++) {
        OWN(mem) char *is = parsed(whole, size);

        CHECK_TEXT(is, "[]");
    }
    check_parsed(V4 "1700000900 52:54:00:00:00:02 192.168.107.5", "[" A50 "]");
}

static void test_garbage(void)
{
    static const char *const lines[] = {
        "\n",
        "\n\n\n",
        "duid\n",
        "hello\n",
        "1700000900\n",
        "1700000900 52:54:00:00:00:01 192.168.107.50 guesta\n",
        "1700000900 52:54:00:00:00:01 192.168.107.50 guesta * more\n",
        "1700000900  192.168.107.50 guesta *\n",
        "x 52:54:00:00:00:01 192.168.107.50 guesta *\n",
        "-5 52:54:00:00:00:01 192.168.107.50 guesta *\n",
        "17000009000000000000000000 52:54:00:00:00:01 192.168.107.50 guesta *\n",
        "1700000900 52:54:00:00:00:01 192.168.107.500 guesta *\n",
        "1700000900 52:54:00:00:00:01 fd00::1 guesta *\n",
    };

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        check_parsed(lines[i], "[]");
    check_parsed("duid 00\n" V4, "[]");
    check_parsed("1700000900 52:54:00:00:00:01 192.168.107.50 \xff\xfe *\n",
                 "[{\"address\":\"192.168.107.50\",\"mac\":\"52:54:00:00:00:01\",\"name\":null,"
                 "\"expires\":1700000900}]");
}

static void test_load(void)
{
    OWN(mem) char *path = alloc_text("/tmp/test-leases.XXXXXX");
    OWN(fd) int fd = mkostemp(path, O_CLOEXEC);
    OWN(json) json_t *leases = NULL;
    OWN(json) json_t *none = NULL;

    CHECK(fd >= 0);
    CHECK(dprintf(fd, "0 52:54:00:00:00:01 192.168.107.50 guesta *\n") > 0);
    CHECK_INT(leases_load(path, &leases), 0);
    CHECK_INT(json_array_size(leases), 1);
    unlink(path);
    CHECK_INT(leases_load(path, &none), 0);
    CHECK_INT(json_array_size(none), 0);
    CHECK_INT(leases_load("/", &none), -EISDIR);
}

static void test_remove(void)
{
    OWN(mem) char *path = alloc_text("/tmp/test-leases.XXXXXX");
    OWN(fd) int fd = mkostemp(path, O_CLOEXEC);
    OWN(json)
    json_t *addresses =
        json_pack("{sb sb sb}", "192.168.107.50", 1, "fd00::1abc", 1, "192.168.107.99", 1);
    char kept[256] = "";
    struct error error;

    CHECK(dprintf(fd, V4 "1700000900 52:54:00:00:00:02 192.168.107.5 * *\nduid 00:01\n"
                         "1700000900 1 fd00::1abc a 00:03:00:01:52:54:00:00:00:01\n"
                         "1700000900 2 fd00::1abd b 00:03:00:01:52:54:00:00:00:02\n") > 0);
    CHECK_INT(leases_remove(path, addresses, &error), 0);
    {
        OWN(fd) int again = open(path, O_RDONLY | O_CLOEXEC);

        CHECK(read(again, kept, sizeof(kept) - 1) > 0);
    }
    unlink(path);
    CHECK_TEXT(kept, "1700000900 52:54:00:00:00:02 192.168.107.5 * *\nduid 00:01\n"
                     "1700000900 2 fd00::1abd b 00:03:00:01:52:54:00:00:00:02\n");
    CHECK_INT(leases_remove("/", addresses, &error), -EISDIR);
}

static const struct test tests[] = {
    {"IPv4 leases", test_v4},
    {"IPv6 leases, with the MAC address from the DUID", test_v6},
    {"leases that ended are left out, endless ones stay", test_expiry},
    {"an incomplete last line is passed over", test_incomplete},
    {"lines that are no lease are passed over", test_garbage},
    {"leases are taken out of a file, and nothing else", test_remove},
    {"a file is read; a missing one has no leases", test_load},
};
TEST_MAIN(tests)
