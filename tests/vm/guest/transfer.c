/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TCP transfer in which each byte is known to both ends, for the guests of the tests:
 *
 *   transfer serve PORT                    takes one transfer after the other, for ever
 *   transfer send 4|6 HOST PORT BYTES      status 0 when the server got these bytes and no others
 *
 * The bytes are those of a generator whose seed is sent first, so nothing that is lost, doubled,
 * out of order or of another transfer stays unseen. Both ends have the same byte order.
 */
#include <err.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 1 << 16, ANSWER = 64 };

struct hello {
    uint64_t seed, bytes;
};

static uint64_t block[BLOCK / 8], got[BLOCK / 8];

/* The next block of the sequence: xorshift64 (Marsaglia 2003). */
static void block_fill(uint64_t *state)
{
    for (size_t i = 0; i < BLOCK / 8; i++) {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        block[i] = *state;
    }
}

static void write_all(int fd, const void *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = send(fd, (const char *)data + done, size - done, MSG_NOSIGNAL);

        if (n < 0)
            err(1, "send");
        done += (size_t)n;
    }
}

/* Reads to the end, also behind a difference: the sender reads the answer only then. */
static void transfer_take(int fd)
{
    struct hello hello = {0};
    char answer[ANSWER];
    uint64_t taken = 0;
    bool same = true;
    ssize_t n;

    if (recv(fd, &hello, sizeof(hello), MSG_WAITALL) != sizeof(hello))
        return;
    while ((n = recv(fd, got, BLOCK, MSG_WAITALL)) > 0) {
        block_fill(&hello.seed);
        same = same && memcmp(block, got, (size_t)n) == 0;
        taken += (uint64_t)n;
    }
    snprintf(answer, sizeof(answer), "%llu bytes%s\n", (unsigned long long)taken,
             same && taken == hello.bytes ? " as sent" : ", not as sent");
    send(fd, answer, strlen(answer), MSG_NOSIGNAL);
}

static void serve(const char *port)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)atoi(port))};
    int listener = socket(AF_INET6, SOCK_STREAM, 0), on = 1;

    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(listener, (struct sockaddr *)&any, sizeof(any)) < 0 || listen(listener, 8) < 0)
        err(1, "port %s", port);
    for (;;) {
        int fd = accept(listener, NULL, NULL);

        if (fd < 0)
            err(1, "accept");
        transfer_take(fd);
        close(fd);
    }
}

static int dial(const char *family, const char *host, const char *port)
{
    struct addrinfo hints = {.ai_family = *family == '6' ? AF_INET6 : AF_INET,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *address;
    int fd, r = getaddrinfo(host, port, &hints, &address);

    if (r != 0)
        errx(1, "%s: %s", host, gai_strerror(r));
    fd = socket(address->ai_family, address->ai_socktype, 0);
    if (fd < 0 || connect(fd, address->ai_addr, address->ai_addrlen) < 0)
        err(1, "connect to %s", host);
    freeaddrinfo(address);
    return fd;
}

/* Prints what the server said. */
static int transfer_send(int fd, uint64_t bytes)
{
    struct hello hello = {.seed = ((uint64_t)time(NULL) << 32) | (uint64_t)getpid(),
                          .bytes = bytes};
    char answer[ANSWER] = "";

    write_all(fd, &hello, sizeof(hello));
    for (uint64_t left = bytes; left > 0;) {
        size_t piece = left < BLOCK ? (size_t)left : BLOCK;

        block_fill(&hello.seed);
        write_all(fd, block, piece);
        left -= piece;
    }
    shutdown(fd, SHUT_WR);
    if (recv(fd, answer, sizeof(answer) - 1, MSG_WAITALL) < 0)
        err(1, "answer");
    fputs(answer, stdout);
    return strstr(answer, "bytes as sent") ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "serve") == 0)
        serve(argv[2]);
    if (argc == 6 && strcmp(argv[1], "send") == 0)
        return transfer_send(dial(argv[2], argv[3], argv[4]), strtoull(argv[5], NULL, 10));
    fprintf(stderr, "usage: transfer serve PORT | transfer send 4|6 HOST PORT BYTES\n");
    return 2;
}
