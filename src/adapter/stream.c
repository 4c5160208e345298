/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stream kind: many frames a system call in both directions. A write may end inside a frame;
 * the remainder is then the first thing that is written next.
 */
#include <errno.h>
#include <sys/socket.h>

#include "adapter/adapter-private.h"
#include "adapter/deframer.h"
#include "base/log.h"

static void frame_arrived(void *context, uint8_t *frame, size_t size)
{
    adapter_input(context, frame, size);
}

static void rest_keep(struct adapter *a, const uint8_t *data, size_t size)
{
    if (a->rest.size > 0 || size == 0)
        buf_done(&a->rest);
    if (size > 0)
        buf_append(&a->rest, data, size);
}

static void stream_receive(struct adapter *a, uint8_t *room, size_t size)
{
    size_t have = a->rest.size;
    ssize_t got = recv(a->peer, room + have, size - have, MSG_DONTWAIT), used;

    if (got <= 0) {
        a->over = got == 0 || (errno != EAGAIN && errno != EINTR);
        return;
    }
    if (have > 0)
        memcpy(room, a->rest.data, have);
    have += (size_t)got;
    used = deframer_run(room, have, frame_arrived, a);
    if (used < 0) {
        log_warn(a->name, "the peer sends lengths that no frame has: port ended");
        a->counters.in_dropped++;
        a->over = true;
        return;
    }
    rest_keep(a, room + used, have - (size_t)used);
}

/* Returns the bytes that were taken: 0 when there is no room now. Negative errno when the peer
 * takes nothing any more; that it is gone is for receive() to see. */
static ssize_t stream_write(struct adapter *a, struct iovec *iov, size_t count)
{
    struct msghdr message = {.msg_iov = iov, .msg_iovlen = count};
    ssize_t sent = sendmsg(a->peer, &message, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (sent < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    return sent;
}

static void stream_send(struct adapter *a, struct iovec *iov, unsigned count)
{
    ssize_t sent = stream_write(a, iov, (size_t)2 * count);

    if (sent < 0) {
        a->counters.out_dropped += count;
        return;
    }
    for (unsigned i = 0; i < 2 * count && sent > 0; i++) {
        size_t taken = (size_t)sent < iov[i].iov_len ? (size_t)sent : iov[i].iov_len;

        sent -= (ssize_t)taken;
        iov[i].iov_base = (char *)iov[i].iov_base + taken;
        iov[i].iov_len -= taken;
    }
    adapter_keep(a, iov, count);
}

static void stream_drain(struct adapter *a)
{
    struct iovec iov = {a->pending.data, a->pending.size};
    ssize_t sent = stream_write(a, &iov, 1);

    buf_consume(&a->pending, sent < 0 ? a->pending.size : (size_t)sent);
}

const struct adapter_ops stream_ops = {stream_receive, stream_send, stream_drain};
