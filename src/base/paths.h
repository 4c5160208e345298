/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program's directories. Runtime (sockets, gone at reboot): $VMLAN_RUNTIME_DIR, root:
 * /run/vmlan, else $XDG_RUNTIME_DIR/vmlan, /run/user/UID/vmlan or, where a system has neither,
 * /tmp/vmlan-UID. State (kept): $VMLAN_STATE_DIR, root: /var/lib/vmlan, else $XDG_STATE_HOME/vmlan,
 * ~/.local/state/vmlan. Both are made with mode 0700 and must belong to this user alone. The
 * environment counts only as secure_getenv(3) sees it: programs of others use the library.
 */
#pragma once

#include <stdbool.h>
#include <sys/un.h>

#include "base/error.h"

#define PATHS_MAX 512

/* Makes the directory where needed and writes its path, at most PATHS_MAX bytes. */
int paths_runtime(char *path, struct error *error);
int paths_state(char *path, struct error *error);

/* "<runtime>/<format…>" as a socket's address; the message tells when it is too long for one. */
int paths_socket(struct sockaddr_un *ret, struct error *error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Makes a directory (mode 0700), parents included. */
int paths_make(const char *path, struct error *error);

/* Replaces the file at path by text: written beside it first, then renamed over it. */
int paths_write(const char *path, const char *text, struct error *error);

/* A socket at which a service manager listens, to start what answers there, has mode 0700: the x
 * says that the path is the manager's. paths_remove() removes a directory and all else that is in
 * it, as far as it can; paths_only_managers() tells whether there is nothing else. */
void paths_remove(const char *path);
bool paths_only_managers(const char *path);
