/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See launch.h. Starting a broker, race-free: whoever finds nothing listening takes a lock on the
 * runtime directory, looks again, makes the listening socket itself and hands it to a new broker
 * (sd_listen_fds(3)). From the moment it is bound the socket takes connections, so nobody has to
 * wait for the broker to be ready, and of many who start at once only one makes it.
 */
#include "lib/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>

#include "base/own.h"
#include "base/paths.h"
#include "base/program.h"
#include "base/role.h"
#include "lib/await.h"
#include "made/version.h"

enum { BACKLOG = 128, LOG_MAX_BYTES = 4 * 1024 * 1024 };

static int socket_connect(const struct sockaddr_un *address)
{
    OWN(fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    while (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
        if (errno != EINTR)
            return -errno;
    return take_fd(&fd);
}

static int socket_listen(const struct sockaddr_un *address, struct error *error)
{
    OWN(fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    unlink(address->sun_path); /* of a broker that died */
    if (fd < 0 || bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ||
        listen(fd, BACKLOG) < 0) {
        int r = -errno;

        error_set(error, r, ERROR_UNAVAILABLE, "cannot listen at %s: %s", address->sun_path,
                  strerror(-r));
        error_hint(error, "this user must be able to write that directory");
        return r;
    }
    return take_fd(&fd);
}

/* What broker and holders say goes to the file "log" in the state directory; a new broker starts a
 * new one when it has grown. Where there is none, nobody hears: the caller's own output would stay
 * open as long as the broker runs. */
static int log_open(void)
{
    char path[PATHS_MAX];
    int fd = -1;

    if (paths_state(path, NULL) >= 0 && strlen(path) + 5 <= sizeof(path)) {
        strcat(path, "/log");
        fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    }
    if (fd >= 0 && lseek(fd, 0, SEEK_END) > LOG_MAX_BYTES && ftruncate(fd, 0) < 0)
        fd_close(&fd);
    return fd >= 0 ? fd : open("/dev/null", O_WRONLY | O_CLOEXEC);
}

/* The executable that a program which is not vmlan starts. */
static int program_of_library(char *path, struct error *error)
{
    if (!secure_getenv("VMLAN_PROGRAM") && access(VMLAN_INSTALLED, X_OK) == 0) {
        snprintf(path, PATHS_MAX, "%s", VMLAN_INSTALLED);
        return 0;
    }
    return program_find("vmlan", "VMLAN_PROGRAM", "install vmlan, or set VMLAN_PROGRAM to its path",
                        path, error);
}

static int broker_spawn(const struct launch *launch, int listener, struct error *error)
{
    OWN(fd) int out = log_open();
    char program[PATHS_MAX];
    int r = launch->library ? program_of_library(program, error) : 0;

    if (r < 0)
        return r;
    r = role_start(launch->library ? program : NULL, "broker", NULL, listener, out);
    return r < 0 ? error_system(error, r, "cannot start the broker") : 0;
}

/* Called with the lock held. */
static int broker_start(const struct launch *launch, const struct sockaddr_un *address,
                        struct error *error)
{
    OWN(fd) int fd = socket_connect(address); /* somebody may have been quicker */
    OWN(fd) int listener = -1;
    int r;

    if (fd >= 0)
        return take_fd(&fd);
    listener = socket_listen(address, error);
    if (listener < 0)
        return listener;
    r = broker_spawn(launch, listener, error);
    if (r < 0) {
        unlink(address->sun_path);
        return r;
    }
    fd = socket_connect(address);
    return fd < 0 ? error_system(error, fd, "cannot connect to %s", address->sun_path)
                  : take_fd(&fd);
}

/* The lock that whoever starts a broker has: released by closing it. */
static int runtime_lock(const char *runtime, struct error *error)
{
    OWN(fd) int lock = open(runtime, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r;

    do
        r = lock < 0 ? -1 : flock(lock, LOCK_EX);
    while (lock >= 0 && r < 0 && errno == EINTR);
    return r < 0 ? error_system(error, -errno, "cannot lock %s", runtime) : take_fd(&lock);
}

int launch_connect(const struct launch *launch, struct error *error)
{
    struct sockaddr_un address;
    OWN(fd) int lock = -1;
    char runtime[PATHS_MAX];
    int fd, r = paths_runtime(runtime, error);

    if (r >= 0)
        r = paths_socket(&address, error, "broker.sock");
    if (r < 0)
        return r;
    /* First: where a service manager listens, to connect is to start one. */
    if (launch->if_networks && !await_exist(runtime))
        return error_set(error, -ENOENT, ERROR_NO_NETWORK, "no network runs");
    fd = socket_connect(&address);
    if (fd >= 0 || (fd != -ENOENT && fd != -ECONNREFUSED))
        return fd >= 0 ? fd : error_system(error, fd, "cannot connect to %s", address.sun_path);
    if (launch->never)
        return error_set(error, -ENOENT, ERROR_UNAVAILABLE, "no broker runs");
    lock = runtime_lock(runtime, error);
    return lock < 0 ? lock : broker_start(launch, &address, error);
}
