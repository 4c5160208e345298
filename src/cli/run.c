/* SPDX-License-Identifier: Apache-2.0 */
/* vmlan run: attaches the networks a VM is to be on, and becomes the VM. */
#include "cli/run.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "cli/hypervisor.h"
#include "cli/nic.h"
#include "cli/seat.h"

/* sh(1): not found, and found but not to be run. */
enum { STATUS_NOT_RUN = 126, STATUS_NOT_FOUND = 127 };

static int nics_take(const struct cli *cli, struct nics *nics)
{
    struct error error;

    for (int i = 0; i < cli->value_count; i++)
        if (strcmp(cli->values[i].option->name, "network") == 0 &&
            nics_add(nics, cli->values[i].value, &error) < 0)
            return cli_fail(cli, &error);
    for (int i = 0; i < cli->argument_count; i++)
        if (nics_add(nics, cli->arguments[i], &error) < 0)
            return cli_fail(cli, &error);
    if (cli_option(cli, "instance") &&
        nics_add_instance(cli, nics, cli_option(cli, "instance")) < 0)
        return 1;
    if (nics->count == 0)
        return cli_fail_text(cli, "no network is named%s",
                             cli_option(cli, "instance")
                                 ? ": the instance has no vmnet entry in its networks"
                                 : "; write vmlan run NET -- CMD …");
    return 0;
}

/* What a command is, for what is derived from it: where it runs, and its words. */
static char *identity_of(char *const *command)
{
    OWN(mem) char *directory = get_current_dir_name();
    struct buf text = BUF_NULL;

    buf_printf(&text, "%s", directory ? directory : "");
    for (size_t i = 0; command[i]; i++)
        buf_printf(&text, "\n%s", command[i]);
    return text.data ? text.data : alloc_text("");
}

int run_command(const struct cli *cli, char *const *command)
{
    int code;

    execvp(command[0], command);
    code = errno;
    cli_fail_text(cli, "cannot run %s: %s", command[0], strerror(code));
    return code == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_RUN;
}

/* Into the network that all of them are on. */
static int namespace_enter(const struct cli *cli, const struct nics *nics)
{
    return cli_option(cli, "in-namespace") ? seat_enter(cli, nics->items[0].network) : 0;
}

static int run(struct cli *cli)
{
    OWN(nics) struct nics nics = {0};
    OWN(arguments) struct arguments arguments = {0};
    OWN(mem) char *identity = identity_of(cli->command);
    OWN(mem) char *guess = hypervisor_guest_name(cli->command);
    struct error error;

    if (nics_take(cli, &nics) != 0)
        return 1;
    if (cli_option(cli, "in-namespace") && nics_name(&nics, &error) < 0)
        return cli_fail(cli, &error);
    if (hypervisor_settle(cli->command, &nics, &error) < 0)
        return cli_fail(cli, &error);
    if (nics_attach(cli, &nics, identity, guess) < 0)
        return 1;
    if (hypervisor_arguments(cli->command, &nics, &arguments, &error) < 0)
        return cli_fail(cli, &error);
    nics_export(&nics);
    return namespace_enter(cli, &nics) < 0 ? 1 : run_command(cli, arguments.items);
}

static const struct verb_option options[] = {
    {"network", 'n', "NET[,…]",
     "a network, with fields backend=, mac=, ip=, name=, queues=, tso=, checksumOffload=; may be "
     "repeated"},
    {"instance", 0, "FILE", "the vmnet networks of a Lima instance (lima.yaml)"},
    {"in-namespace", 0, NULL, "for a hypervisor that takes a tap by its name, {ifname}"},
    SESSION_STRICT,
    {0},
};

const struct verb verb_run = {
    .name = "run",
    .arguments = "[NET…]",
    .summary = "run a VM on networks",
    .text =
        "Attaches a port on each network and becomes CMD, so exit status and signals are CMD's. "
        "QEMU, krunkit, cloud-hypervisor and crosvm get the right arguments added. In other "
        "commands {fd}, {fds}, {vhostfds}, {mac}, {ifname}, {mtu}, {network}, {gateway} and "
        "{subnet} are replaced (the second network's are {fd1}, …), and the environment has "
        "VMLAN_FD, VMLAN_FDS, VMLAN_VHOST_FDS, VMLAN_MAC, VMLAN_IFNAME, VMLAN_MTU, VMLAN_NETWORK, "
        "VMLAN_SUBNET, VMLAN_GATEWAY, VMLAN_GATEWAY6, VMLAN_DOMAIN and VMLAN_COUNT (the second "
        "network's end in 1). The same command gets the same MAC address, and so the same IP "
        "address, each time; name=, or QEMU's -name, makes that independent of the command.\n\n"
        "backend= says how the VM is connected: tap, stream, socket, dgram or dgram_next. Without "
        "it "
        "the environment's VMLAN_BACKEND counts, or Lima's _LIMA_QEMU_VMNET_BACKEND and "
        "_LIMA_KRUNKIT_VMNET_BACKEND, and then what the hypervisor can do, a tap first. With a "
        "socket, tso=on says that the VM takes and sends TCP frames of up to 64 KiB, and "
        "checksumOffload=on that it may leave checksums to be completed.\n\n"
        "With --in-namespace CMD runs inside the network, as with vmlan exec, and opens its tap "
        "there by name ({ifname}, VMLAN_IFNAME), as Firecracker does. The tap goes when CMD and "
        "all "
        "it started have ended.",
    .options = options,
    .arguments_max = -1,
    .command = true,
    .run = run,
};
