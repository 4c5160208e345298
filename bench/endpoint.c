/* SPDX-License-Identifier: Apache-2.0 */
/* See endpoint.h. */
#include "endpoint.h"

#include <errno.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "bench.h"

enum {
    PREFIX = 4,
    HEADS = ETH_HLEN + 20 + 20,
    OPTIONS = 8, /* of a SYN: MSS, window scale */
    MSS = ENDPOINT_MTU - 40,
    LARGE = 44 * MSS,
    FRAME_MAX = 65600,
    BURST_BYTES = 128 * 1024,
    READ_SIZE = 256 * 1024,
    MESSAGES = 128,
    SCALE = 10,
    WINDOW = 1 << 20, /* less than a tap's queue of 1000 frames */
    AGAIN_MS = 50,
    OWN_PORT = 5000,
    ISLANDS = 64,
    SAME_ACKS = 3, /* RFC 5681 3.2 */
};

/* State of the connection; sequence numbers start at 0 on our side. */
struct connection {
    const struct endpoint *e;
    uint16_t own_port, peer_port;
    uint32_t next, acked; /* ours: to be sent next; acknowledged so far */
    uint32_t window;      /* the peer's, bytes */
    uint8_t scale;        /* of the window fields it sends */
    bool blocked;         /* the socket took nothing of the last burst */
    uint32_t expected;    /* theirs */
    unsigned same_acks;
    unsigned out_of_order; /* segments since the last answer */
    struct {
        uint32_t from, to;
    } islands[ISLANDS]; /* what arrived beyond expected, in no order; from == to: unused */
    bool open, arrived;
    volatile uint64_t *received;
    uint8_t *out; /* frames with prefixes, to be sent together */
    size_t stride, frames;
    uint8_t in[READ_SIZE];
    size_t held;
};

static uint32_t sum_add(uint32_t sum, const uint8_t *bytes, size_t size)
{
    for (; size > 1; bytes += 2, size -= 2)
        sum += (uint32_t)(bytes[0] << 8 | bytes[1]);
    return sum + (size ? (uint32_t)bytes[0] << 8 : 0);
}

static uint16_t sum_fold(uint32_t sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
    put16(at, value >> 16);
    put16(at + 2, value & 0xffff);
}

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* The heads of a frame whose payload is zeros, and so is not looked at. options bytes lie behind
 * the TCP header already. */
static void frame_write(const struct connection *c, uint8_t *frame, uint8_t flags, uint32_t seq,
                        size_t options, size_t payload)
{
    uint8_t *ip = frame + ETH_HLEN, *tcp = ip + 20;
    size_t l4 = 20 + options + payload;
    uint32_t sum;

    memcpy(frame, c->e->peer_mac, 6);
    memcpy(frame + 6, c->e->mac, 6);
    put16(frame + 12, ETHERTYPE_IP);
    memcpy(ip, "\x45\0\0\0\0\0\x40\0\x40\x06\0\0", 12);
    put16(ip + 2, (uint32_t)(20 + l4));
    memcpy(ip + 12, &c->e->ip, 4);
    memcpy(ip + 16, &c->e->peer_ip, 4);
    put16(ip + 10, (uint16_t)~sum_fold(sum_add(0, ip, 20)));
    put16(tcp, c->own_port);
    put16(tcp + 2, c->peer_port);
    put32(tcp + 4, seq);
    put32(tcp + 8, c->expected);
    tcp[12] = (uint8_t)((20 + options) / 4 << 4);
    tcp[13] = flags;
    put16(tcp + 14, flags & TH_SYN ? 65535 : WINDOW >> SCALE);
    put32(tcp + 16, 0);
    sum = sum_add(IPPROTO_TCP + (uint32_t)l4, ip + 12, 8);
    if (c->e->large)
        put16(tcp + 16, sum_fold(sum));
    else
        put16(tcp + 16, (uint16_t)~sum_fold(sum_add(sum, tcp, 20 + options)));
}

static bool wait_for(const struct connection *c, short events)
{
    struct pollfd poll_fd = {.fd = c->e->fd, .events = events};

    return poll(&poll_fd, 1, AGAIN_MS) > 0;
}

static void stream_write(const struct connection *c, const uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(c->e->fd, data, size, MSG_NOSIGNAL);

        if (sent < 0 && errno != EAGAIN)
            die("send");
        if (sent < 0) {
            wait_for(c, POLLOUT);
            continue;
        }
        data += sent;
        size -= (size_t)sent;
    }
}

/* Frames that find no room are lost, as in QEMU's; the connection sends them again. */
static unsigned datagrams_write(const struct connection *c, size_t frames, size_t size)
{
    struct mmsghdr messages[MESSAGES] = {0};
    struct iovec iov[MESSAGES];
    int sent;

    for (size_t i = 0; i < frames; i++) {
        iov[i] = (struct iovec){c->out + i * c->stride + PREFIX, size};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
    }
    sent = sendmmsg(c->e->fd, messages, (unsigned)frames, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != ENOBUFS)
        die("sendmmsg");
    return sent < 0 ? 0 : (unsigned)sent;
}

/* count frames of the same size from c->out; returns how many went. */
static unsigned frames_write(const struct connection *c, size_t count, size_t size)
{
    if (!c->e->stream)
        return datagrams_write(c, count, size);
    for (size_t i = 0; i < count; i++)
        put32(c->out + i * c->stride, (uint32_t)size);
    stream_write(c, c->out, count * c->stride);
    return (unsigned)count;
}

static void control_send(struct connection *c, uint8_t flags)
{
    size_t options = flags & TH_SYN ? OPTIONS : 0, stride = c->stride;
    uint8_t *frame = c->out + PREFIX;

    if (options)
        memcpy(frame + HEADS, "\x02\x04\x05\xb4\x01\x03\x03\x0a", OPTIONS);
    frame_write(c, frame, flags, c->next, options, 0);
    if (options) { /* not zeros */
        uint8_t *tcp = frame + ETH_HLEN + 20;
        uint32_t sum = sum_add(IPPROTO_TCP + 20 + OPTIONS, frame + ETH_HLEN + 12, 8);

        put16(tcp + 16, 0);
        put16(tcp + 16, (uint16_t)~sum_fold(sum_add(sum, tcp, 20 + OPTIONS)));
    }
    c->stride = PREFIX + HEADS + options;
    frames_write(c, 1, HEADS + options);
    c->stride = stride;
    memset(frame + HEADS, 0, OPTIONS);
}

static void acked(struct connection *c, const uint8_t *tcp)
{
    uint32_t ack = get32(tcp + 8);

    c->window = (uint32_t)(tcp[14] << 8 | tcp[15]) << c->scale;
    if ((int32_t)(ack - c->acked) > 0) {
        c->acked = ack;
        c->same_acks = 0;
        if ((int32_t)(c->next - ack) < 0)
            c->next = ack;
    } else if (c->acked != c->next && ++c->same_acks == SAME_ACKS) {
        c->next = c->acked;
    }
}

/* A SYN: its window scale (RFC 7323 2.2) is all that counts of its options. */
static void opened(struct connection *c, const uint8_t *tcp)
{
    size_t head = (size_t)(tcp[12] >> 4) * 4;

    for (size_t at = 20; at + 2 < head; at += tcp[at] == 1 ? 1 : tcp[at + 1]) {
        if (tcp[at] == 0 || (tcp[at] != 1 && tcp[at + 1] < 2))
            break;
        if (tcp[at] == 3)
            c->scale = tcp[at + 2];
    }
    c->expected = get32(tcp + 4) + 1;
    c->peer_port = (uint16_t)(tcp[0] << 8 | tcp[1]);
    c->open = true;
}

/* Remembers that from..to arrived out of order; what finds no place is as if it was lost. */
static void island_add(struct connection *c, uint32_t from, uint32_t to)
{
    int unused = -1;

    for (int i = 0; i < ISLANDS; i++) {
        if (c->islands[i].from == c->islands[i].to) {
            unused = i;
        } else if (c->islands[i].to == from) {
            c->islands[i].to = to;
            return;
        } else if (c->islands[i].from == to) {
            c->islands[i].from = from;
            return;
        }
    }
    if (unused >= 0) {
        c->islands[unused].from = from;
        c->islands[unused].to = to;
    }
}

/* Goes on behind the islands that expected has reached. */
static void islands_join(struct connection *c)
{
    for (int i = 0; i < ISLANDS; i++) {
        uint32_t from = c->islands[i].from, to = c->islands[i].to;

        if (from == to || (int32_t)(from - c->expected) > 0)
            continue;
        c->islands[i].from = c->islands[i].to;
        if ((int32_t)(to - c->expected) > 0) {
            c->expected = to;
            i = -1; /* those before it may fit now */
        }
    }
}

static void data_arrived(struct connection *c, uint32_t seq, uint32_t size)
{
    uint32_t before = c->expected;

    if ((int32_t)(seq + size - c->expected) <= 0 || (int32_t)(seq - c->expected) > 0) {
        if ((int32_t)(seq - c->expected) > 0)
            island_add(c, seq, seq + size);
        c->out_of_order++;
        return;
    }
    c->expected = seq + size;
    islands_join(c);
    *c->received += c->expected - before;
    c->arrived = true;
}

static void input(struct connection *c, const uint8_t *frame, size_t size)
{
    const uint8_t *ip = frame + ETH_HLEN, *tcp = ip + 20;
    size_t payload, head;

    if (size < HEADS || frame[12] != 8 || frame[13] != 0 || ip[9] != IPPROTO_TCP ||
        (tcp[2] << 8 | tcp[3]) != c->own_port)
        return;
    head = 20 + (size_t)(tcp[12] >> 4) * 4;
    payload = (size_t)(ip[2] << 8 | ip[3]) - head;
    if (tcp[13] & TH_RST) { /* nobody listens yet: the next SYN will see */
        if (c->open)
            exit(1);
        return;
    }
    if (tcp[13] & TH_SYN) {
        opened(c, tcp);
        return;
    }
    if (payload > 0)
        data_arrived(c, get32(tcp + 4), (uint32_t)payload);
    else
        acked(c, tcp);
}

static void stream_read(struct connection *c)
{
    ssize_t got = recv(c->e->fd, c->in + c->held, sizeof(c->in) - c->held, 0);
    size_t at = 0;

    if (got == 0 || (got < 0 && errno != EAGAIN))
        exit(0); /* the adapter is gone: so is the measurement */
    c->held += got < 0 ? 0 : (size_t)got;
    while (c->held - at >= PREFIX) {
        uint32_t length = get32(c->in + at);

        if (length > c->held - at - PREFIX)
            break;
        input(c, c->in + at + PREFIX, length);
        at += PREFIX + length;
    }
    c->held -= at;
    memmove(c->in, c->in + at, c->held);
}

static void datagrams_read(struct connection *c)
{
    size_t slot = c->e->large ? FRAME_MAX : 2048, slots = sizeof(c->in) / slot;
    struct mmsghdr messages[MESSAGES] = {0};
    struct iovec iov[MESSAGES];
    int got;

    slots = slots < MESSAGES ? slots : MESSAGES;
    for (size_t i = 0; i < slots; i++) {
        iov[i] = (struct iovec){c->in + i * slot, slot};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
    }
    got = recvmmsg(c->e->fd, messages, (unsigned)slots, MSG_DONTWAIT, NULL);
    if (got < 0 && errno != EAGAIN)
        die("recvmmsg");
    for (int i = 0; i < got; i++)
        input(c, iov[i].iov_base, messages[i].msg_len);
}

static void frames_read(struct connection *c)
{
    if (c->e->stream)
        stream_read(c);
    else
        datagrams_read(c);
}

static void connection_init(struct connection *c, const struct endpoint *e, uint16_t own,
                            uint16_t peer)
{
    size_t payload = e->large ? LARGE : MSS;

    *c = (struct connection){.e = e, .own_port = own, .peer_port = peer, .window = 65535};
    c->stride = PREFIX + HEADS + payload;
    c->frames = BURST_BYTES / c->stride;
    c->out = calloc(c->frames + 1, c->stride);
    if (!c->out)
        die("memory");
}

/* As many segments as the window allows, in one burst. Returns whether any went. */
static bool burst(struct connection *c)
{
    size_t payload = c->stride - PREFIX - HEADS;
    uint32_t window = c->window < WINDOW ? c->window : WINDOW, flight = c->next - c->acked;
    size_t count = flight < window ? (window - flight) / payload : 0;

    count = count < c->frames ? count : c->frames;
    c->blocked = false;
    if (count == 0)
        return false;
    for (size_t i = 0; i < count; i++)
        frame_write(c, c->out + i * c->stride + PREFIX, TH_ACK, c->next + (uint32_t)(i * payload),
                    0, payload);
    count = frames_write(c, count, c->stride - PREFIX);
    c->blocked = count == 0;
    c->next += (uint32_t)(count * payload);
    return count > 0;
}

void endpoint_source(const struct endpoint *e, uint16_t port)
{
    static struct connection c;

    connection_init(&c, e, OWN_PORT, port);
    while (!c.open) {
        control_send(&c, TH_SYN);
        wait_for(&c, POLLIN);
        frames_read(&c);
    }
    c.next = c.acked = 1;
    control_send(&c, TH_ACK);
    for (;;) {
        if (!burst(&c) && !wait_for(&c, c.blocked ? POLLIN | POLLOUT : POLLIN))
            c.next = c.acked;
        frames_read(&c);
    }
}

void endpoint_sink(const struct endpoint *e, uint16_t port, volatile uint64_t *received)
{
    static struct connection c;

    connection_init(&c, e, port, 0);
    c.received = received;
    while (!c.open) {
        wait_for(&c, POLLIN);
        frames_read(&c);
    }
    control_send(&c, TH_SYN | TH_ACK);
    c.next = 1;
    for (;;) {
        wait_for(&c, POLLIN);
        c.arrived = false;
        c.out_of_order = 0;
        frames_read(&c);
        for (unsigned i = 0; i < c.arrived || (i < SAME_ACKS && i < c.out_of_order); i++)
            control_send(&c, TH_ACK);
    }
}
