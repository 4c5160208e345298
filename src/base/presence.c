/* SPDX-License-Identifier: Apache-2.0 */
/* See presence.h. */
#include "base/presence.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/own.h"

bool presence_holds(const struct presence *presence)
{
    struct stat status;

    return presence->path && stat(presence->path, &status) == 0 &&
           status.st_dev == presence->device && status.st_ino == presence->inode;
}

static void changed(struct source *source, uint32_t events)
{
    struct presence *presence = container_of(source, struct presence, source);
    char drained[4096] __attribute__((aligned(__alignof__(struct inotify_event))));

    (void)events;
    while (read(presence->inotify, drained, sizeof(drained)) > 0)
        ;
    if (presence_holds(presence))
        return;
    source_remove(source);
    presence->gone(presence);
}

int presence_init(struct loop *loop, struct presence *presence, const char *path, presence_fn *gone)
{
    struct stat status;
    int r = 0;

    if (stat(path, &status) < 0)
        return -errno;
    *presence = (struct presence){.inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK),
                                  .path = path,
                                  .device = status.st_dev,
                                  .inode = status.st_ino,
                                  .gone = gone};
    /* IN_ATTRIB: the last name goes while the file itself is still in use. */
    if (presence->inotify < 0 ||
        inotify_add_watch(presence->inotify, path, IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB) < 0)
        r = -errno;
    if (r >= 0)
        r = source_add(loop, &presence->source, presence->inotify, EPOLLIN, changed);
    if (r < 0)
        presence_done(presence);
    return r;
}

void presence_done(struct presence *presence)
{
    source_remove(&presence->source);
    if (presence->inotify > 0)
        fd_close(&presence->inotify);
    *presence = (struct presence){0};
}
