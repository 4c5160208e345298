/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a file or directory is still at its path: somebody may remove the directories of a
 * program that runs, and another instance of it may then have made its own there. inotify(7) tells
 * at once.
 */
#pragma once

#include <sys/stat.h>

#include "base/loop.h"

struct presence;
typedef void presence_fn(struct presence *presence);

struct presence {
    struct source source;
    int inotify;      /* owned; below 1: none */
    const char *path; /* borrowed */
    dev_t device;
    ino_t inode;
    presence_fn *gone;
};

/* path must be there, and stay readable as a text. gone is called once, from the loop, when what is
 * at path is no longer what was there. Negative errno. */
int presence_init(struct loop *loop, struct presence *presence, const char *path,
                  presence_fn *gone);
/* Whether it still is; false for a zeroed one. */
bool presence_holds(const struct presence *presence);
void presence_done(struct presence *presence); /* accepts a zeroed one */
