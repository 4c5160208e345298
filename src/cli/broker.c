/* SPDX-License-Identifier: Apache-2.0 */
/* See broker.h. */
#include "cli/broker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/socket.h>

#include "base/own.h"
#include "base/paths.h"
#include "cli/session.h"

/* Brokers that are told to end before it is given up. */
enum { TRIES = 50 };

bool broker_listens(void)
{
    OWN(fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address;

    return fd >= 0 && paths_socket(&address, NULL, "broker.sock") >= 0 &&
           connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
}

int broker_quit(struct error *error)
{
    OWN(client) struct client *client = NULL;
    OWN(json) json_t *reply = NULL;
    int r = client_open(CLIENT_IF_LISTENING, &client, error);

    if (r >= 0)
        r = client_call(client, "Quit", NULL, &reply, NULL, error);
    return r == -ENOENT || r == -ECONNRESET ? 0 : r; /* it has ended meanwhile */
}

int broker_keep_out(struct error *error)
{
    char runtime[PATHS_MAX];
    int r = paths_runtime(runtime, error);

    for (int try = 0; r >= 0 && try < TRIES; try++) {
        OWN(fd) int lock = open(runtime, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (lock < 0 || flock(lock, LOCK_EX) < 0)
            return error_system(error, -errno, "cannot lock %s", runtime);
        if (!broker_listens())
            return take_fd(&lock);
        fd_close(&lock); /* a broker that is about to end waits for it */
        r = broker_quit(error);
    }
    if (r < 0)
        return r;
    error_set(error, -EBUSY, ERROR_FAILED, "a broker is started again as soon as one has ended");
    error_hint(error, "vmlan service status shows whether systemd does; end what else asks for it");
    return -EBUSY;
}

int broker_again(const struct cli *cli)
{
    OWN(json) json_t *networks = NULL;
    json_t *network;
    size_t index;

    if (session_list(cli, &networks) < 0)
        return 1;
    json_array_foreach(networks, index, network)
        printf("network %s goes on\n", json_string_value(json_object_get(network, "network")));
    return 0;
}
