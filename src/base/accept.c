/* SPDX-License-Identifier: Apache-2.0 */
/* See accept.h. */
#include "base/accept.h"

#include <errno.h>
#include <fcntl.h>

#include "base/credentials.h"
#include "base/own.h"

/* Kept for when there is no other, for all listeners of the process: a connection that could not be
 * taken would wake the loop again and again, and its peer would wait for as long. */
static int spare = -1;

static int take(int listener)
{
    return accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

static void turn_away(int listener)
{
    OWN(fd) int fd = -1;

    fd_close(&spare);
    fd = take(listener);
}

void accept_spare(int listener)
{
    if (spare < 0)
        spare = fcntl(listener, F_DUPFD_CLOEXEC, 0);
}

int accept_next(int listener, struct ucred *ret_who)
{
    OWN(fd) int fd = take(listener);
    int r = fd < 0 ? -errno : credentials_of(fd, ret_who);

    if (r == -EMFILE || r == -ENFILE)
        turn_away(listener);
    accept_spare(listener);
    return r < 0 ? r : take_fd(&fd);
}
