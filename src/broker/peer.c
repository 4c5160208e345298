/* SPDX-License-Identifier: Apache-2.0 */
/* See peer.h. */
#include "broker/peer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/accept.h"
#include "base/alloc.h"
#include "base/credentials.h"
#include "base/log.h"

enum { PEERS_MAX = 512, DESCRIPTORS = 4096 };

/* A service manager counts how often it starts a broker, and gives up on one that ends too often.
 */
enum { ACTIVATED_IDLE_MS = 5000 };

/* Half of the descriptors stays for networks and for what requests carry, beside the spare one of
 * accept.c: without any a broker can't take a connection to refuse it, and would lose those that
 * come with a holder's answer. */
unsigned peer_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return PEERS_MAX / 2;
    if (limit.rlim_cur < DESCRIPTORS) {
        limit.rlim_cur = limit.rlim_max < DESCRIPTORS ? limit.rlim_max : DESCRIPTORS;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    limit.rlim_cur = (limit.rlim_cur - 1) / 2;
    return limit.rlim_cur < PEERS_MAX ? (unsigned)limit.rlim_cur : PEERS_MAX;
}

struct peer *call_peer(struct call *call)
{
    return conn_owner(call_conn(call));
}

void peer_free(struct peer *peer)
{
    struct broker *broker = peer->broker;

    list_remove(&peer->link);
    broker->peer_count--;
    conn_free(peer->conn);
    free(peer);
    if (broker_is_unused(broker))
        timer_set(&broker->idle, broker->activated ? ACTIVATED_IDLE_MS : 0);
}

static void peer_closed(struct conn *conn, int error)
{
    struct peer *peer = conn_owner(conn);

    log_trace(peer->name, "gone (%d)", error);
    peer_free(peer);
}

/* Written without reading a byte: whoever this is, its words are not parsed. */
static void refuse(int fd, const char *text)
{
    (void)!send(fd, text, strlen(text) + 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static const char refuse_uid[] =
    "{\"error\":\"io.vmlan.Broker.PermissionDenied\",\"parameters\":{\"reason\":"
    "\"this broker serves another user\",\"hint\":\"run vmlan as that user, or start a network of "
    "your own\"}}";
static const char refuse_full[] =
    "{\"error\":\"io.vmlan.Broker.LimitReached\",\"parameters\":{\"reason\":"
    "\"too many connections to this broker\",\"hint\":\"close some and try again\"}}";

static bool peer_allowed(const struct broker *broker, int fd, const struct ucred *who)
{
    if (!credentials_trusted(who)) {
        log_warn(NULL, "refused a connection of uid %u", who->uid);
        refuse(fd, refuse_uid);
        return false;
    }
    if (broker->peer_count >= broker->peers_max) {
        log_warn(NULL, "refused a connection: %u are open", broker->peer_count);
        refuse(fd, refuse_full);
        return false;
    }
    return true;
}

/* Takes fd. */
static void peer_new(struct broker *broker, int fd, pid_t pid)
{
    struct interface *const interfaces[] = {broker->interface, NULL};
    struct peer *peer = alloc_new(struct peer);

    peer->broker = broker;
    peer->executable = executable_of_peer(fd, pid);
    snprintf(peer->name, sizeof(peer->name), "peer %d", (int)pid);
    if (conn_new(&broker->loop, fd, peer->name, interfaces, peer, peer_closed, &peer->conn) < 0) {
        free(peer);
        return;
    }
    list_append(&broker->peers, &peer->link);
    broker->peer_count++;
    timer_stop(&broker->idle);
}

bool peer_accept(struct broker *broker)
{
    struct ucred who;
    OWN(fd) int fd = accept_next(broker->listener, &who);

    if (fd < 0)
        return false;
    if (peer_allowed(broker, fd, &who))
        peer_new(broker, take_fd(&fd), who.pid);
    return true;
}

int peer_may_acquire(const struct peer *peer, struct error *error)
{
    struct executable now = executable_of_peer(conn_fd(peer->conn), conn_peer(peer->conn)->pid);

    if (!executable_equal(&now, &peer->executable)) {
        error_set(error, -EPERM, ERROR_PERMISSION,
                  "the process that connected has ended or runs another program now");
        error_hint(error, "connect, ask and wait for the answer from one program, which has no "
                          "capabilities that the broker lacks");
        return -EPERM;
    }
    return executable_allowed(&now, error);
}
