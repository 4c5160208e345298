/* SPDX-License-Identifier: Apache-2.0 */
/* vmlan connect-fd: a command with a connected stream as its descriptor 3, the way of
 * socket_vmnet_client, which it can stand for. */
#include "cli/connect.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "cli/nic.h"
#include "cli/run.h"

enum { COMMAND_FD = 3 };

static int path_connect(const char *path, struct error *error)
{
    OWN(fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof(address.sun_path))
        return error_set(error, -ENAMETOOLONG, ERROR_INVALID, "%s: too long for a socket's path",
                         path);
    strcpy(address.sun_path, path);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) >= 0)
        return take_fd(&fd);
    error_system(error, -errno, "cannot connect to %s", path);
    error_hint(error, "a network that runs listens at stream.sock in its directory: vmlan up NET");
    return error->code;
}

/* At a path nobody can be told of wishes. */
static int wishes_check(const struct cli *cli, struct error *error)
{
    static const char *const wishes[] = {"name", "mac", "ip", "strict"};

    for (size_t i = 0; i < ARRAY_SIZE(wishes); i++)
        if (cli_option(cli, wishes[i])) {
            error_set(error, -EINVAL, ERROR_INVALID, "--%s is for a network, not for a path",
                      wishes[i]);
            error_hint(error, "leave it out, or name the network");
            return -EINVAL;
        }
    return 0;
}

/* Nothing is known of the command's guest, so its MAC address is learnt unless it is given. */
static int network_connect(const struct cli *cli, struct nics *nics, struct error *error)
{
    struct nic *nic = &nics->items[0];
    int r = nics_take_only(cli, nics, "stream", error);

    if (r < 0)
        return r;
    nic->learn_mac = !nic->mac;
    return 0;
}

static int fd_place(int fd, struct error *error)
{
    int r = fd == COMMAND_FD ? fcntl(fd, F_SETFD, 0) : dup2(fd, COMMAND_FD);

    return r < 0 ? error_system(error, -errno, "cannot give the command its descriptor") : 0;
}

static int connect_fd(struct cli *cli)
{
    OWN(nics) struct nics nics = {0};
    OWN(fd) int fd = -1;
    struct error error;
    int r;

    if (strchr(cli->arguments[0], '/')) {
        r = wishes_check(cli, &error);
        if (r >= 0)
            r = fd = path_connect(cli->arguments[0], &error);
    } else {
        r = network_connect(cli, &nics, &error);
        if (r >= 0 && nics_attach(cli, &nics, "", NULL) < 0)
            return 1;
    }
    if (r >= 0)
        r = fd_place(fd >= 0 ? fd : nics.items[0].fds.fds[0], &error);
    if (r < 0)
        return cli_fail(cli, &error);
    if (fd == COMMAND_FD)
        take_fd(&fd);
    return run_command(cli, cli->command);
}

static const struct verb_option options[] = {
    NICS_ONLY_OPTIONS,
    SESSION_STRICT,
    {0},
};

const struct verb verb_connect_fd = {
    .name = "connect-fd",
    .arguments = "NET|PATH",
    .summary = "run a command with a connected stream as descriptor 3",
    .text =
        "As socket_vmnet_client does: CMD inherits a stream socket on which each frame stands "
        "behind its length (4 bytes, big-endian). NET may be followed by the fields of vmlan "
        "run's -n, such as ,tso=on. With a PATH (it has a slash) it connects there. The guest's "
        "MAC address is that of its first frame, unless it is given. The -- may be left out "
        "where no options are given.",
    .options = options,
    .arguments_min = 1,
    .arguments_max = 1,
    .command = true,
    .command_bare = true,
    .run = connect_fd,
};
