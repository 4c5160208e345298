/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pump between tap and socket; see adapter.h for what it promises.
 *
 * In: a batch of frames is received, each goes through the coalescer (or, longer than the MTU from
 * a peer with offload, gets its header inferred) and into the tap, which never blocks. Out: frames
 * are read from the tap until it is empty or the room is used, cut into the batch and sent. While
 * frames are pending the tap is not watched; the peer always is.
 */
#include "adapter/adapter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "adapter/adapter-private.h"
#include "adapter/coalesce.h"
#include "adapter/segment.h"
#include "base/alloc.h"

enum {
    SEND_BUFFER = 1 << 20, /* 64 KiB more than halves the throughput */
    RESEND_FRAMES = 64,    /* at once */
    HEADER = sizeof(struct virtio_net_hdr),
    OFFLOAD_USO = 0x20 | 0x40, /* TUN_F_USO4, TUN_F_USO6: Linux 6.2 */
};

/* Memory of the turn that is under way, beside the journal's room, the same for all adapters: one
 * thread runs them all, and nothing in it is needed when a turn ends. */
static struct {
    struct batch batch;
    struct coalesce coalesce;
} turn;

static void tap_write(void *context, const struct iovec *iov, int count, unsigned frames)
{
    struct adapter *a = context;

    a->writes++;
    if (writev(a->tap, iov, count) < 0)
        a->counters.in_dropped += frames;
}

/* A frame of a peer that nobody knows yet: the first of them says who it is. */
static void hold(struct adapter *a, const uint8_t *frame, size_t size)
{
    static const uint8_t none[ETH_ALEN];
    const uint8_t *mac = frame + ETH_ALEN;
    uint8_t prefix[BATCH_PREFIX];
    bool first = a->held.size == 0;

    if (size < ETH_HLEN || mac[0] & 1 || memcmp(mac, none, sizeof(none)) == 0 ||
        a->held.size + size > JOURNAL_ROOM) {
        a->counters.in_dropped++;
        return;
    }
    frame_put32(prefix, (uint32_t)size);
    buf_append(&a->held, prefix, sizeof(prefix));
    buf_append(&a->held, frame, size);
    if (first)
        a->met(a->context, mac);
}

void adapter_input(struct adapter *a, uint8_t *frame, size_t size)
{
    struct virtio_net_hdr header;

    if (a->met) {
        hold(a, frame, size);
        return;
    }
    a->counters.in_frames++;
    a->counters.in_bytes += size;
    if (size <= a->limit)
        coalesce_add(&turn.coalesce, frame, size);
    else if ((a->tso || a->lenient) && offload_infer_large(frame, size, a->mtu, &header) == 0)
        coalesce_pass(&turn.coalesce, &header, frame, size);
    else
        a->counters.in_dropped++;
}

void adapter_keep(struct adapter *a, const struct iovec *iov, unsigned count)
{
    for (unsigned i = 0; i < 2 * count; i++)
        buf_append(&a->pending, iov[i].iov_base, iov[i].iov_len);
}

/* Frames for the peer, behind those that are pending. */
static void peer_send(struct adapter *a, struct iovec *iov, unsigned count)
{
    if (a->over)
        a->counters.out_dropped += count;
    else if (a->pending.size > 0)
        adapter_keep(a, iov, count);
    else
        a->ops->send(a, iov, count);
}

/* The frames in data, as many as iov has room for. */
static unsigned frames_list(const struct buf *data, size_t *at, struct iovec *iov, unsigned room)
{
    unsigned count = 0;

    for (; count < room && *at < data->size; count++) {
        uint8_t *frame = (uint8_t *)data->data + *at;

        iov[2 * count] = (struct iovec){frame, BATCH_PREFIX + frame_get32(frame)};
        iov[2 * count + 1] = (struct iovec){0};
        *at += iov[2 * count].iov_len;
    }
    return count;
}

unsigned adapter_resend(struct adapter *a)
{
    OWN(buf) struct buf held = a->pending;
    struct iovec iov[2 * RESEND_FRAMES];
    unsigned count, frames = 0;

    a->pending = BUF_NULL;
    for (size_t at = 0; (count = frames_list(&held, &at, iov, RESEND_FRAMES)) > 0; frames += count)
        peer_send(a, iov, count);
    return frames;
}

static void batch_send(struct adapter *a)
{
    struct batch *b = &turn.batch;

    if (b->count == 0)
        return;
    a->counters.out_frames += b->count;
    a->counters.out_bytes += b->bytes;
    peer_send(a, b->iov, b->count);
    batch_clear(b);
}

/* slot: a virtio-net header and a frame. */
static void output(struct adapter *a, uint8_t *slot, size_t size)
{
    struct virtio_net_hdr header;
    struct segment_run run;
    bool more = true;

    memcpy(&header, slot, HEADER);
    if (segment_begin(&run, &header, slot + HEADER, size - HEADER, a->limit, a->tso) < 0) {
        a->counters.out_frames++;
        a->counters.out_bytes += size - HEADER;
        a->counters.out_dropped++;
        return;
    }
    while (more) {
        if (batch_full(&turn.batch))
            batch_send(a);
        more = segment_next(&run, &turn.batch);
    }
}

static void tap_drain(struct adapter *a)
{
    size_t used = 0, slot = HEADER + FRAME_MAX;
    uint8_t *room = journal_room();

    batch_clear(&turn.batch);
    while (JOURNAL_ROOM - used >= slot && a->pending.size == 0) {
        ssize_t got = read(a->tap, room + used, slot);

        if (got < HEADER + ETH_HLEN) {
            a->over = got < 0 && errno != EAGAIN && errno != EINTR;
            break;
        }
        output(a, room + used, (size_t)got);
        used += (size_t)got;
    }
    batch_send(a);
}

/* After a turn: what is watched, or the end. */
static void settle(struct adapter *a)
{
    bool full = a->pending.size > 0;

    if (!full)
        buf_done(&a->pending);
    if (!a->over) {
        source_want(&a->tap_source, full ? 0 : EPOLLIN);
        source_want(&a->peer_source, (a->held.size > 0 ? 0 : EPOLLIN) | (full ? EPOLLOUT : 0));
        return;
    }
    source_remove(&a->tap_source);
    source_remove(&a->peer_source);
    a->ended(a->context);
}

static void tap_ready(struct source *source, uint32_t events)
{
    struct adapter *a = container_of(source, struct adapter, tap_source);

    if (events & EPOLLERR)
        a->over = true;
    else
        tap_drain(a);
    settle(a);
}

void adapter_input_begin(struct adapter *a)
{
    turn.coalesce.emit = tap_write;
    turn.coalesce.context = a;
    turn.coalesce.partial = a->checksum_offload || a->lenient;
}

void adapter_input_end(struct adapter *a)
{
    coalesce_flush(&turn.coalesce);
    settle(a);
}

void adapter_input_held(struct adapter *a, const struct buf *held)
{
    size_t size;

    adapter_input_begin(a);
    for (size_t at = 0; at < held->size; at += size) {
        size = frame_get32((uint8_t *)held->data + at);
        at += BATCH_PREFIX;
        adapter_input(a, (uint8_t *)held->data + at, size);
    }
    adapter_input_end(a);
}

void adapter_welcome(struct adapter *a)
{
    OWN(buf) struct buf held = a->held;

    a->met = NULL;
    a->held = BUF_NULL;
    adapter_input_held(a, &held);
}

uint8_t *adapter_room(size_t *ret_size)
{
    *ret_size = JOURNAL_ROOM;
    return journal_room();
}

void adapter_over(struct adapter *a)
{
    a->over = true;
    settle(a);
}

static void peer_ready(struct source *source, uint32_t events)
{
    struct adapter *a = container_of(source, struct adapter, peer_source);
    uint64_t before = a->counters.in_frames;

    if (events & EPOLLOUT && a->pending.size > 0)
        a->ops->drain(a);
    if (events & ~(uint32_t)EPOLLOUT) {
        adapter_input_begin(a);
        a->ops->receive(a, journal_room(), JOURNAL_ROOM);
        coalesce_flush(&turn.coalesce);
        /* Shut down, and nothing left to read: datagram sockets say it in no other way. */
        if (events & EPOLLHUP && a->counters.in_frames == before)
            a->over = true;
    }
    settle(a);
}

static int tap_prepare(int tap)
{
    unsigned offload = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
    int size = HEADER, flags = fcntl(tap, F_GETFL);

    if (flags < 0 || fcntl(tap, F_SETFL, flags | O_NONBLOCK) < 0)
        return -errno;
    if (ioctl(tap, TUNSETVNETHDRSZ, &size) < 0)
        return -errno;
    if (ioctl(tap, TUNSETOFFLOAD, (unsigned long)(offload | OFFLOAD_USO)) < 0 &&
        ioctl(tap, TUNSETOFFLOAD, (unsigned long)offload) < 0)
        return -errno;
    return 0;
}

static const struct adapter_ops *const kinds[] = {
    [ADAPTER_STREAM] = &stream_ops,
    [ADAPTER_DATAGRAM] = &datagram_ops,
    [ADAPTER_DATAGRAM_NEXT] = &datagram_next_ops,
    [ADAPTER_SHARED] = &shared_ops,
};

int adapter_new(struct loop *loop, const struct adapter_config *config, int tap, int peer,
                void (*ended)(void *context), void *context, struct adapter **ret)
{
    struct adapter *a = alloc_new(struct adapter);
    int r, size = SEND_BUFFER;

    *a = (struct adapter){
        .ops = kinds[config->kind],
        .tap = tap,
        .peer = peer,
        .mtu = config->mtu,
        .limit = FRAME_HEAD_MAX + config->mtu,
        .tso = config->tso,
        .checksum_offload = config->checksum_offload,
        .lenient = config->lenient,
        .met = config->met,
        .ended = ended,
        .context = context,
        .name = alloc_text(config->name),
    };
    setsockopt(peer, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)); /* as much as the host allows */
    r = tap_prepare(tap);
    if (r == 0)
        r = source_add(loop, &a->tap_source, tap, EPOLLIN, tap_ready);
    if (r == 0 && peer >= 0)
        r = source_add(loop, &a->peer_source, peer, EPOLLIN, peer_ready);
    if (r < 0) {
        adapter_free(a);
        return r;
    }
    if (a->ops->begin)
        a->ops->begin(a);
    *ret = a;
    return 0;
}

void adapter_free(struct adapter *a)
{
    if (!a)
        return;
    if (a->client)
        client_left(a->client);
    source_remove(&a->tap_source);
    source_remove(&a->peer_source);
    fd_close(&a->tap);
    fd_close(&a->peer);
    place_done(&a->place);
    buf_done(&a->pending);
    buf_done(&a->held);
    free(a->name);
    free(a);
}

void adapter_counters(const struct adapter *a, struct adapter_counters *ret)
{
    *ret = a->counters;
}
