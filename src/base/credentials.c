/* SPDX-License-Identifier: Apache-2.0 */
/* See credentials.h. */
#include "base/credentials.h"

#include <errno.h>

#include "base/own.h"

int credentials_of(int fd, struct ucred *ret_who)
{
    struct ucred who;
    socklen_t size = sizeof(who);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0)
        return -errno;
    *ret_who = who;
    return 0;
}

int credentials_accept(int listener, struct ucred *ret_who)
{
    OWN(fd) int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    int r = fd < 0 ? -errno : credentials_of(fd, ret_who);

    return r < 0 ? r : take_fd(&fd);
}

bool credentials_trusted(const struct ucred *who)
{
    return who->uid == geteuid() || who->uid == 0;
}
