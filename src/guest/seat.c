/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See seat.h. The new resolv.conf lives in a tmpfs that has no place in the tree: it is mounted
 * only as long as it takes to bind the one file from it, so nothing is left on disk.
 */
#include "guest/seat.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/own.h"

#define RESOLV_CONF "/etc/resolv.conf"
/* Any directory that exists: covered for a moment, and for this process only. */
#define COVERED  "/tmp"
#define NEW_FILE COVERED "/resolv.conf"

/* The C library asks these before it reads resolv.conf; they live in the host's network. A refused
 * connection makes it go on: nss-resolve(8), nscd(8). */
static const char *const elsewhere[] = {
    "/run/systemd/resolve/io.systemd.Resolve",
    "/run/nscd/socket",
    "/var/run/nscd/socket",
};

static int mounts_own(struct error *error)
{
    if (unshare(CLONE_NEWNS) < 0)
        return error_system(error, -errno, "cannot make a mount namespace");
    /* Mounts of the host go on to come in, ours do not get out. */
    if (mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
        return error_system(error, -errno, "cannot separate the mounts from the host's");
    return 0;
}

static int file_write(const char *path, const char *text)
{
    OWN(fd) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    size_t size = strlen(text);

    if (fd < 0 || fchmod(fd, 0644) < 0)
        return -errno;
    return write(fd, text, size) == (ssize_t)size ? 0 : -EIO;
}

/* target: an fd of the file to cover, as its path may lie below what is covered meanwhile. */
static int file_cover(int target, const char *text)
{
    char path[64];
    int r;

    if (mount("vmlan", COVERED, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755") < 0)
        return -errno;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", target);
    r = file_write(NEW_FILE, text);
    if (r >= 0 && mount(NEW_FILE, path, NULL, MS_BIND, NULL) < 0)
        r = -errno;
    if (umount2(COVERED, MNT_DETACH) < 0 && r >= 0)
        r = -errno;
    return r;
}

static int resolv_conf_cover(const char *text, struct error *error)
{
    OWN(fd) int target = open(RESOLV_CONF, O_PATH | O_CLOEXEC);
    int r = target < 0 ? -errno : file_cover(target, text);

    if (r < 0)
        error_system(error, r, "cannot replace " RESOLV_CONF);
    if (r == -ENOENT)
        error_hint(error, "make the file (it may be empty): names are looked up as it says");
    return r;
}

static int elsewhere_mask(struct error *error)
{
    for (size_t i = 0; i < ARRAY_SIZE(elsewhere); i++)
        if (mount("/dev/null", elsewhere[i], NULL, MS_BIND, NULL) < 0 && errno != ENOENT &&
            errno != ENOTDIR)
            return error_system(error, -errno, "cannot mask %s", elsewhere[i]);
    return 0;
}

int seat_resolver(const char *text, struct error *error)
{
    int r = mounts_own(error);

    if (r >= 0)
        r = resolv_conf_cover(text, error);
    return r < 0 ? r : elsewhere_mask(error);
}
