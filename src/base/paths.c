/* SPDX-License-Identifier: Apache-2.0 */
/* See paths.h. */
#include "base/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/own.h"

enum { REMOVE_TRIES = 3 };

static int make_refused(int code, const char *path, struct error *error)
{
    struct error local;

    error = error ? error : &local;
    error_system(error, code, "cannot make directory %s", path);
    error->id = ERROR_UNAVAILABLE;
    error_hint(error, "make it and let this user write it");
    return code;
}

int paths_make(const char *path, struct error *error)
{
    char part[PATHS_MAX];
    size_t length = strlen(path);

    if (length >= sizeof(part))
        return error_set(error, -ENAMETOOLONG, ERROR_UNAVAILABLE, "path too long: %s", path);
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        snprintf(part, sizeof(part), "%.*s", (int)i, path);
        if (mkdir(part, 0700) < 0 && errno != EEXIST)
            return make_refused(-errno, part, error);
    }
    return 0;
}

/* Whoever owns or may write a directory of sockets owns the networks. */
static int private_check(const char *path, struct error *error)
{
    struct stat status;

    if (lstat(path, &status) < 0)
        return error_system(error, -errno, "%s", path);
    if (!S_ISDIR(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 022)) {
        error_set(error, -EPERM, ERROR_UNAVAILABLE,
                  "%s is not a directory that belongs to this user alone", path);
        error_hint(error, "remove it, or chown it to uid %u and chmod 0700 it", geteuid());
        return -EPERM;
    }
    return 0;
}

static int private_make(const char *path, struct error *error)
{
    int r = paths_make(path, error);

    return r < 0 ? r : private_check(path, error);
}

static bool directory_exists(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == geteuid();
}

int paths_runtime(char *path, struct error *error)
{
    const char *given = secure_getenv("VMLAN_RUNTIME_DIR"), *xdg = secure_getenv("XDG_RUNTIME_DIR");
    char user[64];

    snprintf(user, sizeof(user), "/run/user/%u", geteuid());
    if (given && *given == '/')
        snprintf(path, PATHS_MAX, "%s", given);
    else if (geteuid() == 0)
        snprintf(path, PATHS_MAX, "/run/vmlan");
    else if (xdg && *xdg == '/')
        snprintf(path, PATHS_MAX, "%s/vmlan", xdg);
    else if (directory_exists(user))
        snprintf(path, PATHS_MAX, "%s/vmlan", user);
    else
        snprintf(path, PATHS_MAX, "/tmp/vmlan-%u", geteuid());
    return private_make(path, error);
}

int paths_state(char *path, struct error *error)
{
    const char *given = secure_getenv("VMLAN_STATE_DIR"), *xdg = secure_getenv("XDG_STATE_HOME"),
               *home = secure_getenv("HOME");

    if (given && *given == '/') {
        snprintf(path, PATHS_MAX, "%s", given);
    } else if (geteuid() == 0) {
        snprintf(path, PATHS_MAX, "/var/lib/vmlan");
    } else if (xdg && *xdg == '/') {
        snprintf(path, PATHS_MAX, "%s/vmlan", xdg);
    } else if (home && *home == '/') {
        snprintf(path, PATHS_MAX, "%s/.local/state/vmlan", home);
    } else {
        error_set(error, -ENOENT, ERROR_UNAVAILABLE,
                  home && *home ? "there is no place for state: HOME is not an absolute path"
                                : "there is no place for state: HOME is not set");
        error_hint(error, "set HOME or VMLAN_STATE_DIR to a directory of this user");
        return -ENOENT;
    }
    return private_make(path, error);
}

int paths_socket(struct sockaddr_un *ret, struct error *error, const char *format, ...)
{
    char path[PATHS_MAX], name[PATHS_MAX];
    va_list args;
    int r = paths_runtime(path, error);

    if (r < 0)
        return r;
    va_start(args, format);
    vsnprintf(name, sizeof(name), format, args);
    va_end(args);
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) + strlen(name) + 2 > sizeof(ret->sun_path)) {
        error_set(error, -ENAMETOOLONG, ERROR_UNAVAILABLE,
                  "%s/%s is too long for a socket's path (unix(7): %zu bytes)", path, name,
                  sizeof(ret->sun_path) - 1);
        error_hint(error, "set VMLAN_RUNTIME_DIR to a shorter directory");
        return -ENAMETOOLONG;
    }
    stpcpy(stpcpy(stpcpy(ret->sun_path, path), "/"), name); /* fits, as just checked */
    return 0;
}

int paths_write(const char *path, const char *text, struct error *error)
{
    char beside[2 * PATHS_MAX + 8];
    size_t size = strlen(text);
    int r = 0;

    snprintf(beside, sizeof(beside), "%s.new", path);
    {
        OWN(fd) int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        if (fd < 0 || write(fd, text, size) != (ssize_t)size)
            r = errno ? -errno : -ENOSPC;
    }
    if (r >= 0 && rename(beside, path) < 0)
        r = -errno;
    if (r >= 0)
        return 0;
    unlink(beside);
    return error_system(error, r, "cannot write %s", path);
}

/* Ours never have an x. */
static bool is_managers(const char *path)
{
    struct stat status;

    return lstat(path, &status) == 0 && S_ISSOCK(status.st_mode) && (status.st_mode & 0777) == 0700;
}

bool paths_only_managers(const char *path)
{
    OWN(dir) DIR *dir = opendir(path);
    struct dirent *entry;
    char inside[2 * PATHS_MAX];
    bool any = false;

    while (dir && (entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(inside, sizeof(inside), "%s/%s", path, entry->d_name);
        if (!is_managers(inside))
            return false;
        any = true;
    }
    return any;
}

static void directory_empty(const char *path)
{
    OWN(dir) DIR *dir = opendir(path);
    struct dirent *entry;
    char inside[2 * PATHS_MAX];

    while (dir && (entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(inside, sizeof(inside), "%s/%s", path, entry->d_name);
        if (!is_managers(inside) && unlink(inside) < 0 && errno == EISDIR)
            paths_remove(inside);
    }
}

/* Another process may be making something there at this moment. */
void paths_remove(const char *path)
{
    for (int try = 0; try < REMOVE_TRIES; try++) {
        directory_empty(path);
        if (rmdir(path) == 0 || errno != ENOTEMPTY)
            return;
    }
}
