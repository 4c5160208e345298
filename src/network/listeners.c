/* SPDX-License-Identifier: Apache-2.0 */
/* See listeners.h. */
#include "network/listeners.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/own.h"
#include "base/paths.h"

/* Connections that wait while one holder follows another. */
enum { BACKLOG = 128 };

int listener_make(const char *network, const char *file, int type, struct error *error)
{
    OWN(fd) int fd = -1;
    struct sockaddr_un address;
    int r = paths_socket(&address, error, "net/%s/%s", network, file);

    if (r < 0)
        return r;
    fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_system(error, -errno, "cannot make a socket");
    unlink(address.sun_path);
    fchmod(fd, 0600); /* bind(2) makes the path with this mode: net/unix/af_unix.c */
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        (type == SOCK_STREAM && listen(fd, BACKLOG) < 0))
        return error_system(error, -errno, "cannot listen at %s", address.sun_path);
    return take_fd(&fd);
}

static int listener_get(const char *network, const char *file, int type, int given,
                        struct error *error)
{
    int fd =
        given < 0 ? listener_make(network, file, type, error) : fcntl(given, F_DUPFD_CLOEXEC, 0);

    return fd < 0 && given >= 0 ? error_system(error, -errno, "cannot copy a socket") : fd;
}

int listeners_make(const char *network, const struct listeners *given, struct listeners *listeners,
                   struct error *error)
{
    const struct {
        const char *file;
        int type, given, *fd;
    } sockets[] = {{"stream.sock", SOCK_STREAM, given->stream, &listeners->stream},
                   {"datagram.sock", SOCK_DGRAM, given->datagram, &listeners->datagram}};

    for (size_t i = 0; i < ARRAY_SIZE(sockets); i++) {
        int fd = *sockets[i].fd;

        if (fd < 0)
            fd = listener_get(network, sockets[i].file, sockets[i].type, sockets[i].given, error);
        if (fd < 0)
            return fd;
        *sockets[i].fd = fd;
    }
    return 0;
}

void listeners_done(struct listeners *listeners)
{
    fd_close(&listeners->stream);
    fd_close(&listeners->datagram);
}
