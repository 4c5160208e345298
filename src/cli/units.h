/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The systemd units of vmlan: a socket for the broker and the service behind it. Their texts come
 * from the templates in units/ and are made by a pure function; the files are known again by their
 * first line.
 */
#pragma once

#include "base/error.h"
#include "base/json.h"
#include "base/paths.h"

/* What the texts are made from; borrowed. */
struct units_facts {
    const char *program; /* absolute path of vmlan */
    const char *runtime, *state;
    const json_t *environment; /* object: name -> value, for the service */
    const json_t *networks;    /* array of names: whose paths systemd is to listen at */
};

struct units {
    json_t *texts; /* object: name of the unit -> its text, the service last */
    char *sockets; /* names of the sockets, with blanks between them */
};

/* The units of a network's paths; path: net/NAME/stream.sock in the runtime directory. NULL ends.
 */
extern const struct units_path {
    const char *prefix, *file; /* "vmlan-stream-" and "stream.sock" */
    const char *listen, *name; /* of the socket: "ListenStream" and "stream." */
} units_paths[];

/* -EINVAL with a message when a path can't stand in a unit. */
int units_make(const struct units_facts *facts, struct units *ret, struct error *error);
void units_done(struct units *units);
static inline void own_units(struct units *units)
{
    units_done(units);
}

/* Where the units of this user are; root: of the system. path: PATHS_MAX bytes. */
int units_directory(char *path, struct error *error);

/* The names of the units in directory that have our first line; a new array. */
json_t *units_found(const char *directory);

/* Writes the units, and removes those of an earlier time that are not among them. A file that has
 * one of their names and not our first line is somebody else's: -EEXIST, and nothing is written. */
int units_write(const char *directory, const struct units *units, struct error *error);

/* Removes the units of that name (an array), and the links by which they are enabled. */
void units_remove(const char *directory, const json_t *names);
