/* SPDX-License-Identifier: Apache-2.0 */
/* See credentials.h. */
#include "base/credentials.h"

#include <errno.h>
#include <unistd.h>

int credentials_of(int fd, struct ucred *ret_who)
{
    struct ucred who;
    socklen_t size = sizeof(who);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0)
        return -errno;
    *ret_who = who;
    return 0;
}

bool credentials_trusted(const struct ucred *who)
{
    return who->uid == geteuid() || who->uid == 0;
}
