/* SPDX-License-Identifier: Apache-2.0 */
/* See naive.h. */
#include "naive.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum {
    FRAME_MAX = 2048,
    TURN = 64, /* frames before the other direction is looked at */
    HEADER = sizeof(struct virtio_net_hdr),
};

/* Stream: the length, then as many bytes, as socket_vmnet reads them. */
static ssize_t frame_read(int peer, bool stream, uint8_t *frame)
{
    uint32_t length;

    if (!stream)
        return recv(peer, frame, FRAME_MAX, MSG_DONTWAIT);
    if (recv(peer, &length, sizeof(length), MSG_DONTWAIT) != sizeof(length))
        return -1;
    return recv(peer, frame, ntohl(length), MSG_WAITALL);
}

static void frame_write(int peer, bool stream, uint8_t *frame, size_t size)
{
    uint32_t length = htonl((uint32_t)size);
    struct iovec iov[2] = {{&length, sizeof(length)}, {frame, size}};
    struct msghdr message = {.msg_iov = stream ? iov : iov + 1, .msg_iovlen = stream ? 2 : 1};
    struct pollfd room = {.fd = peer, .events = POLLOUT};

    while (sendmsg(peer, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EAGAIN)
        poll(&room, 1, -1);
}

static void in(int tap, int peer, bool stream)
{
    struct virtio_net_hdr header = {0};
    uint8_t frame[FRAME_MAX];

    for (int i = 0; i < TURN; i++) {
        ssize_t size = frame_read(peer, stream, frame);
        struct iovec iov[2] = {{&header, HEADER}, {frame, (size_t)size}};

        if (size <= 0 || writev(tap, iov, 2) < 0)
            return;
    }
}

static void out(int tap, int peer, bool stream)
{
    struct virtio_net_hdr header;
    uint8_t frame[FRAME_MAX];
    struct iovec iov[2] = {{&header, HEADER}, {frame, sizeof(frame)}};

    for (int i = 0; i < TURN; i++) {
        ssize_t size = readv(tap, iov, 2);

        if (size <= HEADER)
            return;
        frame_write(peer, stream, frame, (size_t)size - HEADER);
    }
}

void naive_run(int tap, int peer, bool stream)
{
    struct pollfd fds[2] = {{.fd = tap, .events = POLLIN}, {.fd = peer, .events = POLLIN}};

    ioctl(tap, TUNSETOFFLOAD, 0UL);
    while (poll(fds, 2, -1) > 0) {
        if (fds[1].revents)
            in(tap, peer, stream);
        if (fds[0].revents)
            out(tap, peer, stream);
        if (fds[1].revents & POLLHUP)
            return;
    }
}
