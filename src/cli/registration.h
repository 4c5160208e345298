/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmlan's units with this user's systemd: made from what this command sees, put in place of an
 * earlier registration's, and removed. Networks and their ports go on all the while.
 */
#pragma once

#include "cli/units.h"

/* What a registration is made from, and makes. */
struct registration {
    char directory[PATHS_MAX], runtime[PATHS_MAX];
    json_t *found;          /* units of an earlier one */
    json_t *listen, *later; /* networks: listening.h */
    struct units units;
};

/* Changes nothing yet. configuration: the file that was named for it, or NULL; networks: an object
 * of those that are configured, by name. registration is zeroed before, and registration_done()
 * frees what is in it, also after an error. Negative errno with a message. */
int registration_make(const char *configuration, const json_t *networks,
                      struct registration *registration, struct error *error);
void registration_done(struct registration *registration);
static inline void own_registration(struct registration *registration)
{
    registration_done(registration);
}

/* Writes the units and has systemd listen. When systemd does not, they are removed again. Negative
 * errno with a message. */
int registration_apply(const struct registration *registration, struct error *error);

/* Removes the units found in directory (an array of their names) and their sockets. Without a
 * manager to talk to, the files go all the same. */
void registration_remove(const char *directory, const json_t *found);
