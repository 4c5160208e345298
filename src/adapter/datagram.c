/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The datagram kind: one frame a system call, and what it has in common with datagram_next.
 *
 * A unix socket that is connected both ways says truly when it is writable again, so frames that
 * found no room wait for that. One that is not says "writable" while its peer's queue (11
 * datagrams) is full: a queue that has not moved when it should have is given up.
 */
#include <errno.h>
#include <sys/socket.h>

#include "adapter/adapter-private.h"

enum {
    RECEIVE_FRAMES = 64
}; /* a turn: other ports have theirs, and queues their limit (stream.c) */

size_t datagram_slot(const struct adapter *a)
{
    return (a->tso ? (size_t)FRAME_MAX : a->limit) + 1;
}

void datagram_input(struct adapter *a, uint8_t *slot, size_t size)
{
    if (size > 0) /* QEMU takes those for an end, others for nothing */
        adapter_input(a, slot, size);
}

static void datagram_receive(struct adapter *a, uint8_t *room, size_t size)
{
    size_t slot = datagram_slot(a);

    for (int i = 0; i < RECEIVE_FRAMES && size >= slot; i++) {
        ssize_t got = recv(a->peer, room, slot, MSG_DONTWAIT);

        if (got < 0) {
            a->over = errno != EAGAIN && errno != EINTR;
            return;
        }
        datagram_input(a, room, (size_t)got);
        room += got;
        size -= (size_t)got;
    }
}

bool datagram_stopped(struct adapter *a, int error, const struct iovec *iov, unsigned count)
{
    switch (error) {
    case EAGAIN:
    case EINTR:
        adapter_keep(a, iov, count);
        return true;
    case ECONNREFUSED:
    case ECONNRESET:
    case ENOENT:
    case ENOTCONN:
    case EPERM: /* it has connected elsewhere */
    case EPIPE:
        a->over = true;
        a->counters.out_dropped += count;
        return true;
    default: /* ENOBUFS, EMSGSIZE …: this frame's bad luck */
        a->counters.out_dropped++;
        return false;
    }
}

void datagram_drain(struct adapter *a)
{
    size_t before = a->pending.size;
    unsigned frames = adapter_resend(a);

    if (a->pending.size == before) {
        a->counters.out_dropped += frames;
        buf_done(&a->pending);
    }
}

static void datagram_send(struct adapter *a, struct iovec *iov, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct iovec *frame = iov + (size_t)2 * i;
        struct iovec bare[2] = {datagram_bare(frame), frame[1]};
        struct msghdr message = {.msg_iov = bare, .msg_iovlen = 2};

        if (sendmsg(a->peer, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
            datagram_stopped(a, errno, frame, count - i))
            return;
    }
}

const struct adapter_ops datagram_ops = {
    .receive = datagram_receive,
    .send = datagram_send,
    .drain = datagram_drain,
};
