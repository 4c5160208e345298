/* SPDX-License-Identifier: Apache-2.0 */
/* Who connected. */
#include "base/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/own.h"
#include "base/test-fds.h"
#include "base/test.h"

/* A listener at an abstract name that the kernel chooses; address: where it is. */
static int listener_make(struct sockaddr_un *address, socklen_t *size)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    *size = sizeof(address->sun_family);
    CHECK(bind(fd, (struct sockaddr *)address, *size) == 0 && listen(fd, 1) == 0);
    *size = sizeof(*address);
    CHECK(getsockname(fd, (struct sockaddr *)address, size) == 0);
    return fd;
}

static void test_accept(void)
{
    int before = fds_open();
    struct sockaddr_un address;
    socklen_t size;
    int listener = listener_make(&address, &size), fd, status = -1;
    struct ucred who = {.pid = -1};
    pid_t child;

    CHECK_INT(credentials_accept(listener, &who), -EAGAIN);
    CHECK_INT(who.pid, -1);
    child = fork();
    if (child == 0) {
        fd = socket(AF_UNIX, SOCK_STREAM, 0);
        _exit(connect(fd, (struct sockaddr *)&address, size) < 0);
    }
    waitpid(child, &status, 0);
    CHECK_INT(status, 0);
    fd = credentials_accept(listener, &who);
    CHECK(fd >= 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC) && (fcntl(fd, F_GETFL) & O_NONBLOCK));
    CHECK_INT(who.pid, child);
    CHECK_INT(who.uid, geteuid());
    CHECK_INT(who.gid, getegid());
    close(fd);
    CHECK_INT(credentials_accept(listener, &who), -EAGAIN);
    close(listener);
    CHECK_INT(fds_open(), before);
}

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
    {"a connection that is taken", test_accept},
    {"a socket, and what is none", test_of},
    {"our own user and root", test_trusted},
};

TEST_MAIN(tests)
