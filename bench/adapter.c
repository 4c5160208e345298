/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The adapters alone: what one TCP connection moves through them, beside the same through a naive
 * adapter and, by the kernel alone, over veth–bridge–veth.
 *
 *     adapter [-s SECONDS] [-i IDLE] KIND WAY MAKE
 *
 * KIND: stream, datagram, datagram_next, stream+tso, datagram+tso, datagram_next+tso. WAY: in (an
 * endpoint on the peer's socket sends to the kernel), out (the kernel to it), pair (endpoint to
 * endpoint through two adapters). MAKE: ours, naive, veth (KIND does not matter then), vde
 * (vde_switch instead of bridge and adapters; only datagram pair). IDLE more ports of KIND move
 * nothing. Prints Gbit/s of payload, and the milliseconds of processor time the adapters use for a
 * Gbit. Needs no privilege but user namespaces and /dev/net/tun; everything is made in namespaces
 * that go with the program.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "adapter/adapter.h"
#include "bench.h"
#include "endpoint.h"
#include "kernel/ns.h"
#include "kernel/tap.h"
#include "naive.h"
#include "vde.h"

enum {
    PORT = 5001,
    START_SECONDS = 10,
    WARM_MS = 300,
    SOCKET_BUFFER = 1 << 20,
    QUEUE_LARGE = 100, /* of taps with segmentation offload */
    QUEUE_SMALL = 1000,
};

#define CONTROL "cubic"

static const struct kind {
    const char *name;
    enum adapter_kind kind;
    bool tso;
} kinds[] = {
    {"stream", ADAPTER_STREAM, false},
    {"datagram", ADAPTER_DATAGRAM, false},
    {"datagram_next", ADAPTER_DATAGRAM_NEXT, false},
    {"stream+tso", ADAPTER_STREAM, true},
    {"datagram+tso", ADAPTER_DATAGRAM, true},
    {"datagram_next+tso", ADAPTER_DATAGRAM_NEXT, true},
};

/* One end of the connection: an endpoint behind an adapter, or the kernel behind a veth. */
struct side {
    bool kernel, source;
};

struct run {
    const struct kind *kind;
    const char *make;
    struct side sides[2];
    volatile uint64_t *received; /* shared by all processes of the run */
    double seconds;
    int idle;          /* ports beside */
    pid_t adapters[2]; /* 0: none */
};

static void command(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void command(const char *format, ...)
{
    char line[512];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (system(line) != 0) {
        fprintf(stderr, "adapter: failed: %s\n", line);
        exit(1);
    }
}

/* 0 in the child, which ends with its parent. */
static pid_t start(void)
{
    pid_t pid = fork();

    if (pid < 0)
        die("fork");
    if (pid == 0)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return pid;
}

static void adapter_ended(void *context)
{
    loop_stop(context);
}

static void adapter_run(const struct run *run, int tap, int peer)
{
    struct adapter_config config = {
        .kind = run->kind->kind,
        .mtu = ENDPOINT_MTU,
        .tso = run->kind->tso,
        .checksum_offload = run->kind->tso,
        .name = "bench",
    };
    struct adapter *adapter;
    struct loop loop;

    if (strcmp(run->make, "naive") == 0) {
        naive_run(tap, peer, run->kind->kind == ADAPTER_STREAM);
        exit(0);
    }
    if (loop_init(&loop) < 0 ||
        adapter_new(&loop, &config, tap, peer, adapter_ended, &loop, &adapter) < 0)
        die("adapter");
    loop_run(&loop);
    exit(0);
}

static void sockets(const struct run *run, int *fds)
{
    int type = run->kind->kind == ADAPTER_STREAM ? SOCK_STREAM : SOCK_DGRAM, size = SOCKET_BUFFER;

    if (socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
        die("socketpair");
    for (int i = 0; i < 2; i++)
        setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

/* The addresses of side number `me` (0, 1). */
static struct endpoint endpoint_make(const struct run *run, int me, int fd)
{
    return (struct endpoint){
        .fd = fd,
        .stream = run->kind->kind == ADAPTER_STREAM,
        .large = run->kind->tso,
        .mac = {2, 0, 0, 0, 0, (uint8_t)(me + 1)},
        .peer_mac = {2, 0, 0, 0, 0, (uint8_t)(2 - me)},
        .ip = htonl(0x0a090001 + (uint32_t)me),
        .peer_ip = htonl(0x0a090002 - (uint32_t)me),
    };
}

static void endpoint_run(const struct run *run, int me, int fd)
{
    struct endpoint e = endpoint_make(run, me, fd);

    if (start() > 0)
        return;
    if (run->sides[me].source)
        endpoint_source(&e, PORT);
    endpoint_sink(&e, PORT, run->received);
}

/* A port whose peer says nothing, and reads what the bridge floods. */
static void idle_start(const struct run *run, int number)
{
    static char room[1 << 16];
    char name[16];
    int tap, fds[2];

    snprintf(name, sizeof(name), "idle%d", number);
    if (tap_open(name, 1, &tap, NULL) < 0)
        die("tap");
    command("ip link set %s mtu %d txqueuelen %d master br0 up", name, ENDPOINT_MTU, QUEUE_LARGE);
    sockets(run, fds);
    if (start() == 0)
        adapter_run(run, tap, fds[0]);
    close(fds[0]);
    close(tap);
    if (start() > 0)
        return;
    fcntl(fds[1], F_SETFL, 0);
    while (recv(fds[1], room, sizeof(room), 0) > 0)
        continue;
    exit(0);
}

static void vde_run(const struct run *run)
{
    vde_start();
    for (int i = 1; i >= 0; i--) {
        int fd = vde_open(i);

        if (fd < 0)
            die("vde_switch");
        endpoint_run(run, i, fd);
    }
}

static void endpoint_start(struct run *run, int me)
{
    char name[] = {'t', 'a', 'p', (char)('0' + me), '\0'};
    bool naive = strcmp(run->make, "naive") == 0;
    int tap, fds[2];

    if (tap_open(name, 1, &tap, NULL) < 0)
        die("tap");
    command("ip link set %s mtu %d txqueuelen %d master br0 up", name, ENDPOINT_MTU,
            naive ? QUEUE_SMALL : QUEUE_LARGE);
    sockets(run, fds);
    run->adapters[me] = start();
    if (run->adapters[me] == 0)
        adapter_run(run, tap, fds[0]);
    close(fds[0]);
    close(tap);
    endpoint_run(run, me, fds[1]);
    close(fds[1]);
}

static void kernel_sink(const struct run *run)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0), fd;
    static char room[1 << 18];
    ssize_t got;

    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(listener, (struct sockaddr *)&any, sizeof(any)) < 0 || listen(listener, 1) < 0)
        die("listen");
    fd = accept(listener, NULL, NULL);
    while ((got = recv(fd, room, sizeof(room), 0)) > 0)
        *run->received += (uint64_t)got;
    die("kernel's sink");
}

static void kernel_source(int me)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(PORT),
                             .sin_addr.s_addr = htonl(0x0a090002 - (uint32_t)me)};
    static char zeros[1 << 18];
    int fd;

    do {
        fd = socket(AF_INET, SOCK_STREAM, 0);
        /* A machine's own may pace (bbr), and that would be measured. */
        setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, CONTROL, sizeof(CONTROL) - 1);
        if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
            break;
        close(fd);
        usleep(10000);
    } while (true);
    while (send(fd, zeros, sizeof(zeros), 0) > 0)
        continue;
    die("kernel's source");
}

/* In a network namespace of its own, whose veth the parent has made. */
static void kernel_run(const struct run *run, int me)
{
    command("ip link set eth0 address 02:00:00:00:00:%02x mtu %d up; ip link set lo up; "
            "ip address add 10.9.0.%d/24 dev eth0; "
            "ip neigh replace 10.9.0.%d lladdr 02:00:00:00:00:%02x dev eth0",
            me + 1, ENDPOINT_MTU, me + 1, 2 - me, 2 - me);
    if (run->sides[me].source)
        kernel_source(me);
    kernel_sink(run);
}

static void kernel_start(const struct run *run, int me)
{
    int ready[2], made[2];
    char byte = 0;
    pid_t pid;

    if (pipe2(ready, O_CLOEXEC) < 0 || pipe2(made, O_CLOEXEC) < 0)
        die("pipe");
    pid = start();
    if (pid == 0) {
        if (unshare(CLONE_NEWNET) < 0)
            die("unshare");
        if (write(ready[1], &byte, 1) == 1 && read(made[0], &byte, 1) == 1)
            kernel_run(run, me);
        exit(1);
    }
    if (read(ready[0], &byte, 1) != 1)
        die("kernel's side");
    command("ip link add veth%d type veth peer name eth0 netns %d; "
            "ip link set veth%d mtu %d master br0 up",
            me, (int)pid, me, ENDPOINT_MTU);
    if (write(made[1], &byte, 1) != 1)
        die("kernel's side");
}

static void pause_ms(double ms)
{
    struct timespec time = {.tv_sec = (time_t)(ms / 1e3)};

    time.tv_nsec = (long)((ms - (double)time.tv_sec * 1e3) * 1e6);
    nanosleep(&time, NULL);
}

/* Seconds the adapters have run so far. */
static double adapters_time(const struct run *run)
{
    double sum = 0;

    for (int i = 0; i < 2; i++) {
        struct timespec time;
        clockid_t clock;

        if (run->adapters[i] && clock_getcpuclockid(run->adapters[i], &clock) == 0 &&
            clock_gettime(clock, &time) == 0)
            sum += (double)time.tv_sec + (double)time.tv_nsec / 1e9;
    }
    return sum;
}

static void measure(const struct run *run)
{
    double start_time = seconds_now(), begin, used, gigabits;
    uint64_t before;

    while (*run->received < 1 << 20) {
        pause_ms(1);
        if (seconds_now() - start_time > START_SECONDS) {
            fprintf(stderr, "adapter: nothing arrives\n");
            exit(1);
        }
    }
    pause_ms(WARM_MS);
    begin = seconds_now();
    used = adapters_time(run);
    before = *run->received;
    pause_ms(run->seconds * 1e3);
    gigabits = (double)(*run->received - before) * 8 / 1e9;
    printf("%.2f %.1f\n", gigabits / (seconds_now() - begin),
           (adapters_time(run) - used) * 1e3 / gigabits);
}

static void parse(int argc, char **argv, struct run *run)
{
    const char *way;
    int option;

    while ((option = getopt(argc, argv, "s:i:")) == 's' || option == 'i') {
        if (option == 's')
            run->seconds = atof(optarg);
        else
            run->idle = atoi(optarg);
    }
    if (option != -1 || argc - optind != 3 || run->seconds <= 0) {
        fprintf(stderr,
                "usage: adapter [-s SECONDS] [-i IDLE] KIND in|out|pair ours|naive|veth|vde\n");
        exit(2);
    }
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (strcmp(argv[optind], kinds[i].name) == 0)
            run->kind = &kinds[i];
    }
    way = argv[optind + 1];
    run->make = argv[optind + 2];
    run->sides[0].source = strcmp(way, "out") != 0;
    run->sides[1].source = !run->sides[0].source;
    run->sides[1].kernel = strcmp(way, "pair") != 0;
    if (strcmp(run->make, "veth") == 0)
        run->sides[0].kernel = run->sides[1].kernel = true;
    if (!run->kind) {
        fprintf(stderr, "adapter: no such kind: %s\n", argv[optind]);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    struct run run = {.seconds = 2};
    struct error error;

    parse(argc, argv, &run);
    run.received = mmap(NULL, sizeof(*run.received), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (run.received == MAP_FAILED)
        die("mmap");
    if (ns_unshare(&error) < 0) {
        fprintf(stderr, "adapter: %s\n", error.reason);
        return 1;
    }
    command("ip link add br0 type bridge mcast_snooping 0; ip link set br0 mtu %d up",
            ENDPOINT_MTU);
    for (int i = 0; i < run.idle; i++)
        idle_start(&run, i);
    if (strcmp(run.make, "vde") == 0)
        vde_run(&run);
    for (int i = 1; i >= 0 && strcmp(run.make, "vde") != 0; i--) {
        if (run.sides[i].kernel)
            kernel_start(&run, i);
        else
            endpoint_start(&run, i);
    }
    measure(&run);
    return 0;
}
