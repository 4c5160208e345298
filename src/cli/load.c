/* SPDX-License-Identifier: Apache-2.0 */
/* See load.h. */
#include "cli/load.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#include "base/own.h"

enum {
    PATIENCE_SECONDS = 5, /* of both ends */
    ROUNDS_MAX = 100000,
    PIECE = 256 * 1024,
};

enum mode { RATE, ROUND_TRIP };

/* What a client says first. */
struct greeting {
    uint8_t token[16];
    uint8_t mode;
};

static uint8_t piece[PIECE];

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void options_set(int fd)
{
    struct timeval patience = {.tv_sec = PATIENCE_SECONDS};
    int on = 1;

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", strlen("cubic"));
}

int load_listen(struct load_server *server)
{
    OWN(fd) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t size = sizeof(server->address);

    server->address.sin_family = AF_INET;
    server->address.sin_port = 0;
    if (fd < 0 || bind(fd, (struct sockaddr *)&server->address, size) < 0 || listen(fd, 1) < 0 ||
        getsockname(fd, (struct sockaddr *)&server->address, &size) < 0)
        return -errno;
    options_set(fd);
    return take_fd(&fd);
}

/* The number of bytes is the answer, once the client has sent all. */
static void count_bytes(int fd)
{
    uint64_t count = 0;
    ssize_t got;

    while ((got = recv(fd, piece, sizeof(piece), 0)) > 0)
        count += (uint64_t)got;
    if (got == 0)
        send(fd, &count, sizeof(count), MSG_NOSIGNAL);
}

static void answer_bytes(int fd)
{
    uint8_t byte;

    while (recv(fd, &byte, 1, 0) == 1 && send(fd, &byte, 1, MSG_NOSIGNAL) == 1)
        continue;
}

static void serve_one(int fd, const struct load_server *server)
{
    struct greeting greeting;

    options_set(fd);
    if (recv(fd, &greeting, sizeof(greeting), MSG_WAITALL) != sizeof(greeting) ||
        memcmp(greeting.token, server->token, sizeof(greeting.token)) != 0)
        return;
    if (greeting.mode == RATE)
        count_bytes(fd);
    else
        answer_bytes(fd);
}

void load_serve(int listener, const struct load_server *server)
{
    for (;;) {
        OWN(fd) int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

        if (fd >= 0)
            serve_one(fd, server);
    }
}

/* The time-outs of options_set() are EAGAIN, and EINPROGRESS of connect(2). */
static int failed(void)
{
    return errno == EAGAIN || errno == EINPROGRESS ? -ETIMEDOUT : -errno;
}

static int connected(const struct load_server *server, enum mode mode)
{
    OWN(fd) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct greeting greeting = {.mode = (uint8_t)mode};

    if (fd < 0)
        return -errno;
    options_set(fd);
    memcpy(greeting.token, server->token, sizeof(greeting.token));
    if (connect(fd, (const struct sockaddr *)&server->address, sizeof(server->address)) < 0 ||
        send(fd, &greeting, sizeof(greeting), MSG_NOSIGNAL) < 0)
        return failed();
    return take_fd(&fd);
}

int load_rate(const struct load_server *server, double seconds, double *ret)
{
    OWN(fd) int fd = connected(server, RATE);
    double start = now();
    uint64_t count;

    if (fd < 0)
        return fd;
    while (now() - start < seconds)
        if (send(fd, piece, sizeof(piece), MSG_NOSIGNAL) < 0)
            return failed();
    shutdown(fd, SHUT_WR);
    if (recv(fd, &count, sizeof(count), MSG_WAITALL) != sizeof(count))
        return -ECONNRESET;
    *ret = (double)count * 8 / (now() - start);
    return 0;
}

int load_round_trip(const struct load_server *server, double seconds, double *ret)
{
    OWN(fd) int fd = connected(server, ROUND_TRIP);
    static double times[ROUNDS_MAX];
    double start = now(), before = start;
    int count = 0;

    if (fd < 0)
        return fd;
    while (count < ROUNDS_MAX && before - start < seconds) {
        uint8_t byte = 0;
        double after;

        if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1 || recv(fd, &byte, 1, 0) != 1)
            return -ECONNRESET;
        after = now();
        times[count++] = after - before;
        before = after;
    }
    *ret = load_median(times, count);
    return 0;
}

static int compare(const void *a, const void *b)
{
    double difference = *(const double *)a - *(const double *)b;

    return (difference > 0) - (difference < 0);
}

double load_median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof(*values), compare);
    return values[count / 2];
}
