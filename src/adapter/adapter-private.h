/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the pump (adapter.c) and the kinds of sockets (stream.c, datagram.c, datagram-next.c).
 */
#pragma once

#include <sys/uio.h>

#include "adapter/adapter.h"
#include "adapter/batch.h"
#include "adapter/frame.h"
#include "adapter/journal.h"
#include "base/buf.h"

/* A kind of socket. Nothing of it waits. An errno that says that the peer is gone sets over. */
struct adapter_ops {
    /* Reads what is there, at most what room holds, and gives each frame to adapter_input(). room
     * is that of the journal. */
    void (*receive)(struct adapter *a, uint8_t *room, size_t size);
    /* Sends count frames, two iovecs each as in struct batch, while nothing is pending. What the
     * socket does not take now goes to adapter_keep(); what it never takes is counted as dropped.
     */
    void (*send)(struct adapter *a, struct iovec *iov, unsigned count);
    /* The socket says that it takes more: sends from a->pending, or gives it up. */
    void (*drain)(struct adapter *a);
    /* Before the first of them; may be NULL. */
    void (*begin)(struct adapter *a);
};

extern const struct adapter_ops stream_ops, datagram_ops, datagram_next_ops, shared_ops;

struct adapter {
    const struct adapter_ops *ops;
    struct source tap_source, peer_source;
    int tap, peer; /* owned */
    unsigned mtu;
    size_t limit; /* bytes of a frame that is no super-frame */
    bool tso, checksum_offload, lenient;
    bool over;          /* the peer or the tap is gone; the owner is told at the end of the turn */
    struct buf pending; /* for the peer: frames with their prefixes */
    struct buf held;    /* frames from a peer that is not welcome yet, prefixed; else empty */
    void (*met)(void *context, const uint8_t mac[6]); /* NULL: the peer is welcome */
    struct client *client; /* of a listening path: it is told of the end; NULL: none */
    /* Of a stream: where the peer's is, the bytes that the socket holds at most, and how many of
     * those that are pending must go before anything else as their frame's beginning has gone. */
    struct place place;
    size_t send_buffer, torn;
    size_t portion;  /* bytes that a turn reads at most */
    unsigned writes; /* to the tap, in the last turn */
    struct adapter_counters counters;
    void (*ended)(void *context);
    void *context;
    char *name; /* owned */
};

/* A frame from the peer; it must stay until receive() returns. */
void adapter_input(struct adapter *a, uint8_t *frame, size_t size);

/* Around adapter_input() from outside of receive(). The end may call ended. */
void adapter_input_begin(struct adapter *a);
void adapter_input_end(struct adapter *a);
/* Frames that were kept, each with a prefix. */
void adapter_input_held(struct adapter *a, const struct buf *held);
/* Memory to receive into, until the turn is over. */
uint8_t *adapter_room(size_t *ret_size);
/* The peer is gone: calls ended. */
void adapter_over(struct adapter *a);
/* clients.c: its adapter is freed. */
void client_left(struct client *client);

/* Appends frames, or what is left of them, to a->pending. */
void adapter_keep(struct adapter *a, const struct iovec *iov, unsigned count);
/* Sends the frames that are pending, and returns how many there were; a->pending is then what was
 * kept of them. */
unsigned adapter_resend(struct adapter *a);

/* What the two kinds of datagrams have in common. Bytes of a slot that shows whether a datagram is
 * larger than any frame the peer may send. */
size_t datagram_slot(const struct adapter *a);
/* A datagram of size bytes, perhaps none. */
void datagram_input(struct adapter *a, uint8_t *slot, size_t size);
/* After a failed send: true if there is no point in more now, and the frames at iov were kept or
 * dropped; false if only the first of them was dropped. */
bool datagram_stopped(struct adapter *a, int error, const struct iovec *iov, unsigned count);
void datagram_drain(struct adapter *a);
/* The head of a frame, without the prefix. */
static inline struct iovec datagram_bare(const struct iovec *head)
{
    return (struct iovec){(char *)head->iov_base + BATCH_PREFIX, head->iov_len - BATCH_PREFIX};
}
