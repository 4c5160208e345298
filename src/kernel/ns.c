/* SPDX-License-Identifier: Apache-2.0 */
/* See ns.h. */
#include "kernel/ns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "made/version.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71 /* Linux 5.14, include/uapi/asm-generic/socket.h */
#endif

static int file_write(const char *path, const char *text)
{
    OWN(fd) int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

/* The first number in a file under /proc/sys; fallback when it can't be read. */
static long number_read(const char *path, long fallback)
{
    OWN(file) FILE *file = fopen(path, "re");
    long number;

    return file && fscanf(file, "%ld", &number) == 1 ? number : fallback;
}

/* The switches that forbid user namespaces, each with the value that does and the cure. */
static const struct ns_switch {
    const char *path;
    long forbids;
    const char *reason, *hint;
} ns_switches[] = {
    {"/proc/sys/kernel/unprivileged_userns_clone", 0,
     "the kernel forbids user namespaces to ordinary users (kernel.unprivileged_userns_clone is 0)",
     "as root: echo kernel.unprivileged_userns_clone=1 > /etc/sysctl.d/50-vmlan.conf && "
     "sysctl --system"},
    {"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", 1,
     "AppArmor forbids user namespaces to programs without a profile "
     "(kernel.apparmor_restrict_unprivileged_userns is 1)",
     "install vmlan's profile, as root: cp " VMLAN_APPARMOR
     " /etc/apparmor.d/ && apparmor_parser -r "
     "/etc/apparmor.d/vmlan"},
    {"/proc/sys/user/max_user_namespaces", 0,
     "this machine allows no user namespaces (user.max_user_namespaces is 0)",
     "as root: echo user.max_user_namespaces=15000 > /etc/sysctl.d/50-vmlan.conf && "
     "sysctl --system"},
    {"/proc/sys/user/max_net_namespaces", 0,
     "this machine allows no network namespaces (user.max_net_namespaces is 0)",
     "as root: echo user.max_net_namespaces=15000 > /etc/sysctl.d/50-vmlan.conf && "
     "sysctl --system"},
};

/* Says in error why user namespaces can't be made here and what cures it; -EPERM, or 0 when nothing
 * known forbids them. */
static int ns_explain(struct error *error)
{
    for (size_t i = 0; i < ARRAY_SIZE(ns_switches); i++) {
        const struct ns_switch *s = &ns_switches[i];

        if (number_read(s->path, s->forbids + 1) != s->forbids)
            continue;
        error_set(error, -EPERM, ERROR_UNAVAILABLE, "%s", s->reason);
        error_hint(error, "%s", s->hint);
        return -EPERM;
    }
    return 0;
}

/* Which limit, and of which namespace around this one, can't be told: unshare(2), ENOSPC. */
static int ns_used_up(struct error *error)
{
    error_set(error, -ENOSPC, ERROR_UNAVAILABLE,
              "there are as many namespaces as this machine allows (user.max_user_namespaces, "
              "user.max_net_namespaces)");
    error_hint(error, "end networks, guests or containers that are not needed, or, as root, write "
                      "larger numbers into /etc/sysctl.d/50-vmlan.conf && sysctl --system");
    return -ENOSPC;
}

static int ns_refused(int code, struct error *error)
{
    if (ns_explain(error) < 0)
        return code;
    if (code == -ENOSPC)
        return ns_used_up(error);
    error_system(error, code, "cannot make a user and network namespace");
    error_hint(error, "run vmlan doctor; inside a container the container must allow it");
    return code;
}

/* Maps root in the new user namespace to uid and gid of the creator: user_namespaces(7). */
static int ids_map(uid_t uid, gid_t gid)
{
    char map[64];
    int r;

    r = file_write("/proc/self/setgroups", "deny");
    if (r < 0 && r != -ENOENT)
        return r;
    snprintf(map, sizeof(map), "0 %u 1", uid);
    r = file_write("/proc/self/uid_map", map);
    if (r < 0)
        return r;
    snprintf(map, sizeof(map), "0 %u 1", gid);
    return file_write("/proc/self/gid_map", map);
}

int ns_unshare(struct error *error)
{
    uid_t uid = geteuid();
    gid_t gid = getegid();
    int r;

    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
        return ns_refused(-errno, error);
    r = ids_map(uid, gid);
    return r < 0 ? ns_refused(r, error) : 0;
}

int ns_enter(const struct ns *ns, struct error *error)
{
    if (setns(ns->user, CLONE_NEWUSER) < 0)
        return error_system(error, -errno, "cannot enter the network's user namespace");
    if (setns(ns->net, CLONE_NEWNET) < 0)
        return error_system(error, -errno, "cannot enter the network's namespace");
    return 0;
}

static int ns_open(const char *process, struct ns *ret)
{
    OWN(ns) struct ns ns = NS_NULL;
    char path[64];

    snprintf(path, sizeof(path), "/proc/%s/ns/user", process);
    ns.user = open(path, O_RDONLY | O_CLOEXEC);
    snprintf(path, sizeof(path), "/proc/%s/ns/net", process);
    ns.net = open(path, O_RDONLY | O_CLOEXEC);
    if (ns.user < 0 || ns.net < 0)
        return -errno;
    ret->user = take_fd(&ns.user);
    ret->net = take_fd(&ns.net);
    return 0;
}

int ns_current(struct ns *ret)
{
    return ns_open("self", ret);
}

/* The process that is in the new pair until its fds were opened: tells whether it could be made,
 * then waits to be killed, or for the end of who made it. It has copies of all that one's sockets,
 * and nobody would find out that a listener among them is served no more. */
static void ns_sit(int parent) __attribute__((noreturn));
static void ns_sit(int parent)
{
    struct error error = {0};
    char byte;

    ns_unshare(&error);
    if (write(parent, &error, sizeof(error)) == (ssize_t)sizeof(error))
        while (read(parent, &byte, 1) < 0 && errno == EINTR)
            continue;
    _exit(0);
}

int ns_make(struct ns *ret, struct error *error)
{
    struct error result;
    char process[16];
    int ends[2], r;
    ssize_t got;
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return error_system(error, -errno, "socketpair");
    pid = fork();
    if (pid == 0) {
        close(ends[0]);
        ns_sit(ends[1]);
    }
    close(ends[1]);
    got = pid < 0 ? -1 : read(ends[0], &result, sizeof(result));
    if (pid < 0 || got != (ssize_t)sizeof(result)) {
        r = error_system(error, pid < 0 ? -errno : -EIO, "cannot make a namespace");
    } else if (result.code < 0) {
        r = result.code;
        if (error)
            *error = result;
    } else {
        snprintf(process, sizeof(process), "%d", (int)pid);
        r = ns_open(process, ret);
        if (r < 0)
            error_system(error, r, "cannot open the new namespace");
    }
    if (pid > 0) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    close(ends[0]);
    return r;
}

uint64_t ns_cookie(int fd)
{
    uint64_t cookie = 0;
    socklen_t size = sizeof(cookie);

    return getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) < 0 ? 0 : cookie;
}

bool ns_has_ipv6(void)
{
    OWN(fd) int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    return fd >= 0 || errno != EAFNOSUPPORT;
}

int ns_sysctl(const char *path, const char *value)
{
    char full[256];

    snprintf(full, sizeof(full), "/proc/sys/%s", path);
    return file_write(full, value);
}

static bool sysctl_is(const char *path, const char *value)
{
    long number = strtol(value, NULL, 10);
    char full[256];

    snprintf(full, sizeof(full), "/proc/sys/%s", path);
    return number_read(full, number + 1) == number;
}

int ns_setting(const char *path, const char *value, struct error *error)
{
    int r = ns_sysctl(path, value);

    if (r >= 0 || r == -ENOENT || sysctl_is(path, value))
        return 0;
    error_system(error, r, "cannot set /proc/sys/%s to %s", path, value);
    error_hint(error, "in a container, start that with /proc/sys writable (podman: --security-opt "
                      "unmask=/proc/sys; docker: --security-opt systempaths=unconfined)");
    return r;
}
