/* SPDX-License-Identifier: Apache-2.0 */
/* See peer.h. */
#include "broker/peer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"

enum { PEERS_MAX = 512, DESCRIPTORS = 4096 };

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5, include/uapi/asm-generic/socket.h */
#endif

/* Half of the descriptors stays for networks and for what requests carry: without one a broker
 * can't take a connection to refuse it, and would lose those that come with a holder's answer. */
unsigned peer_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return PEERS_MAX / 2;
    if (limit.rlim_cur < DESCRIPTORS) {
        limit.rlim_cur = limit.rlim_max < DESCRIPTORS ? limit.rlim_max : DESCRIPTORS;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    return limit.rlim_cur / 2 < PEERS_MAX ? (unsigned)limit.rlim_cur / 2 : PEERS_MAX;
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
    if (registry_empty(&broker->registry))
        timer_set(&broker->idle, 0);
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

static int peer_allowed(struct broker *broker, int fd, struct ucred *ret_peer)
{
    socklen_t size = sizeof(*ret_peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret_peer, &size) < 0)
        return -errno;
    if (ret_peer->uid != geteuid() && ret_peer->uid != 0) {
        log_warn(NULL, "refused a connection of uid %u", ret_peer->uid);
        refuse(fd, refuse_uid);
        return -EPERM;
    }
    if (broker->peer_count >= broker->peers_max) {
        log_warn(NULL, "refused a connection: %u are open", broker->peer_count);
        refuse(fd, refuse_full);
        return -EUSERS;
    }
    return 0;
}

void peer_accept(struct broker *broker, int fd)
{
    struct interface *const interfaces[] = {broker->interface, NULL};
    OWN(fd) int owned = fd;
    struct ucred credentials;
    struct peer *peer;

    if (peer_allowed(broker, fd, &credentials) < 0)
        return;
    peer = alloc_new(struct peer);
    peer->broker = broker;
    snprintf(peer->name, sizeof(peer->name), "peer %d", (int)credentials.pid);
    if (conn_new(&broker->loop, take_fd(&owned), peer->name, interfaces, peer, peer_closed,
                 &peer->conn) < 0) {
        free(peer);
        return;
    }
    list_append(&broker->peers, &peer->link);
    broker->peer_count++;
    timer_stop(&broker->idle);
}

static int executable_of(pid_t pid, struct stat *ret)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
    return stat(path, ret) < 0 ? -errno : 0;
}

static int peer_pidfd(const struct peer *peer)
{
    int pidfd = -1;
    socklen_t size = sizeof(pidfd);

    if (getsockopt(conn_fd(peer->conn), SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) == 0)
        return pidfd;
    return (int)syscall(SYS_pidfd_open, conn_peer(peer->conn)->pid, 0);
}

int peer_same_executable(const struct peer *peer, struct error *error)
{
    OWN(fd) int pidfd = peer_pidfd(peer);
    struct stat theirs, ours;
    bool same = pidfd >= 0 && executable_of(conn_peer(peer->conn)->pid, &theirs) >= 0 &&
                stat("/proc/self/exe", &ours) >= 0 && theirs.st_dev == ours.st_dev &&
                theirs.st_ino == ours.st_ino &&
                syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0) == 0;

    if (same)
        return 0;
    error_set(error, -EPERM, ERROR_PERMISSION,
              "the namespaces of a network are handed only to the vmlan that runs this broker");
    error_hint(error,
               "use vmlan exec; if vmlan was upgraded: kill %d, networks go on with a new broker",
               (int)getpid());
    return -EPERM;
}
