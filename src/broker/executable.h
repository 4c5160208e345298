/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which program a peer runs, and whether that one may have a network's namespaces: the file this
 * broker runs, or one that the user lists under `clients:` in networks.yaml. A program is known by
 * its file's device and inode.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

struct executable {
    dev_t device; /* both 0: not known */
    ino_t inode;
};

/* What the process that connected this socket runs now. pid: of SO_PEERCRED; a pidfd proves that
 * it still is that process (SO_PEERPIDFD; before Linux 6.5 a pid that was used again at once could
 * deceive). Not known when it has ended. */
struct executable executable_of_peer(int socket, pid_t pid);

bool executable_equal(const struct executable *a, const struct executable *b);

/* 0, or -EPERM with a message. The list is read from the file each time, and believed only when
 * nobody but the user or root can have written it. */
int executable_allowed(const struct executable *executable, struct error *error);
