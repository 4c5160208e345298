/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network interface that a command is to have: what was asked for on the command line, and what
 * the broker gave. A MAC address and a name that nobody chose are derived from what the command is,
 * so that the same command gets the same address next time.
 */
#pragma once

#include "cli/session.h"

enum { NICS_MAX = 16 };

struct nic {
    char *network;
    char *backend, *mac, *ip, *name; /* as asked for; NULL: not */
    char *tso, *checksum_offload;    /* on, off; NULL: not asked for */
    bool learn_mac;                  /* mac is not derived, the first frame tells */
    unsigned queues;
    bool named_by_command; /* name is a guess: attach without it rather than fail */
    json_t *reply;         /* of Attach */
    struct client_fds fds;
};

struct nics {
    struct nic items[NICS_MAX];
    int count;
};
void nics_done(struct nics *nics);
static inline void own_nics(struct nics *nics)
{
    nics_done(nics);
}

/* "NET[,backend=…,mac=…,ip=…,name=…,queues=…,tso=…,checksumOffload=…]", as -n has it. */
int nics_add(struct nics *nics, const char *text, struct error *error);
/* The one network of a verb that has its own backend: the first argument, and the options below. */
int nics_take_only(const struct cli *cli, struct nics *nics, const char *backend,
                   struct error *error);
/* For the table of such a verb. */
#define NICS_ONLY_OPTIONS                                     \
    {"name", 'n', "NAME", "the guest's name on the network"}, \
        {"mac", 0, "MAC", "its MAC address"},                 \
    {                                                         \
        "ip", 0, "ADDRESS", "its IPv4 address"                \
    }
/* Makes all of them taps inside the one network's namespace, to be opened by name. */
int nics_name(struct nics *nics, struct error *error);
bool nic_is_named(const struct nic *nic);
bool nic_switched_on(const char *text); /* a switch's text, or NULL */
/* The vmnet entries of a lima.yaml; prints what is wrong with it. */
int nics_add_instance(const struct cli *cli, struct nics *nics, const char *path);

/* Attaches all of them, or prints why one can't be and returns negative errno: then none is.
 * identity: what the command is. guess: a name for the guest, NULL: none. */
int nics_attach(const struct cli *cli, struct nics *nics, const char *identity, const char *guess);

/* Descriptors of a reply's field ("fds", "vhostFds"), as "3:4"; text is "" when there are none. */
char *nic_fds_text(const struct nic *nic, const char *field, char *text, size_t size);
unsigned nic_fd_count(const struct nic *nic, const char *field);
const char *nic_text(const struct nic *nic, const char *field); /* "" when missing */

/* Puts VMLAN_* into the environment and lets the descriptors through exec(2). */
void nics_export(const struct nics *nics);
