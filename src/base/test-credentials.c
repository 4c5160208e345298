/* SPDX-License-Identifier: Apache-2.0 */
/* Who connected. */
#include "base/credentials.h"

#include <errno.h>
#include <fcntl.h>

#include "base/own.h"
#include "base/test.h"

static void test_of(void)
{
    OWN(fd) int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct ucred who = {.pid = -1};
    int pair[2];

    CHECK_INT(credentials_of(file, &who), -ENOTSOCK);
    CHECK_INT(who.pid, -1);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    CHECK_INT(credentials_of(pair[0], &who), 0);
    CHECK_INT(who.pid, getpid());
    close(pair[0]);
    close(pair[1]);
}

static void test_trusted(void)
{
    CHECK(credentials_trusted(&(struct ucred){.uid = geteuid()}));
    CHECK(credentials_trusted(&(struct ucred){.uid = 0}));
    CHECK(!credentials_trusted(&(struct ucred){.uid = geteuid() + 1}));
}

static const struct test tests[] = {
    {"a socket, and what is none", test_of},
    {"our own user and root", test_trusted},
};

TEST_MAIN(tests)
