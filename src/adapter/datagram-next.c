/* SPDX-License-Identifier: Apache-2.0 */
/* The datagram_next kind: the same wire as datagram, many frames a system call. */
#include <errno.h>
#include <sys/socket.h>

#include "adapter/adapter-private.h"

enum { MESSAGES = 64 }; /* as RECEIVE_FRAMES in datagram.c */

static void datagram_next_receive(struct adapter *a, uint8_t *room, size_t size)
{
    size_t slot = datagram_slot(a);
    unsigned slots = size / slot < MESSAGES ? (unsigned)(size / slot) : MESSAGES;
    struct mmsghdr messages[MESSAGES];
    struct iovec iov[MESSAGES];
    int got;

    for (unsigned i = 0; i < slots; i++) {
        iov[i] = (struct iovec){room + i * slot, slot};
        messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &iov[i], .msg_iovlen = 1}};
    }
    got = recvmmsg(a->peer, messages, slots, MSG_DONTWAIT, NULL);
    if (got < 0)
        a->over = errno != EAGAIN && errno != EINTR;
    for (int i = 0; i < got; i++)
        datagram_input(a, iov[i].iov_base, messages[i].msg_len);
}

/* Returns how many of the frames were taken, or negative errno if none was. */
static int messages_send(struct adapter *a, const struct iovec *iov, unsigned count)
{
    struct mmsghdr messages[MESSAGES];
    struct iovec bare[2 * MESSAGES];
    int sent;

    for (unsigned i = 0; i < count; i++) {
        bare[2 * i] = datagram_bare(&iov[2 * i]);
        bare[2 * i + 1] = iov[2 * i + 1];
        messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &bare[2 * i], .msg_iovlen = 2}};
    }
    sent = sendmmsg(a->peer, messages, count, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent < 0 ? -errno : sent;
}

static void datagram_next_send(struct adapter *a, struct iovec *iov, unsigned count)
{
    while (count > 0) {
        int sent = messages_send(a, iov, count < MESSAGES ? count : MESSAGES);

        if (sent < 0 && datagram_stopped(a, -sent, iov, count))
            return;
        if (sent < 0) /* the first one was dropped */
            sent = 1;
        iov += (size_t)2 * (unsigned)sent;
        count -= (unsigned)sent;
    }
}

const struct adapter_ops datagram_next_ops = {
    .receive = datagram_next_receive,
    .send = datagram_next_send,
    .drain = datagram_drain,
};
