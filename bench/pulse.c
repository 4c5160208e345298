/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small frames between two ports of a network, one way or to and fro:
 *
 *     pulse rate|trip SECONDS END END
 *
 * END is what the guest has of its port: stream:FD, datagram:FD, datagram_next:FD, tap:FD, or
 * namespace:USER:NET. rate prints how many 64-byte frames a second arrive at the second end, trip
 * the median and the 99th percentile of a frame's way there and back, in seconds.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

enum {
    TYPE = 0x88b5, /* for local experiments: IEEE 802 */
    SIZE = 60,     /* and 4 bytes of checksum that only a wire has */
    PREFIX = 4,
    HEADER = sizeof(struct virtio_net_hdr),
    BURST = 64,
    SLOT = 2048,
    ROOM = 256 * 1024,
    TRIPS = 100000,
    LOST_MS = 100, /* a frame that has not come back by then is sent again */
};

struct end {
    const struct kind *kind;
    int fd;
    uint8_t mac[6], other[6];
};

/* How frames go over an end: head is what stands before each, many whether one system call takes
 * more than one. */
static const struct kind {
    const char *name;
    size_t head;
    bool stream, many, packet;
} kinds[] = {
    {"stream", PREFIX, true, true, false},    {"datagram", 0, false, false, false},
    {"datagram_next", 0, false, true, false}, {"tap", HEADER, false, false, false},
    {"namespace", 0, false, true, true},
};

static uint8_t out[BURST][SLOT], in[ROOM];
static size_t held; /* of in, of a stream */

static int packet_open(int user, int net)
{
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(TYPE)};
    struct ifreq request = {.ifr_flags = IFF_UP};
    int fd;

    if (setns(user, CLONE_NEWUSER) < 0 || setns(net, CLONE_NEWNET) < 0)
        die("namespace");
    fd = socket(AF_PACKET, SOCK_RAW, 0);
    strcpy(request.ifr_name, "eth0");
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        die("eth0");
    address.sll_ifindex = (int)if_nametoindex("eth0");
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        die("bind");
    return fd;
}

/* number: 0 or 1. To be called in the process that uses it. */
static struct end end_open(const char *text, int number)
{
    struct end end = {.mac = {2, 0, 0, 0, 0, (uint8_t)(number + 1)},
                      .other = {2, 0, 0, 0, 0, (uint8_t)(2 - number)}};
    char *at = strchr(text, ':'), *next;

    for (size_t i = 0; at && i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strlen(kinds[i].name) == (size_t)(at - text) &&
            strncmp(kinds[i].name, text, (size_t)(at - text)) == 0)
            end.kind = &kinds[i];
    if (!end.kind) {
        fprintf(stderr, "pulse: no such end: %s\n", text);
        exit(2);
    }
    end.fd = (int)strtol(at + 1, &next, 10);
    if (end.kind->packet)
        end.fd = packet_open(end.fd, (int)strtol(next + 1, NULL, 10));
    fcntl(end.fd, F_SETFL, 0);
    for (int i = 0; i < BURST; i++) {
        uint8_t *frame = out[i] + end.kind->head;

        if (end.kind->stream)
            memcpy(out[i], (uint8_t[]){0, 0, 0, SIZE}, PREFIX);
        memcpy(frame, end.other, 6);
        memcpy(frame + 6, end.mac, 6);
        frame[12] = TYPE >> 8;
        frame[13] = TYPE & 0xff;
    }
    return end;
}

/* What finds no room is lost. */
static void frames_send(const struct end *end, unsigned count)
{
    struct mmsghdr messages[BURST] = {0};
    struct iovec iov[BURST];
    size_t size = end->kind->head + SIZE;

    for (unsigned i = 0; i < count; i++) {
        iov[i] = (struct iovec){out[i], size};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
    }
    messages[0].msg_hdr.msg_iovlen = end->kind->stream ? count : 1;
    if (end->kind->stream)
        sendmsg(end->fd, &messages[0].msg_hdr, MSG_NOSIGNAL);
    else if (end->kind->many)
        sendmmsg(end->fd, messages, count, MSG_NOSIGNAL);
    else
        for (unsigned i = 0; i < count; i++)
            if (write(end->fd, out[i], size) < 0 && errno != EAGAIN && errno != ENOBUFS)
                die("write");
}

static unsigned is_ours(const uint8_t *frame)
{
    return frame[12] == TYPE >> 8 && frame[13] == (TYPE & 0xff);
}

static unsigned stream_count(const struct end *end)
{
    ssize_t got = recv(end->fd, in + held, sizeof(in) - held, 0);
    size_t at = 0, size;
    unsigned count = 0;

    if (got <= 0)
        die("stream");
    for (held += (size_t)got; held - at >= PREFIX; at += size) {
        size = PREFIX + ((size_t)in[at + 2] << 8 | in[at + 3]);
        if (size > held - at)
            break;
        count += is_ours(in + at + PREFIX);
    }
    held -= at;
    memmove(in, in + at, held);
    return count;
}

static unsigned messages_count(const struct end *end)
{
    struct mmsghdr messages[BURST] = {0};
    struct iovec iov[BURST];
    unsigned count = 0;
    int got;

    for (int i = 0; i < BURST; i++) {
        iov[i] = (struct iovec){in + i * SLOT, SLOT};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i], .msg_iovlen = 1};
    }
    got = recvmmsg(end->fd, messages, BURST, MSG_DONTWAIT, NULL);
    for (int i = 0; i < got; i++)
        count += is_ours(in + i * SLOT);
    return count;
}

/* How many frames of ours have come; waits at most timeout milliseconds. */
static unsigned frames_receive(const struct end *end, int timeout)
{
    struct pollfd ready = {.fd = end->fd, .events = POLLIN};

    if (poll(&ready, 1, timeout) <= 0)
        return 0;
    if (end->kind->stream)
        return stream_count(end);
    if (end->kind->many)
        return messages_count(end);
    if (read(end->fd, in, SLOT) < (ssize_t)end->kind->head + SIZE)
        return 0;
    return is_ours(in + end->kind->head);
}

/* The first end: sends, or answers, for ever. */
static void first_run(const struct end *end, bool trip)
{
    for (;;) {
        if (!trip)
            frames_send(end, BURST);
        else if (frames_receive(end, -1) > 0)
            frames_send(end, 1);
    }
}

static void rate_measure(const struct end *end, double seconds)
{
    double start = seconds_now(), begin;
    uint64_t count = 0;

    frames_send(end, 1); /* so that the bridge knows where this end is */
    while (seconds_now() < start + 0.3)
        frames_receive(end, 10);
    for (begin = seconds_now(); seconds_now() < begin + seconds;)
        count += frames_receive(end, 10);
    printf("%.0f\n", (double)count / (seconds_now() - begin));
}

static void trip_measure(const struct end *end, double seconds)
{
    static double trips[TRIPS];
    double start = seconds_now();
    size_t count = 0;

    while (seconds_now() < start + seconds && count < TRIPS) {
        double begin = seconds_now(), until = begin + LOST_MS / 1e3;
        unsigned got = 0;

        frames_send(end, 1);
        while (got == 0 && seconds_now() < until)
            got = frames_receive(end, LOST_MS);
        if (got > 0)
            trips[count++] = seconds_now() - begin;
    }
    if (count == 0)
        die("nothing comes back");
    qsort(trips, count, sizeof(trips[0]), double_compare);
    printf("%.9f %.9f\n", trips[count / 2], trips[count * 99 / 100]);
}

int main(int argc, char **argv)
{
    bool trip = argc == 5 && strcmp(argv[1], "trip") == 0;
    double seconds = argc == 5 ? atof(argv[2]) : 0;
    struct end end;
    pid_t pid;

    if (seconds <= 0 || (!trip && strcmp(argv[1], "rate") != 0)) {
        fprintf(stderr, "usage: pulse rate|trip SECONDS END END\n");
        return 2;
    }
    pid = fork();
    if (pid < 0)
        die("fork");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        end = end_open(argv[3], 0);
        first_run(&end, trip);
    }
    end = end_open(argv[4], 1);
    if (trip)
        trip_measure(&end, seconds);
    else
        rate_measure(&end, seconds);
    kill(pid, SIGKILL);
    return 0;
}
