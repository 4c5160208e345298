/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets handed over by a service manager, and what it is told. */
#include "base/manager.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/own.h"
#include "base/test.h"

/* Runs check in a child that was "started" with count sockets at 3, 4, …; its answer. */
static int started_with(int count, const char *pid, const char *fds, const char *names,
                        int (*check)(void))
{
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
        char own[16];

        for (int i = 0; i < count; i++) {
            int fd = socket(AF_UNIX, SOCK_STREAM, 0);

            dup2(fd, MANAGER_FIRST_FD + i);
            if (fd >= MANAGER_FIRST_FD + count)
                close(fd);
        }
        for (int fd = MANAGER_FIRST_FD + count; fd < 32; fd++)
            close(fd);
        snprintf(own, sizeof(own), "%d", (int)getpid());
        setenv("LISTEN_PID", pid ? pid : own, 1);
        setenv("LISTEN_FDS", fds, 1);
        if (names)
            setenv("LISTEN_FDNAMES", names, 1);
        _exit(check());
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static struct manager_fd given[MANAGER_FDS_MAX];

static int two_with_names(void)
{
    return manager_listen(given) == 2 && given[0].fd == 3 && given[1].fd == 4 &&
           strcmp(given[0].name, "broker") == 0 && strcmp(given[1].name, "stream.shared") == 0 &&
           fcntl(3, F_GETFD) == FD_CLOEXEC && (fcntl(4, F_GETFL) & O_NONBLOCK) &&
           !getenv("LISTEN_PID") && !getenv("LISTEN_FDS") && !getenv("LISTEN_FDNAMES") &&
           manager_listen(given) == 0;
}

static void test_names(void)
{
    CHECK_INT(started_with(2, NULL, "2", "broker:stream.shared", two_with_names), 1);
}

static int one_without_name(void)
{
    return manager_listen(given) == 1 && given[0].fd == 3 && given[0].name[0] == '\0';
}

static void test_without_names(void)
{
    CHECK_INT(started_with(1, NULL, "1", NULL, one_without_name), 1);
}

static int three_with_odd_names(void)
{
    return manager_listen(given) == 3 && given[0].name[0] == '\0' &&
           strlen(given[1].name) == MANAGER_NAME_SIZE - 1 && given[2].name[0] == '\0';
}

static void test_odd_names(void)
{
    CHECK_INT(
        started_with(3, NULL, "3",
                     ":0123456789012345678901234567890123456789012345678901234567890123456789",
                     three_with_odd_names),
        1);
}

static int none(void)
{
    return manager_listen(given) == 0 && !getenv("LISTEN_FDS");
}

static void test_of_another_process(void)
{
    CHECK_INT(started_with(1, "1", "1", "broker", none), 1);
    CHECK_INT(started_with(0, NULL, "0", NULL, none), 1);
}

static int nonsense(void)
{
    return manager_listen(given) == -EINVAL && !getenv("LISTEN_FDS");
}

static void test_nonsense(void)
{
    static const char *const counts[] = {"", "x", "-1", "1x", "100000", "2" /* and one socket */};

    for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
        CHECK_INT(started_with(1, NULL, counts[i], NULL, nonsense), 1);
    CHECK_INT(started_with(1, "me", "1", NULL, nonsense), 1);
}

/* A manager that listens at path ("@…": abstract). */
static int manager_make(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    memcpy(address.sun_path, path, strlen(path));
    if (*path == '@')
        address.sun_path[0] = '\0';
    CHECK(bind(fd, (struct sockaddr *)&address,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path))) == 0);
    return fd;
}

static void notify_at(const char *path)
{
    OWN(fd) int manager = manager_make(path);
    char heard[64] = "";

    setenv("NOTIFY_SOCKET", path, 1);
    CHECK_INT(manager_notify("READY=1"), 0);
    unsetenv("NOTIFY_SOCKET");
    CHECK_INT(recv(manager, heard, sizeof(heard) - 1, 0), 7);
    CHECK_TEXT(heard, "READY=1");
}

static void test_notify(void)
{
    char path[64];

    snprintf(path, sizeof(path), "/tmp/vmlan-test-manager-%d", (int)getpid());
    notify_at(path);
    unlink(path);
    snprintf(path, sizeof(path), "@vmlan-test-manager-%d", (int)getpid());
    notify_at(path);
}

static void test_notify_nobody(void)
{
    char path[200] = "/";

    unsetenv("NOTIFY_SOCKET");
    CHECK_INT(manager_notify("READY=1"), 0);
    setenv("NOTIFY_SOCKET", "/nonexistent/socket", 1);
    CHECK_INT(manager_notify("READY=1"), -ENOENT);
    setenv("NOTIFY_SOCKET", "vsock:2:1", 1);
    CHECK_INT(manager_notify("READY=1"), -EINVAL);
    memset(path + 1, 'x', sizeof(path) - 2);
    setenv("NOTIFY_SOCKET", path, 1);
    CHECK_INT(manager_notify("READY=1"), -EINVAL);
    unsetenv("NOTIFY_SOCKET");
}

static const struct test tests[] = {
    {"sockets with names", test_names},
    {"a socket without a name", test_without_names},
    {"names that are missing, empty or too long", test_odd_names},
    {"sockets of another process", test_of_another_process},
    {"an environment that is nonsense", test_nonsense},
    {"a manager is told", test_notify},
    {"a manager that is not there", test_notify_nobody},
};

TEST_MAIN(tests)
