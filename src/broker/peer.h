/* SPDX-License-Identifier: Apache-2.0 */
/* A peer: one connected client of the broker, of the same user or root. */
#pragma once

#include "broker/broker.h"

struct peer {
    struct list link;
    struct broker *broker;
    struct conn *conn;
    char name[32]; /* "peer PID", for log lines */
};

/* How many a broker may have; raises what this process may open, as far as it is allowed to. */
unsigned peer_limit(void);
/* Takes fd. A peer that may not speak to this broker gets one error and is closed. */
void peer_accept(struct broker *broker, int fd);
void peer_free(struct peer *peer);

struct peer *call_peer(struct call *call);

/* Does the process at the other end run the very file this process runs? Checked by device and
 * inode of /proc/PID/exe while a pidfd proves that PID is still that process. 0, or -EPERM with a
 * message. */
int peer_same_executable(const struct peer *peer, struct error *error);
