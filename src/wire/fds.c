/* SPDX-License-Identifier: Apache-2.0 */
/* See fds.h. */
#include "wire/fds.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

/* Room for one SCM_RIGHTS message, aligned as cmsg(3) asks for. */
union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * CONN_FDS_MAX)];
};

void fds_close(struct fds *fds)
{
    for (size_t i = 0; i < fds->count; i++)
        own_fd(&fds->fd[i]);
    *fds = FDS_NULL;
}

int fds_copy(const int *fd, size_t count, struct fds *ret_fds)
{
    struct fds copy = FDS_NULL;

    if (count > CONN_FDS_MAX)
        return -E2BIG;
    for (size_t i = 0; i < count; i++) {
        int r = fcntl(fd[i], F_DUPFD_CLOEXEC, 3);

        if (r < 0) {
            r = -errno;
            fds_close(&copy);
            return r;
        }
        copy.fd[copy.count++] = r;
    }
    *ret_fds = copy;
    return 0;
}

void fds_move(struct fds *to, struct fds *from)
{
    if (to->lost || from->lost || to->count + from->count > CONN_FDS_MAX) {
        fds_close(to);
        fds_close(from);
        to->lost = true;
        return;
    }
    memcpy(to->fd + to->count, from->fd, from->count * sizeof(int));
    to->count += from->count;
    *from = FDS_NULL;
}

ssize_t fds_send(int socket, const void *data, size_t size, const struct fds *fds)
{
    union control control = {0};
    struct iovec bytes = {.iov_base = (void *)data, .iov_len = size};
    struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1};
    ssize_t sent;

    if (fds->count > 0) {
        struct cmsghdr *rights;

        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(fds->count * sizeof(int));
        rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(fds->count * sizeof(int));
        memcpy(CMSG_DATA(rights), fds->fd, fds->count * sizeof(int));
    }
    do
        sent = sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

/* The control buffer bounds what the kernel puts there to CONN_FDS_MAX. */
static void rights_read(struct msghdr *message, struct fds *fds)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        memcpy(fds->fd + fds->count, CMSG_DATA(c), count * sizeof(int));
        fds->count += count;
    }
}

ssize_t fds_receive(int socket, void *data, size_t size, struct fds *ret_fds)
{
    union control control;
    struct iovec bytes = {.iov_base = data, .iov_len = size};
    struct msghdr message = {
        .msg_iov = &bytes,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof(control.bytes),
    };
    ssize_t received;

    do
        received = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (received < 0 && errno == EINTR);
    if (received < 0)
        return -errno;
    *ret_fds = FDS_NULL;
    rights_read(&message, ret_fds);
    /* Too many for the buffer, or for this process: what came is not what was sent. */
    if (message.msg_flags & MSG_CTRUNC) {
        fds_close(ret_fds);
        ret_fds->lost = true;
    }
    return received;
}
