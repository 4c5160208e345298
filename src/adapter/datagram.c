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

enum { RECEIVE_FRAMES = 128 };

size_t datagram_slot(const struct adapter *a)
{
    return (a->tso ? (size_t)FRAME_MAX : a->limit) + 1;
}

void datagram_input(struct adapter *a, uint8_t *slot, size_t size)
{
    if (size > 0) /* QEMU takes those for an end, others for nothing */
        adapter_input(a, slot, size);
}

static bool receive_failed(struct adapter *a)
{
    a->over = errno != EAGAIN && errno != EINTR;
    return true;
}

static void datagram_receive(struct adapter *a, uint8_t *room, size_t size)
{
    size_t slot = datagram_slot(a);

    for (int i = 0; i < RECEIVE_FRAMES && size >= slot; i++) {
        ssize_t got = recv(a->peer, room, slot, MSG_DONTWAIT);
        size_t used = got < 0 ? 0 : (size_t)got;

        if (got < 0 && receive_failed(a))
            return;
        datagram_input(a, room, used);
        room += used;
        size -= used;
    }
}

bool datagram_stopped(struct adapter *a, int error, const struct iovec *iov, unsigned count)
{
    switch (error) {
    case EAGAIN:
    case EINTR:
        for (unsigned i = 0; i < 2 * count; i++)
            buf_append(&a->pending, iov[i].iov_base, iov[i].iov_len);
        return true;
    case ECONNREFUSED:
    case ECONNRESET:
    case ENOTCONN:
    case EPIPE:
        a->over = true;
        a->counters.out_dropped += count;
        return true;
    default: /* ENOBUFS, EMSGSIZE …: this frame's bad luck */
        a->counters.out_dropped++;
        return false;
    }
}

/* A frame as a datagram: without the prefix. */
static struct msghdr message_of(struct iovec *iov, struct iovec *storage)
{
    storage[0] = (struct iovec){(char *)iov[0].iov_base + BATCH_PREFIX,
                                iov[0].iov_len - BATCH_PREFIX};
    storage[1] = iov[1];
    return (struct msghdr){.msg_iov = storage, .msg_iovlen = iov[1].iov_len > 0 ? 2 : 1};
}

static void datagram_send(struct adapter *a, struct iovec *iov, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct iovec storage[2];
        struct msghdr message = message_of(iov + (size_t)2 * i, storage);

        if (sendmsg(a->peer, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
            datagram_stopped(a, errno, iov + (size_t)2 * i, count - i))
            return;
    }
}
