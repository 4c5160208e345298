/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stream kind: many frames a system call in both directions, and never a part of one, as this
 * process may be killed at any instant. journal.h tells how that is done for what is received. What
 * is sent goes in pieces that the socket takes as one buffer, hence whole or not at all.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "adapter/adapter-private.h"
#include "adapter/deframer.h"
#include "base/log.h"

enum {
    PIECE = 32 * 1024, /* unix_stream_sendmsg() in net/unix/af_unix.c: UNIX_SKB_FRAGS_SZ */
    PORTION_MIN = 4 * 1024,
    WRITES_MAX =
        50, /* half of the queue of a port that is a cable: CABLE_QUEUE in network/port.c */
    OVERHEAD = 8 * 1024, /* of the buffers that the largest frame needs */
};

static void stream_begin(struct adapter *a)
{
    socklen_t size = sizeof(int);
    int bytes = 0;

    getsockopt(a->peer, SOL_SOCKET, SO_SNDBUF, &bytes, &size);
    a->send_buffer = (size_t)bytes;
    a->portion = JOURNAL_ROOM;
    place_init(&a->place, a->peer);
}

static void frame_arrived(void *context, uint8_t *frame, size_t size)
{
    adapter_input(context, frame, size);
}

/* A turn of small frames, which don't join, would bring more than the queues of other guests' taps
 * hold, as nobody reads those meanwhile: the next turn is to bring less. */
static void portion_adapt(struct adapter *a)
{
    if (a->writes > WRITES_MAX && a->portion > PORTION_MIN)
        a->portion /= 2;
    else if (a->writes < WRITES_MAX / 2 && a->portion < JOURNAL_ROOM)
        a->portion *= 2;
}

static void stream_receive(struct adapter *a, uint8_t *room, size_t size)
{
    ssize_t got;

    portion_adapt(a);
    a->writes = 0;
    got = place_read(&a->place, a->peer, a->portion < size ? a->portion : size);
    if (got <= 0) {
        a->over = got == 0 || (got != -EAGAIN && got != -EINTR);
    } else if (deframer_run(room, (size_t)got, frame_arrived, a) < 0) {
        log_warn(a->name, "the peer sends lengths that no frame has: port ended");
        a->counters.in_dropped++;
        a->over = true;
    }
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

static size_t frame_size(const struct iovec *iov)
{
    return iov[0].iov_len + iov[1].iov_len;
}

/* How many of the frames make one piece: a frame that is larger is one by itself. */
static unsigned piece_find(const struct iovec *iov, unsigned count, size_t *ret_size)
{
    size_t size = frame_size(iov);
    unsigned frames = 1;

    for (; frames < count; frames++) {
        size_t next = frame_size(iov + (size_t)2 * frames);

        if (size + next > PIECE)
            break;
        size += next;
    }
    *ret_size = size;
    return frames;
}

/* A large frame takes several buffers: is there room for all? An empty socket has to do. */
static bool piece_fits(const struct adapter *a, size_t size)
{
    int queued = 0;

    if (size <= PIECE || ioctl(a->peer, SIOCOUTQ, &queued) < 0 || queued == 0)
        return true;
    return (size_t)queued + size + OVERHEAD <= a->send_buffer;
}

/* The kernel had no memory for the second buffer of a frame, or the like: the rest of that frame
 * has to be the next. */
static void piece_torn(struct adapter *a, struct iovec *iov, size_t sent)
{
    while (sent >= frame_size(iov)) {
        sent -= frame_size(iov);
        iov[0].iov_len = iov[1].iov_len = 0;
        iov += 2;
    }
    for (int i = 0; i < 2 && sent > 0; i++) {
        size_t taken = sent < iov[i].iov_len ? sent : iov[i].iov_len;

        sent -= taken;
        iov[i].iov_base = (char *)iov[i].iov_base + taken;
        iov[i].iov_len -= taken;
        a->torn = frame_size(iov);
    }
}

static void stream_send(struct adapter *a, struct iovec *iov, unsigned count)
{
    while (count > 0) {
        size_t size;
        unsigned frames = piece_find(iov, count, &size);
        ssize_t sent = piece_fits(a, size) ? stream_write(a, iov, (size_t)2 * frames) : 0;

        if (sent < 0) {
            a->counters.out_dropped += count;
            return;
        }
        if ((size_t)sent < size) {
            piece_torn(a, iov, (size_t)sent);
            adapter_keep(a, iov, count);
            return;
        }
        iov += (size_t)2 * frames;
        count -= frames;
    }
}

static void stream_drain(struct adapter *a)
{
    struct iovec iov = {a->pending.data, a->torn};
    ssize_t sent = a->torn > 0 ? stream_write(a, &iov, 1) : 0;

    if (sent < 0) {
        buf_done(&a->pending);
        a->torn = 0;
        return;
    }
    buf_consume(&a->pending, (size_t)sent);
    a->torn -= (size_t)sent;
    if (a->torn == 0)
        adapter_resend(a);
}

const struct adapter_ops stream_ops = {
    .receive = stream_receive,
    .send = stream_send,
    .drain = stream_drain,
    .begin = stream_begin,
};
