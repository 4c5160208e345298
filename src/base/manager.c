/* SPDX-License-Identifier: Apache-2.0 */
/* See manager.h. */
#include "base/manager.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/own.h"

static bool number_parse(const char *text, long max, long *ret)
{
    char *end;
    long value;

    errno = 0;
    value = strtol(text, &end, 10);
    if (errno || end == text || *end || value < 0 || value > max)
        return false;
    *ret = value;
    return true;
}

/* The name at *rest, which is moved behind it; "a:b:c", NULL: there are none. */
static void name_take(const char **rest, char *name)
{
    size_t length;

    *name = '\0';
    if (!*rest)
        return;
    length = strcspn(*rest, ":");
    snprintf(name, MANAGER_NAME_SIZE, "%.*s", (int)length, *rest);
    *rest += length;
    if (**rest == ':')
        ++*rest;
}

static int fds_take(long count, const char *names, struct manager_fd *ret)
{
    for (int i = 0; i < count; i++) {
        struct manager_fd *one = &ret[i];
        int flags;

        one->fd = MANAGER_FIRST_FD + i;
        flags = fcntl(one->fd, F_GETFL);
        if (flags < 0 || fcntl(one->fd, F_SETFD, FD_CLOEXEC) < 0 ||
            fcntl(one->fd, F_SETFL, flags | O_NONBLOCK) < 0)
            return -EINVAL;
        name_take(&names, one->name);
    }
    return (int)count;
}

int manager_listen(struct manager_fd *ret)
{
    const char *pid_text = getenv("LISTEN_PID"), *count_text = getenv("LISTEN_FDS");
    long pid, count;
    int r = 0;

    if (pid_text && count_text) {
        if (!number_parse(pid_text, INT32_MAX, &pid) ||
            !number_parse(count_text, MANAGER_FDS_MAX, &count))
            r = -EINVAL;
        else if (pid == getpid())
            r = fds_take(count, getenv("LISTEN_FDNAMES"), ret);
    }
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return r;
}

int manager_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = path ? strlen(path) : 0;
    OWN(fd) int fd = -1;

    if (!path)
        return 0;
    if ((*path != '/' && *path != '@') || length >= sizeof(address.sun_path))
        return -EINVAL;
    memcpy(address.sun_path, path, length);
    if (*path == '@') /* an abstract address */
        address.sun_path[0] = '\0';
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&address,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0)
        return -errno;
    return 0;
}
