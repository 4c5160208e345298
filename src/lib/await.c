/* SPDX-License-Identifier: Apache-2.0 */
/* See await.h. */
#include "lib/await.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>

#include "base/own.h"
#include "base/paths.h"

/* The directory may be made anew meanwhile, and is then watched anew. */
enum { LOOK_AGAIN_MS = 1000 };

bool await_exist(const char *runtime)
{
    char path[PATHS_MAX + 8], one[PATHS_MAX + 300];
    OWN(dir) DIR *dir = NULL;
    struct dirent *entry;

    snprintf(path, sizeof(path), "%s/net", runtime);
    dir = opendir(path);
    while (dir && (entry = readdir(dir))) {
        snprintf(one, sizeof(one), "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.' && !paths_only_managers(one))
            return true;
    }
    return false;
}

int await_networks(int output, struct error *error)
{
    OWN(fd) int inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    char drained[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    char runtime[PATHS_MAX], net[PATHS_MAX + 8];

    for (;;) {
        struct pollfd fds[] = {{.fd = inotify, .events = POLLIN}, {.fd = output}};
        int r = paths_runtime(runtime, error);

        if (r < 0)
            return r;
        snprintf(net, sizeof(net), "%s/net", runtime);
        inotify_add_watch(inotify, runtime, IN_CREATE);
        inotify_add_watch(inotify, net, IN_CREATE);
        if (await_exist(runtime))
            return 0;
        if (poll(fds, ARRAY_SIZE(fds), LOOK_AGAIN_MS) < 0 && errno != EINTR)
            return error_system(error, -errno, "cannot wait for a network");
        if (fds[1].revents)
            return error_system(error, -EPIPE, "nobody reads");
        while (read(inotify, drained, sizeof(drained)) > 0)
            ; /* what it was does not matter */
    }
}
