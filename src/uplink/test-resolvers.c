/* SPDX-License-Identifier: Apache-2.0 */
/* resolv.conf as systems write it, as no program should, and while it changes. */
#include "uplink/resolvers.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/own.h"
#include "base/test.h"

/* The addresses, each with its zone and a space behind it. */
static void list_print(struct buf *text, const struct resolvers *resolvers)
{
    for (size_t i = 0; i < resolvers->count; i++) {
        const union endpoint *e = &resolvers->list[i];
        bool v4 = e->any.sa_family == AF_INET;
        char address[INET6_ADDRSTRLEN];

        inet_ntop(e->any.sa_family, v4 ? (void *)&e->v4.sin_addr : (void *)&e->v6.sin6_addr,
                  address, sizeof(address));
        buf_printf(text, "%s", address);
        if (!v4 && e->v6.sin6_scope_id)
            buf_printf(text, "%%%u", e->v6.sin6_scope_id);
        buf_printf(text, " ");
    }
}

static void check_parsed(const char *content, const char *expected)
{
    struct resolvers resolvers = {0};
    OWN(buf) struct buf is = BUF_NULL;

    resolvers_parse(&resolvers, content, strlen(content));
    list_print(&is, &resolvers);
    CHECK_TEXT(buf_text(&is), expected);
    CHECK_INT(ntohs(resolvers.list[0].v4.sin_port), 53);
}

static void test_parse(void)
{
    check_parsed("nameserver 192.0.2.53\n", "192.0.2.53 ");
    check_parsed("# made by systemd-resolved\nnameserver 127.0.0.53\noptions edns0\nsearch .\n",
                 "127.0.0.53 ");
    check_parsed("nameserver\t 2001:db8::53  \nnameserver 192.0.2.1", "2001:db8::53 192.0.2.1 ");
    check_parsed("nameserver fe80::1%lo\nnameserver fe80::2%7\n", "fe80::1%1 fe80::2%7 ");
    check_parsed("nameserver 192.0.2.1 # the first\nnameserver 192.0.2.2 192.0.2.3\n",
                 "192.0.2.1 192.0.2.2 ");
    check_parsed("nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\n"
                 "nameserver 192.0.2.4\n",
                 "192.0.2.1 192.0.2.2 192.0.2.3 ");
}

static void test_none(void)
{
    static const char *const contents[] = {
        "",
        "\n\n",
        "search example.org\n",
        ";nameserver 192.0.2.1\n",
        "#nameserver 192.0.2.1\n",
        " nameserver 192.0.2.1\n",
        "nameserver",
        "nameserver\n",
        "nameserver \n192.0.2.1\n",
        "nameserver192.0.2.1\n",
        "nameservers 192.0.2.1\n",
        "nameserver 192.0.2\n",
        "nameserver 192.0.2.1.5\n",
        "nameserver resolver.example.org\n",
        "nameserver fe80::1%nolink0\n",
        "nameserver fe80::1%-1\n",
        "nameserver fe80::1%4294967296\n",
        "nameserver fe80::1%\n",
        "nameserver 2001:db8:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa:aaaa\n",
    };

    for (size_t i = 0; i < ARRAY_SIZE(contents); i++)
        check_parsed(contents[i], "127.0.0.1 ");
}

static void check_refreshed(struct resolvers *resolvers, const char *expected)
{
    OWN(buf) struct buf is = BUF_NULL;

    resolvers_refresh(resolvers);
    list_print(&is, resolvers);
    CHECK_TEXT(buf_text(&is), expected);
}

static void content_write(const char *path, const char *text)
{
    OWN(fd) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

static void test_refresh(void)
{
    char folder[] = "/tmp/test-resolvers.XXXXXX", path[64], other[64];
    struct resolvers resolvers;

    CHECK(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/resolv.conf", folder);
    snprintf(other, sizeof(other), "%s/other", folder);
    setenv("VMLAN_RESOLV_CONF", path, 1);
    resolvers_init(&resolvers);
    check_refreshed(&resolvers, "127.0.0.1 ");
    content_write(path, "nameserver 192.0.2.1\n");
    check_refreshed(&resolvers, "192.0.2.1 ");
    check_refreshed(&resolvers, "192.0.2.1 ");
    content_write(path, "nameserver 192.0.2.22\n"); /* in place */
    check_refreshed(&resolvers, "192.0.2.22 ");
    content_write(other, "nameserver 192.0.2.33\n"); /* another file of the same size */
    CHECK_INT(rename(other, path), 0);
    check_refreshed(&resolvers, "192.0.2.33 ");
    content_write(other, "nameserver ::1\n");
    CHECK_INT(unlink(path), 0);
    check_refreshed(&resolvers, "127.0.0.1 ");
    CHECK_INT(symlink("other", path), 0);
    check_refreshed(&resolvers, "::1 ");
    unlink(path);
    unlink(other);
    CHECK_INT(rmdir(folder), 0);
    unsetenv("VMLAN_RESOLV_CONF");
    resolvers_init(&resolvers);
    CHECK_TEXT(resolvers.path, "/etc/resolv.conf");
}

static const struct test tests[] = {
    {"name servers, IPv6 and zones included, at most three", test_parse},
    {"without a name server it is 127.0.0.1", test_none},
    {"a change of the file counts at the next look", test_refresh},
};
TEST_MAIN(tests)
