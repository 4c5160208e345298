/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A load to measure a network with: a server that one process is, and measurements against it from
 * another. TCP over IPv4, by system calls alone, with cubic where the kernel has it: a control that
 * paces (bbr) would be measured itself. The server listens for seconds on addresses that others may
 * reach, so it serves only who knows its token.
 */
#pragma once

#include <netinet/in.h>
#include <stdint.h>

struct load_server {
    struct sockaddr_in address;
    uint8_t token[16];
};

/* Listens at server->address, any port, which it fills in. The caller owns the socket. Negative
 * errno. */
int load_listen(struct load_server *server);
/* Serves one connection after the other until the process is killed. */
void load_serve(int listener, const struct load_server *server) __attribute__((noreturn));

/* Bits a second of payload that arrive there in that time. Negative errno. */
int load_rate(const struct load_server *server, double seconds, double *ret);
/* Seconds that a byte there and back takes, the median of as many as fit into the time. */
int load_round_trip(const struct load_server *server, double seconds, double *ret);

/* The middle one of count values, which are sorted. */
double load_median(double *values, int count);
