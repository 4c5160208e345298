/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How each hypervisor is told of a port. Recognised by the name of the program; a command that
 * contains placeholders ({fd}, {mac}, …) is left to say it by itself.
 */
#pragma once

#include "base/error.h"
#include "cli/nic.h"

struct arguments {
    char **items; /* NULL-terminated; owned */
    size_t count;
};
void arguments_done(struct arguments *arguments);
static inline void own_arguments(struct arguments *arguments)
{
    arguments_done(arguments);
}

/* Before anything is attached: sets the backend of networks that have none (from the environment,
 * or what the hypervisor can do best), and refuses what it can't do. */
int hypervisor_settle(char *const *command, struct nics *nics, struct error *error);

/* A name for the guest from the command (QEMU's -name), a new text or NULL. */
char *hypervisor_guest_name(char *const *command);

/* command with the ports in it. */
int hypervisor_arguments(char *const *command, const struct nics *nics, struct arguments *ret,
                         struct error *error);
