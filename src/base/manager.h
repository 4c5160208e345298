/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a service manager hands to a process it starts, and what it wants to hear from it: the
 * environment of sd_listen_fds(3) and the datagrams of sd_notify(3), without their library.
 */
#pragma once

enum {
    MANAGER_FDS_MAX = 512,  /* sockets one process is given */
    MANAGER_NAME_SIZE = 64, /* longer names are cut: none of ours is */
    MANAGER_FIRST_FD = 3,
};

/* A listening socket that was handed over: owned by who asked, close-on-exec, non-blocking. */
struct manager_fd {
    int fd;
    char name[MANAGER_NAME_SIZE]; /* of $LISTEN_FDNAMES; "" where there are no names */
};

/* The sockets this process was started with, in their order; ret has room for MANAGER_FDS_MAX.
 * Returns how many: 0 when none were handed over, or to another process ($LISTEN_PID). -EINVAL: the
 * environment is nonsense. The variables are removed, so that it can be asked only once. */
int manager_listen(struct manager_fd *ret);

/* Tells the manager ("READY=1"); without one ($NOTIFY_SOCKET) nothing happens. Negative errno. */
int manager_notify(const char *state);
