/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connect, request, response, close: how many a second, one after another. The server answers TCP
 * and UDP on one port and closes first, so that no client runs out of ports; with -u the client
 * asks by datagrams over one socket. The client prints what it counted as one JSON object.
 *
 *     crr -s ADDRESS PORT                     serves, after the line "listening"
 *     crr [-u] [-t SECONDS] ADDRESS PORT      asks
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

enum {
    MESSAGE_SIZE = 64,
    BACKLOG = 1024,
    TIMES = 1 << 20,  /* as many connects have their time kept */
    LOST_SECONDS = 1, /* a datagram without an answer by then is lost */
};

static struct addrinfo *address_of(const char *host, const char *port)
{
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *address;
    int r = getaddrinfo(host, port, &hints, &address);

    if (r == 0)
        return address;
    fprintf(stderr, "crr: %s port %s: %s\n", host, port, gai_strerror(r));
    exit(1);
}

static int socket_make(const struct addrinfo *address, int type)
{
    int on = 1, fd = socket(address->ai_family, type | SOCK_CLOEXEC, 0);

    if (fd < 0)
        die("socket");
    if (type == SOCK_STREAM)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

static int socket_bound(const struct addrinfo *address, int type)
{
    int on = 1, fd = socket_make(address, type);

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, address->ai_addr, address->ai_addrlen) < 0)
        die("bind");
    return fd;
}

static void answer_connection(int listener)
{
    char message[MESSAGE_SIZE];
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0)
        return;
    if (recv(fd, message, sizeof(message), MSG_WAITALL) == MESSAGE_SIZE)
        send(fd, message, sizeof(message), MSG_NOSIGNAL);
    close(fd);
}

static void answer_datagram(int fd)
{
    char message[MESSAGE_SIZE];
    struct sockaddr_storage from;
    socklen_t size = sizeof(from);
    ssize_t n = recvfrom(fd, message, sizeof(message), 0, (struct sockaddr *)&from, &size);

    if (n >= 0)
        sendto(fd, message, (size_t)n, 0, (struct sockaddr *)&from, size);
}

static _Noreturn void serve(const struct addrinfo *address)
{
    struct pollfd polls[] = {{.fd = socket_bound(address, SOCK_STREAM), .events = POLLIN},
                             {.fd = socket_bound(address, SOCK_DGRAM), .events = POLLIN}};

    if (listen(polls[0].fd, BACKLOG) < 0)
        die("listen");
    puts("listening");
    fflush(stdout);
    for (;;) {
        poll(polls, 2, -1);
        if (polls[0].revents)
            answer_connection(polls[0].fd);
        if (polls[1].revents)
            answer_datagram(polls[1].fd);
    }
}

/* One connection; returns how long connect() took. */
static double ask_connection(const struct addrinfo *address)
{
    char message[MESSAGE_SIZE] = "";
    int fd = socket_make(address, SOCK_STREAM);
    double begin = seconds_now(), took;

    if (connect(fd, address->ai_addr, address->ai_addrlen) < 0)
        die("connect");
    took = seconds_now() - begin;
    if (send(fd, message, sizeof(message), MSG_NOSIGNAL) != MESSAGE_SIZE)
        die("request");
    if (recv(fd, message, sizeof(message), MSG_WAITALL) != MESSAGE_SIZE)
        die("response");
    if (recv(fd, message, sizeof(message), 0) != 0)
        die("end of the response");
    close(fd);
    return took;
}

static void ask_connections(const struct addrinfo *address, double seconds)
{
    static double times[TIMES];
    double begin = seconds_now(), now;
    size_t count = 0, kept;

    do {
        double took = ask_connection(address);

        times[count++ % TIMES] = took;
        now = seconds_now();
    } while (now - begin < seconds);
    kept = count < TIMES ? count : TIMES;
    qsort(times, kept, sizeof(times[0]), double_compare);
    printf("{\"rate\": %.1f, \"connect\": %.9f}\n", (double)count / (now - begin), times[kept / 2]);
}

static void ask_datagrams(const struct addrinfo *address, double seconds)
{
    const struct timeval limit = {.tv_sec = LOST_SECONDS};
    char message[MESSAGE_SIZE] = "";
    int fd = socket_make(address, SOCK_DGRAM);
    double begin = seconds_now(), now;
    size_t count = 0, lost = 0;

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    if (connect(fd, address->ai_addr, address->ai_addrlen) < 0)
        die("connect");
    do {
        if (send(fd, message, sizeof(message), 0) < 0)
            die("request");
        if (recv(fd, message, sizeof(message), 0) == MESSAGE_SIZE)
            count++;
        else if (errno == EAGAIN)
            lost++;
        else
            die("response");
        now = seconds_now();
    } while (now - begin < seconds);
    printf("{\"rate\": %.1f, \"lost\": %zu}\n", (double)count / (now - begin), lost);
    close(fd);
}

int main(int argc, char **argv)
{
    bool server = false, datagrams = false;
    double seconds = 1;
    int option;

    while ((option = getopt(argc, argv, "sut:")) >= 0) {
        if (option == 's')
            server = true;
        else if (option == 'u')
            datagrams = true;
        else if (option == 't')
            seconds = atof(optarg);
        else
            return 2;
    }
    if (argc - optind != 2) {
        fprintf(stderr, "usage: crr [-s] [-u] [-t SECONDS] ADDRESS PORT\n");
        return 2;
    }
    struct addrinfo *address = address_of(argv[optind], argv[optind + 1]);

    if (server)
        serve(address);
    if (datagrams)
        ask_datagrams(address, seconds);
    else
        ask_connections(address, seconds);
    freeaddrinfo(address);
    return 0;
}
