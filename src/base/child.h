/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes this process starts: the only way to spawn in this tree. A child gets exactly the fds
 * it is given, default signal handling and an empty signal mask; its end is an event (pidfd).
 *
 * The library starts a broker from within programs of others, with threads and children of their
 * own: a detached process comes to be without SIGCHLD and without being found by a wait(2) that is
 * not for it, and between fork and exec only what signal-safety(7) allows is called.
 */
#pragma once

#include <stdbool.h>

#include "base/loop.h"

#define CHILD_FDS_MAX 8

struct child_spec {
    const char *program;     /* path; NULL: argv[0] */
    const char *const *argv; /* NULL-terminated */
    int fds[CHILD_FDS_MAX];  /* become 3, 4, …; borrowed */
    int fd_count;
    int out;               /* stdout and stderr of the child; 0: ours; borrowed */
    bool listen;           /* fd 3 is a listening socket: sets LISTEN_FDS (sd_listen_fds(3)) */
    bool detach;           /* own session, not a child of ours: survives us, never a zombie */
    bool die_with_us;      /* killed (SIGTERM) when this process ends: PR_SET_PDEATHSIG */
    void (*prepare)(void); /* runs in the child just before exec; async-signal-safe calls only */
};

struct child;
/* status as from waitpid(2). The child is over and done when this is called. */
typedef void child_fn(struct child *child, int status);

struct child {
    struct source source;
    pid_t pid; /* 0: none */
    int pidfd;
    child_fn *call;
};

/* Starts and watches a child. Negative errno, also that of a failed exec. */
int child_start(struct loop *loop, struct child *child, const struct child_spec *spec,
                child_fn *call);
void child_kill(struct child *child, int signal);
/* Kills (SIGKILL) and reaps a child that still runs. Accepts a zeroed child. */
void child_done(struct child *child);

/* Starts a detached process (spec->detach is implied). Negative errno, also of a failed exec. */
int child_detach(const struct child_spec *spec);
