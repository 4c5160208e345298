/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that are taken, also when there is no descriptor for them. */
#include "base/accept.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
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

    CHECK_INT(accept_next(listener, &who), -EAGAIN);
    CHECK_INT(who.pid, -1);
    child = fork();
    if (child == 0) {
        fd = socket(AF_UNIX, SOCK_STREAM, 0);
        _exit(connect(fd, (struct sockaddr *)&address, size) < 0);
    }
    waitpid(child, &status, 0);
    CHECK_INT(status, 0);
    fd = accept_next(listener, &who);
    CHECK(fd >= 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC) && (fcntl(fd, F_GETFL) & O_NONBLOCK));
    CHECK_INT(who.pid, child);
    CHECK_INT(who.uid, geteuid());
    CHECK_INT(who.gid, getegid());
    close(fd);
    CHECK_INT(accept_next(listener, &who), -EAGAIN);
    close(listener);
    CHECK_INT(fds_open(), before + 1); /* the spare one */
}

enum { FDS = 64 };

static bool readable(int fd)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};

    return poll(&one, 1, 0) == 1;
}

/* All there may be. */
static void fds_use_up(int *fds, int listener)
{
    struct rlimit limit = {.rlim_cur = FDS, .rlim_max = FDS};

    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (int i = 0; i < FDS; i++)
        fds[i] = fcntl(listener, F_DUPFD_CLOEXEC, 0);
    CHECK(fds[FDS - 1] < 0 && errno == EMFILE);
}

/* The connection is closed instead of waking us for ever, and the next one is taken. */
static void test_no_descriptor(void)
{
    int fds[FDS], listener, one, other;
    struct sockaddr_un address;
    socklen_t size;
    struct ucred who;
    char byte;

    listener = listener_make(&address, &size);
    one = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    other = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    CHECK_INT(accept_next(listener, &who), -EAGAIN); /* has its spare one from now on */
    fds_use_up(fds, listener);
    CHECK_INT(connect(one, (struct sockaddr *)&address, size), 0);
    CHECK_INT(accept_next(listener, &who), -EMFILE);
    CHECK(!readable(listener));
    CHECK_INT(recv(one, &byte, 1, 0), 0);
    for (int i = 0; i < FDS && fds[i] >= 0; i++)
        close(fds[i]);
    CHECK_INT(connect(other, (struct sockaddr *)&address, size), 0);
    close(accept_next(listener, &who));
    CHECK_INT(who.pid, getpid());
    close(one);
    close(other);
    close(listener);
}

static const struct test tests[] = {
    {"a connection that is taken", test_accept},
    {"no descriptor for it", test_no_descriptor},
};

TEST_MAIN(tests)
