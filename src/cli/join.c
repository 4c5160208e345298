/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmlan join and exec: a command on a network without a VM. join gives it a network namespace of
 * its own with an address by DHCP, as any guest gets one; exec puts it at the host's seat, in the
 * network's own namespace, where the gateway's addresses are.
 */
#include "cli/join.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "cli/guest.h"
#include "cli/nic.h"
#include "cli/run.h"
#include "cli/seat.h"
#include "guest/setup.h"

static void lease_renewed(void *context, const struct lease *lease)
{
    struct guest *guest = context;

    setup_lease(guest->rtnl, guest->who.ifindex, lease, NULL);
}

/* Leaves behind a process that renews the lease until the command has ended. It is nobody's child,
 * so the command never meets a child it did not make. */
static int lease_keeper(struct guest *guest, struct error *error)
{
    int command = (int)syscall(SYS_pidfd_open, getpid(), 0);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    pid_t pid = command < 0 || null < 0 ? -1 : fork();

    if (pid < 0)
        return error_system(error, -errno, "cannot start a process that renews the lease");
    if (pid > 0) {
        waitpid(pid, NULL, 0);
        close(command);
        close(null);
        return 0;
    }
    if (fork() != 0)
        _exit(0);
    setsid();
    rtnl_free(guest->rtnl); /* its number may be the one the pidfd gets */
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        dup2(null, fd);
    command = dup3(command, STDERR_FILENO + 1, O_CLOEXEC) < 0 ? command : STDERR_FILENO + 1;
    /* Nothing of the command's may stay open here: a pipe's reader would wait for us. */
    syscall(SYS_close_range, (unsigned)command + 1, ~0U, 0);
    if (rtnl_open(&guest->rtnl, NULL) >= 0)
        lease_keep(&guest->who, &guest->lease, command, lease_renewed, guest, NULL);
    _exit(0);
}

static int join(struct cli *cli)
{
    OWN(nics) struct nics nics = {0};
    struct guest guest = {0};
    OWN(mem) char *identity = alloc_printf("join %s", cli->command[0]);
    struct error error;
    int r = nics_take_only(cli, &nics, "namespace", &error);

    if (r < 0)
        return cli_fail(cli, &error);
    if (nics_attach(cli, &nics, identity, NULL) < 0)
        return 1;
    r = guest_enter(&guest, &nics.items[0], &error);
    if (r >= 0 && guest.leased && guest.lease.seconds && guest.lease.seconds != UINT32_MAX)
        r = lease_keeper(&guest, &error);
    rtnl_free(guest.rtnl);
    if (r < 0)
        return cli_fail(cli, &error);
    return run_command(cli, cli->command);
}

static const struct verb_option join_options[] = {
    NICS_ONLY_OPTIONS,
    SESSION_STRICT,
    {0},
};

const struct verb verb_join = {
    .name = "join",
    .arguments = "NET",
    .summary = "run any command as a guest of its own",
    .text = "CMD gets a network namespace with an interface eth0 on the network, an address by "
            "DHCP, and the network's DNS; it runs as root of that namespace and as this user to "
            "everybody else. Files are the host's, so /sys/class/net shows the host's interfaces.",
    .options = join_options,
    .arguments_min = 1,
    .arguments_max = 1,
    .command = true,
    .run = join,
};

/* --- exec --- */

static int exec(struct cli *cli)
{
    return seat_enter(cli, cli->arguments[0]) < 0 ? 1 : run_command(cli, cli->command);
}

static const struct verb_option exec_options[] = {
    SESSION_STRICT,
    {0},
};

const struct verb verb_exec = {
    .name = "exec",
    .arguments = "NET",
    .summary = "run a command at the host's seat on the network",
    .text = "CMD runs in the network's own namespace, as its root: it has the gateway's addresses, "
            "reaches every guest, and resolves their names.",
    .options = exec_options,
    .arguments_min = 1,
    .arguments_max = 1,
    .command = true,
    .run = exec,
};
