/* SPDX-License-Identifier: Apache-2.0 */
/* See executable.h. */
#include "broker/executable.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/own.h"
#include "config/networks.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5, include/uapi/asm-generic/socket.h */
#endif

static int pidfd_of(int socket, pid_t pid)
{
    int pidfd = -1;
    socklen_t size = sizeof(pidfd);

    if (getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) == 0)
        return pidfd;
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

static struct executable executable_at(const char *path)
{
    struct stat status;

    if (stat(path, &status) < 0)
        return (struct executable){0};
    return (struct executable){status.st_dev, status.st_ino};
}

/* The pid is looked up while it may be another's; alive afterwards means it was not. */
struct executable executable_of_peer(int socket, pid_t pid)
{
    OWN(fd) int pidfd = pidfd_of(socket, pid);
    struct executable executable;
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
    executable = executable_at(path);
    if (pidfd < 0 || syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0) < 0)
        return (struct executable){0};
    return executable;
}

bool executable_equal(const struct executable *a, const struct executable *b)
{
    return a->inode != 0 && a->device == b->device && a->inode == b->inode;
}

static bool is_private(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && (status.st_uid == geteuid() || status.st_uid == 0) &&
           !(status.st_mode & 022);
}

static bool is_listed(const struct executable *executable, const struct networks *networks)
{
    json_t *path;
    size_t index;

    json_array_foreach(networks->clients, index, path) {
        struct executable listed = executable_at(json_string_value(path));

        if (executable_equal(executable, &listed))
            return is_private(networks->source);
    }
    return false;
}

int executable_allowed(const struct executable *executable, struct error *error)
{
    struct executable own = executable_at("/proc/self/exe");
    OWN(networks) struct networks networks = {0};
    OWN(faults) struct faults faults = {0};

    if (executable_equal(executable, &own))
        return 0;
    if (networks_load(NULL, &networks, &faults) < 0) {
        *error = faults.items[0];
        return -EPERM;
    }
    if (is_listed(executable, &networks))
        return 0;
    error_set(error, -EPERM, ERROR_PERMISSION,
              "the namespaces of a network are handed only to the vmlan that runs this broker and "
              "to programs listed under clients: in networks.yaml");
    error_hint(error, "use vmlan exec, or list the program; if vmlan was upgraded: vmlan service "
                      "restart");
    return -EPERM;
}
