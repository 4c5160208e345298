/* SPDX-License-Identifier: Apache-2.0 */
/* Adapters of a process that is killed at random instants, one after the other on the same socket,
 * tap and journal: the peer and the bridge see whole frames only, each as it was sent. */
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "adapter/adapter.h"
#include "adapter/batch.h"
#include "adapter/deframer.h"
#include "adapter/frame.h"
#include "adapter/journal.h"
#include "base/buf.h"
#include "base/own.h"
#include "base/test.h"
#include "kernel/ns.h"
#include "kernel/tap.h"

enum {
    KILLS = 150,
    LIFE_US = 3000, /* at most, of one process */
    MTU = 40000,    /* frames of one and of two buffers of the kernel's */
    SMALL = 1500,
    HEAD = ETH_HLEN + 4,
    TYPE = 0x88b5, /* for local experiments: IEEE 802 */
    AHEAD = 200000,
    SLOW = 40000,  /* slower than frames come: the socket is full most of the time */
    PATIENCE = 10, /* seconds */
};

static int tap, wire, sockets[2], journal;
static struct buf to_send, received;
static uint8_t frame[BATCH_PREFIX + FRAME_MAX], room[1 << 20];
static uint32_t sent_in, sent_out, seen_in, seen_out;

/* The frame of this number, at frame + BATCH_PREFIX: size and contents follow from the number. */
static size_t frame_make(uint32_t number)
{
    uint32_t random = number * 2654435761u;
    size_t size = HEAD + 50 + (random >> 8) % (random % 16 ? SMALL - 54 : MTU - 54);
    uint8_t *at = frame + BATCH_PREFIX;

    memset(at, 2, 12);
    frame_put16(at + 12, TYPE);
    frame_put32(at + ETH_HLEN, number);
    memset(at + HEAD, (int)(random >> 24), size - HEAD);
    frame_put32(frame, (uint32_t)size);
    return size;
}

static void frame_check(const uint8_t *data, size_t size, uint32_t sent, uint32_t *seen)
{
    uint32_t number;

    CHECK(size >= HEAD && frame_get16(data + 12) == TYPE);
    number = frame_get32(data + ETH_HLEN);
    CHECK(number < sent && number + 1 > *seen); /* nothing twice, nothing out of order */
    CHECK(frame_make(number) == size && memcmp(data, frame + BATCH_PREFIX, size) == 0);
    *seen = number + 1;
}

static void frame_arrived(void *context, uint8_t *data, size_t size)
{
    (void)context;
    frame_check(data, size, sent_out, &seen_out);
}

/* The peer: writes and reads whatever, wherever a frame ends. */
static void peer_move(void)
{
    ssize_t got;

    while (to_send.size < AHEAD) {
        size_t size = frame_make(sent_in++);

        buf_append(&to_send, frame, BATCH_PREFIX + size);
    }
    got = send(sockets[1], to_send.data, 1 + (size_t)rand() % AHEAD, MSG_DONTWAIT);
    if (got > 0)
        buf_consume(&to_send, (size_t)got);
    got = recv(sockets[1], room, 1 + (size_t)rand() % SLOW, MSG_DONTWAIT);
    CHECK(got != 0);
    if (got > 0)
        buf_append(&received, room, (size_t)got);
    got = deframer_run((uint8_t *)received.data, received.size, frame_arrived, NULL);
    CHECK(got >= 0);
    buf_consume(&received, (size_t)got);
}

/* What the tap's other side gives and takes. */
static void wire_move(void)
{
    struct virtio_net_hdr header = {0};
    struct iovec in[2] = {{&header, sizeof(header)}, {room, sizeof(room)}};
    struct iovec out[2] = {{&header, sizeof(header)}, {frame + BATCH_PREFIX, 0}};
    ssize_t got;

    while ((got = readv(wire, in, 2)) > (ssize_t)sizeof(header))
        frame_check(room, (size_t)got - sizeof(header), sent_in, &seen_in);
    header = (struct virtio_net_hdr){0};
    for (int i = 0; i < 20; i++) {
        out[1].iov_len = frame_make(sent_out++);
        if (writev(wire, out, 2) < 0)
            CHECK(errno == EAGAIN || errno == ENOBUFS);
    }
}

static void adapter_ended(void *context)
{
    (void)context;
    _exit(1);
}

/* A process with an adapter that goes on where the last one was killed. */
static pid_t forwarder_start(void)
{
    struct adapter_config config = {.kind = ADAPTER_STREAM, .mtu = MTU, .name = "test"};
    struct adapter *adapter;
    struct loop loop;
    pid_t pid = fork();

    CHECK(pid >= 0);
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (journal_open(dup(journal)) < 0 || loop_init(&loop) < 0 ||
        adapter_new(&loop, &config, dup(tap), dup(sockets[0]), adapter_ended, NULL, &adapter) < 0)
        _exit(1);
    loop_run(&loop);
    _exit(1);
}

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void forwarder_kill(pid_t pid)
{
    int status;

    CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid);
    CHECK(WIFSIGNALED(status)); /* it had not given up */
}

/* Until something has arrived at both ends, and for a random time. */
static void traffic(bool whole)
{
    uint32_t in = seen_in, out = seen_out;
    double start = now(), end = start + rand() % LIFE_US / 1e6;

    while (now() < end || (whole && (seen_in == in || seen_out == out))) {
        CHECK(now() < start + PATIENCE);
        peer_move();
        wire_move();
    }
}

static void request(unsigned long what, int value)
{
    struct ifreq request = {.ifr_mtu = value};

    strcpy(request.ifr_name, "tap0");
    CHECK(ioctl(wire, what, &request) == 0);
}

static void setup(void)
{
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    int on = 1, size = 1 << 20;

    address.sll_ifindex = (int)if_nametoindex("tap0");
    wire = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(setsockopt(wire, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) == 0);
    CHECK(setsockopt(wire, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) == 0);
    request(SIOCSIFMTU, MTU);
    request(SIOCSIFFLAGS, IFF_UP);
    CHECK(bind(wire, (struct sockaddr *)&address, sizeof(address)) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets) == 0);
    CHECK(setsockopt(sockets[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) == 0);
    journal = journal_make();
    CHECK(journal >= 0);
}

static void test_killed(void)
{
    setup();
    for (int i = 0; i < KILLS; i++) {
        pid_t pid = forwarder_start();

        traffic(i % 10 == 9);
        forwarder_kill(pid);
    }
    buf_done(&to_send);
    buf_done(&received);
}

static const struct test tests[] = {
    {"a forwarder killed again and again", test_killed},
};

int main(void)
{
    struct error error;

    if (ns_unshare(&error) < 0 || tap_open("tap0", 1, &tap, &error) < 0) {
        printf("1..0 # SKIP %s\n", error.reason);
        return 0;
    }
    ns_sysctl("net/ipv6/conf/default/disable_ipv6", "1");
    ns_sysctl("net/ipv6/conf/tap0/disable_ipv6", "1");
    return test_main(tests, ARRAY_SIZE(tests));
}
