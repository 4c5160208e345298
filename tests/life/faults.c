/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded by test_faults.py (ld.so(8), LD_PRELOAD): fails one system call of one role, once.
 *
 *   FAULT_ROLE    "broker", "holder", "forwarder"
 *   FAULT_NUMBER  which of its calls, counted from 1 in the first process of that role
 *   FAULT_FILE    gets a line "CALL" when that happened, and "signal N" when any process of vmlan
 *                 crashes; FILE.first is made by the first process of the role
 *
 * The error is always EMFILE. Calls that are not listed below are not counted.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ROLE_AT = 5, WORDS = 16, FIRST_FREE_FD = 500 };

static int file = -1; /* opened before the forwarder's sandbox forbids it */
static long number;   /* of the call that fails; 0: none of this process */
static long count;

static void tell(const char *what)
{
    (void)!write(file, what, strlen(what));
}

static void crashed(int number_of_signal)
{
    char line[32];

    snprintf(line, sizeof(line), "signal %d\n", number_of_signal);
    tell(line);
    signal(number_of_signal, SIG_DFL);
    raise(number_of_signal);
}

/* What src/main.c calls a role; "" for every other program. */
static const char *role_of_process(char *text, size_t size)
{
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? 0 : read(fd, text, size - 1);
    char *words[WORDS];
    int n = 0;

    close(fd);
    text[got > 0 ? got : 0] = '\0';
    for (char *at = text; at < text + got && n < WORDS; at += strlen(at) + 1)
        words[n++] = at;
    return n > ROLE_AT && strcmp(words[0], "vmlan") == 0 ? words[ROLE_AT] : "";
}

__attribute__((constructor)) static void begin(void)
{
    static const int signals[] = {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL};
    const char *path = getenv("FAULT_FILE"), *wanted = getenv("FAULT_ROLE");
    char text[4096], first[4096];
    const char *role = role_of_process(text, sizeof(text));
    int fd;

    if (!path || !wanted || !*role)
        return;
    fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    file = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
    close(fd);
    for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
        signal(signals[i], crashed);
    snprintf(first, sizeof(first), "%s.first", path);
    if (strcmp(role, wanted) != 0 || (fd = open(first, O_CREAT | O_EXCL | O_CLOEXEC, 0600)) < 0)
        return;
    close(fd);
    number = atol(getenv("FAULT_NUMBER"));
}

static int fails(const char *name)
{
    if (number == 0 || ++count != number)
        return 0;
    tell(name);
    tell("\n");
    errno = EMFILE;
    return 1;
}

#define FAULT(type, name, parameters, arguments)   \
    type name parameters                           \
    {                                              \
        type(*real) parameters;                    \
                                                   \
        *(void **)&real = dlsym(RTLD_NEXT, #name); \
        if (fails(#name))                          \
            return -1;                             \
        return real arguments;                     \
    }

FAULT(int, socket, (int family, int type, int protocol), (family, type, protocol))
FAULT(int, socketpair, (int family, int type, int protocol, int *fds),
      (family, type, protocol, fds))
FAULT(int, accept4, (int fd, struct sockaddr *address, socklen_t *size, int flags),
      (fd, address, size, flags))
FAULT(int, bind, (int fd, const struct sockaddr *address, socklen_t size), (fd, address, size))
FAULT(int, connect, (int fd, const struct sockaddr *address, socklen_t size), (fd, address, size))
FAULT(int, listen, (int fd, int backlog), (fd, backlog))
FAULT(int, getsockopt, (int fd, int level, int name, void *value, socklen_t *size),
      (fd, level, name, value, size))
FAULT(int, setsockopt, (int fd, int level, int name, const void *value, socklen_t size),
      (fd, level, name, value, size))
FAULT(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))
FAULT(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags))
FAULT(int, pipe2, (int *fds, int flags), (fds, flags))
FAULT(int, epoll_create1, (int flags), (flags))
FAULT(int, epoll_ctl, (int epoll, int operation, int fd, struct epoll_event *event),
      (epoll, operation, fd, event))
FAULT(int, timerfd_create, (int clock, int flags), (clock, flags))
FAULT(int, inotify_init1, (int flags), (flags))
FAULT(int, inotify_add_watch, (int fd, const char *path, uint32_t mask), (fd, path, mask))
FAULT(int, memfd_create, (const char *name, unsigned flags), (name, flags))
FAULT(int, unshare, (int flags), (flags))
FAULT(int, setns, (int fd, int type), (fd, type))
FAULT(int, mkdir, (const char *path, mode_t mode), (path, mode))
FAULT(int, rename, (const char *from, const char *to), (from, to))
FAULT(int, ftruncate, (int fd, off_t size), (fd, size))
FAULT(pid_t, fork, (void), ())

/* Those with an argument that may be missing. */
int open(const char *path, int flags, ...)
{
    int (*real)(const char *, int, ...);
    va_list rest;
    mode_t mode;

    va_start(rest, flags);
    mode = va_arg(rest, mode_t);
    va_end(rest);
    *(void **)&real = dlsym(RTLD_NEXT, "open");
    return fails("open") ? -1 : real(path, flags, mode);
}

int fcntl(int fd, int command, ...)
{
    int (*real)(int, int, ...);
    va_list rest;
    void *argument;

    va_start(rest, command);
    argument = va_arg(rest, void *);
    va_end(rest);
    *(void **)&real = dlsym(RTLD_NEXT, "fcntl");
    return command == F_DUPFD_CLOEXEC && fails("fcntl") ? -1 : real(fd, command, argument);
}
