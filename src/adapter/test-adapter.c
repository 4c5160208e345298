/* SPDX-License-Identifier: Apache-2.0 */
/* The pump, between a peer's socket and a real tap in a namespace of the test's own; what the
 * bridge would see and send goes over a packet socket on the tap. */
#include "adapter/adapter.h"

#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "adapter/test-frames.h"
#include "kernel/ns.h"
#include "kernel/rtnl.h"
#include "kernel/tap.h"

enum { MTU = 1500, PAYLOAD = 1000 };

static struct loop loop;
static struct adapter *adapter;
static int peer, wire, ended, ifindex, met;
static uint8_t frame[BATCH_PREFIX + FRAME_MAX], got[FRAME_MAX], payload[60000];

static void adapter_ended(void *context)
{
    CHECK(context == &ended);
    ended++;
}

static void adapter_met(void *context, const uint8_t mac[6])
{
    CHECK(context == &ended);
    CHECK(memcmp(mac, frame + BATCH_PREFIX + ETH_ALEN, ETH_ALEN) == 0);
    met++;
}

static void link_flags(int up)
{
    struct ifreq request = {.ifr_flags = (short)(up ? IFF_UP : 0)};

    strcpy(request.ifr_name, "tap0");
    CHECK(ioctl(wire, SIOCSIFFLAGS, &request) == 0);
}

/* Brings the tap up, with a packet socket that sees only what comes out of it and speaks virtio-net
 * headers. */
static void wire_open(void)
{
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    int on = 1;

    address.sll_ifindex = ifindex;
    wire = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(setsockopt(wire, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) == 0);
    CHECK(setsockopt(wire, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) == 0);
    link_flags(1);
    CHECK(bind(wire, (struct sockaddr *)&address, sizeof(address)) == 0);
}

static void begin_with(const struct adapter_config *config)
{
    int type = config->kind == ADAPTER_STREAM ? SOCK_STREAM : SOCK_DGRAM, fds[2], tap;

    ended = met = 0;
    CHECK(loop_init(&loop) == 0 && tap_open("tap0", 1, &tap, NULL) == 0);
    ifindex = (int)if_nametoindex("tap0");
    CHECK(socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
    peer = fds[0];
    CHECK(adapter_new(&loop, config, tap, fds[1], adapter_ended, &ended, &adapter) == 0);
    wire_open();
}

static void begin(enum adapter_kind kind, bool offload)
{
    begin_with(&(struct adapter_config){
        .kind = kind, .mtu = MTU, .tso = offload, .checksum_offload = offload, .name = "test"});
}

static void end(void)
{
    adapter_free(adapter);
    close(peer);
    close(wire);
    loop_done(&loop);
}

/* Until nothing happens any more. An adapter that spins does not get to the end. */
static void settle(void)
{
    for (int turns = 0; turns < 2000; turns++) {
        struct pollfd busy = {.fd = loop.epoll, .events = POLLIN};

        if (poll(&busy, 1, 0) == 0)
            return;
        CHECK(loop_turn(&loop, 0) == 0);
    }
    CHECK(!"an end to it");
}

static size_t frame_make(struct flow *f, size_t size)
{
    size_t total = flow_frame(f, payload, size, frame + BATCH_PREFIX, NULL);

    frame_put32(frame, (uint32_t)total);
    f->seq += (uint32_t)size;
    f->id++;
    return total;
}

/* What the bridge gets: the size of the next frame at got, or 0. */
static size_t wire_read(struct virtio_net_hdr *header)
{
    struct iovec iov[2] = {{header, sizeof(*header)}, {got, sizeof(got)}};
    ssize_t size = readv(wire, iov, 2);

    return size < (ssize_t)sizeof(*header) ? 0 : (size_t)size - sizeof(*header);
}

static void wire_write(const struct virtio_net_hdr *header, size_t size)
{
    struct iovec iov[2] = {{(void *)header, sizeof(*header)}, {frame + BATCH_PREFIX, size}};

    CHECK(writev(wire, iov, 2) == (ssize_t)(sizeof(*header) + size));
}

static void test_stream_in(void)
{
    struct virtio_net_hdr header;
    struct flow f = FLOW;
    size_t size;

    begin(ADAPTER_STREAM, false);
    for (int i = 0; i < 4; i++) {
        size = frame_make(&f, PAYLOAD);
        CHECK(send(peer, frame, BATCH_PREFIX + size, 0) == (ssize_t)(BATCH_PREFIX + size));
    }
    settle();
    CHECK_INT(wire_read(&header), size + 3 * PAYLOAD);
    CHECK_INT(header.gso_size, PAYLOAD);
    CHECK_INT(wire_read(&header), 0);
    end();
}

/* Frames of a peer that is not welcome yet wait, in their order; those to it pass. */
static void test_welcome(enum adapter_kind kind)
{
    struct adapter_config config = {.kind = kind, .mtu = MTU, .met = adapter_met, .name = "test"};
    size_t head = kind == ADAPTER_STREAM ? 0 : BATCH_PREFIX, size, headers, payloads = 0;
    struct virtio_net_hdr header = {0};
    struct flow f = FLOW;

    begin_with(&config);
    for (int i = 0; i < 4; i++) {
        size = frame_make(&f, PAYLOAD);
        CHECK(send(peer, frame + head, BATCH_PREFIX - head + size, 0) > 0);
        settle();
        CHECK_INT(met, 1);
        CHECK_INT(wire_read(&header), 0);
    }
    memset(&header, 0, sizeof(header));
    wire_write(&header, size);
    settle();
    CHECK(recv(peer, got, sizeof(got), MSG_DONTWAIT) == (ssize_t)(BATCH_PREFIX - head + size));
    headers = size - PAYLOAD;
    adapter_welcome(adapter);
    settle();
    while ((size = wire_read(&header)) > 0)
        payloads += size - headers;
    CHECK_INT(payloads, 4 * PAYLOAD);
    CHECK_INT(met, 1);
    end();
}

static void test_stream_welcome(void)
{
    test_welcome(ADAPTER_STREAM);
}

static void test_datagram_welcome(void)
{
    test_welcome(ADAPTER_DATAGRAM);
}

static void test_stream_pieces(void)
{
    struct virtio_net_hdr header;
    struct flow f = FLOW;
    size_t size;

    begin(ADAPTER_STREAM, false);
    for (int frames = 0; frames < 3; frames++) {
        size = frame_make(&f, 50);
        for (size_t i = 0; i < BATCH_PREFIX + size; i++) {
            CHECK(wire_read(&header) == 0 && send(peer, frame + i, 1, 0) == 1);
            settle();
        }
        CHECK(wire_read(&header) == size && memcmp(got, frame + BATCH_PREFIX, size) == 0);
    }
    end();
}

static size_t peer_frame(void)
{
    uint8_t prefix[BATCH_PREFIX];
    size_t size;

    if (recv(peer, prefix, sizeof(prefix), 0) != sizeof(prefix))
        return 0;
    size = frame_get32(prefix);
    CHECK(size <= sizeof(got) && recv(peer, got, size, 0) == (ssize_t)size);
    return size;
}

static void check_segments(unsigned count, bool datagrams)
{
    for (unsigned i = 0; i < count; i++) {
        ssize_t size = datagrams ? recv(peer, got, sizeof(got), 0) : (ssize_t)peer_frame();
        struct frame at;

        CHECK(size > 0 && frame_parse(got, (size_t)size, &at) && frame_is_right(got, &at));
        CHECK(at.end - at.payload == PAYLOAD);
    }
}

static void test_out(void)
{
    for (int kind = ADAPTER_STREAM; kind <= ADAPTER_DATAGRAM_NEXT; kind++) {
        struct adapter_counters counters;
        struct virtio_net_hdr header;
        struct flow f = FLOW;

        begin((enum adapter_kind)kind, false);
        wire_write(&header,
                   flow_large(&f, payload, 20 * PAYLOAD, PAYLOAD, frame + BATCH_PREFIX, &header));
        settle();
        check_segments(20, kind != ADAPTER_STREAM);
        adapter_counters(adapter, &counters);
        CHECK(counters.out_frames == 20 && counters.out_dropped == 0);
        end();
    }
}

static void test_offload(void)
{
    for (int kind = ADAPTER_STREAM; kind <= ADAPTER_DATAGRAM_NEXT; kind++) {
        struct virtio_net_hdr header;
        struct flow f = FLOW;
        struct frame at;
        size_t size;

        begin((enum adapter_kind)kind, true);
        size = flow_large(&f, payload, sizeof(payload), PAYLOAD, frame + BATCH_PREFIX, &header);
        wire_write(&header, size);
        settle();
        CHECK(kind == ADAPTER_STREAM ? peer_frame() == size
                                     : recv(peer, got, sizeof(got), 0) == (ssize_t)size);
        CHECK(frame_parse(got, size, &at) && frame_is_right(got, &at));
        frame_put32(frame, (uint32_t)size); /* back, its checksum partial */
        CHECK(send(peer, kind == ADAPTER_STREAM ? frame : frame + BATCH_PREFIX,
                   kind == ADAPTER_STREAM ? size + BATCH_PREFIX : size, 0) > 0);
        settle();
        CHECK(wire_read(&header) == size && header.gso_size == MTU - 40);
        CHECK(header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM);
        end();
    }
}

/* The bridge sends until the socket and the tap's queue are full; nothing waits for the peer, and
 * later it gets whole frames again, in order. */
static void test_peer_never_reads(void)
{
    for (int kind = ADAPTER_STREAM; kind <= ADAPTER_DATAGRAM_NEXT; kind++) {
        struct virtio_net_hdr header;
        struct flow f = FLOW;
        uint32_t last = 0;
        unsigned count = 0;
        struct frame at;
        ssize_t size;

        begin((enum adapter_kind)kind, false);
        for (int i = 0; i < 400; i++) {
            wire_write(&header, flow_large(&f, payload, 20 * PAYLOAD, PAYLOAD, frame + BATCH_PREFIX,
                                           &header));
            f.seq += 20 * PAYLOAD;
            settle();
        }
        for (; (size = kind ? recv(peer, got, sizeof(got), 0) : (ssize_t)peer_frame()) > 0;
             count++) {
            CHECK(frame_parse(got, (size_t)size, &at) && frame_is_right(got, &at));
            CHECK(count == 0 || frame_get32(got + at.l4 + TCP_SEQ) > last);
            last = frame_get32(got + at.l4 + TCP_SEQ);
            settle();
        }
        CHECK(count > 200);
        CHECK_INT(ended, 0);
        end();
    }
}

static void test_stream_ends(void)
{
    static const uint8_t garbage[] = "GET / HTTP/1.1\r\n";

    begin(ADAPTER_STREAM, false);
    CHECK(send(peer, garbage, sizeof(garbage), 0) == sizeof(garbage));
    settle();
    CHECK_INT(ended, 1);
    end();
    begin(ADAPTER_STREAM, false);
    shutdown(peer, SHUT_RDWR);
    settle();
    CHECK_INT(ended, 1);
    end();
}

static void test_last_frames(void)
{
    struct virtio_net_hdr header;
    struct flow f = FLOW;
    size_t size;

    begin(ADAPTER_STREAM, false);
    size = frame_make(&f, PAYLOAD);
    CHECK(send(peer, frame, BATCH_PREFIX + size, 0) > 0);
    CHECK(send(peer, frame, 7, 0) == 7);
    close(peer);
    settle();
    CHECK(ended == 1 && wire_read(&header) == size);
    peer = -1;
    end();
}

static void test_datagram_end(void)
{
    for (int kind = ADAPTER_DATAGRAM; kind <= ADAPTER_DATAGRAM_NEXT; kind++) {
        struct virtio_net_hdr header = {0};
        struct flow f = FLOW;

        begin((enum adapter_kind)kind, false);
        close(peer);
        peer = -1;
        settle();
        wire_write(&header, frame_make(&f, PAYLOAD));
        settle();
        CHECK_INT(ended, 1);
        end();
    }
}

static void test_odd_datagrams(void)
{
    for (int kind = ADAPTER_DATAGRAM; kind <= ADAPTER_DATAGRAM_NEXT; kind++) {
        struct adapter_counters counters;
        struct virtio_net_hdr header;
        struct flow f = FLOW;
        size_t size;

        begin((enum adapter_kind)kind, false);
        CHECK(send(peer, frame, 0, 0) == 0);
        CHECK(send(peer, frame, 13, 0) == 13);
        size = frame_make(&f, 60000);
        CHECK(send(peer, frame + BATCH_PREFIX, size, 0) == (ssize_t)size);
        CHECK(send(peer, frame, 0, 0) == 0);
        size = frame_make(&f, PAYLOAD);
        CHECK(send(peer, frame + BATCH_PREFIX, size, 0) == (ssize_t)size);
        settle();
        CHECK(wire_read(&header) == size && wire_read(&header) == 0);
        adapter_counters(adapter, &counters);
        CHECK(counters.in_frames == 3 && counters.in_dropped == 2 && ended == 0);
        end();
    }
}

static void test_tap_down(void)
{
    struct adapter_counters counters;
    struct virtio_net_hdr header;
    struct flow f = FLOW;
    size_t size;

    begin(ADAPTER_STREAM, false);
    link_flags(0);
    size = frame_make(&f, PAYLOAD);
    CHECK(send(peer, frame, BATCH_PREFIX + size, 0) > 0);
    settle();
    adapter_counters(adapter, &counters);
    CHECK(counters.in_frames == 1 && counters.in_dropped == 1 && ended == 0);
    close(wire);
    wire_open();
    CHECK(send(peer, frame, BATCH_PREFIX + size, 0) > 0);
    settle();
    CHECK(wire_read(&header) == size);
    end();
}

static void tap_delete(void)
{
    struct rtnl *rtnl;

    CHECK(rtnl_open(&rtnl, NULL) == 0 && rtnl_delete_link(rtnl, ifindex, NULL) == 0);
    rtnl_free(rtnl);
    settle();
}

static void test_tap_gone(void)
{
    begin(ADAPTER_STREAM, false);
    tap_delete();
    CHECK_INT(ended, 1);
    end();
}

/* While the peer does not read, the tap is not watched: it ends when the peer goes on. */
static void test_tap_gone_unwatched(void)
{
    struct flow f = FLOW;

    begin(ADAPTER_STREAM, false);
    for (int i = 0; i < 400; i++) {
        struct virtio_net_hdr header;
        size_t size = flow_large(&f, payload, 20 * PAYLOAD, PAYLOAD, frame + BATCH_PREFIX, &header);

        wire_write(&header, size);
        settle();
    }
    tap_delete();
    CHECK_INT(ended, 0);
    while (!ended && peer_frame() > 0)
        settle();
    CHECK_INT(ended, 1);
    end();
}

static const struct test tests[] = {
    {"a stream's segments enter the tap as one", test_stream_in},
    {"a stream byte by byte", test_stream_pieces},
    {"a stream's first frames wait for a welcome", test_stream_welcome},
    {"first datagrams wait for a welcome", test_datagram_welcome},
    {"super-frames are cut for the peer", test_out},
    {"a peer with offload", test_offload},
    {"a peer that does not read", test_peer_never_reads},
    {"a stream that ends, or is none", test_stream_ends},
    {"what was sent before the end arrives", test_last_frames},
    {"a datagram peer that is gone", test_datagram_end},
    {"empty, short and long datagrams", test_odd_datagrams},
    {"a tap that is down", test_tap_down},
    {"a tap that is deleted", test_tap_gone},
    {"a tap that is deleted while nobody reads", test_tap_gone_unwatched},
};

int main(void)
{
    struct error error;
    int tap;

    if (ns_unshare(&error) < 0 || tap_open("probe", 1, &tap, &error) < 0) {
        printf("1..0 # SKIP %s\n", error.reason);
        return 0;
    }
    close(tap);
    ns_sysctl("net/ipv6/conf/default/disable_ipv6", "1");
    return test_main(tests, ARRAY_SIZE(tests));
}
