/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One forward: ports of the host that lead to a guest. The same text form serves networks.yaml, the
 * protocol and the command line:
 *
 *   [ADDRESS:]PORT[-PORT]:GUEST:PORT[-PORT][/tcp|/udp]
 *
 * ADDRESS: the host's, 127.0.0.1 when left out; GUEST: a name or an address; IPv6 in brackets.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>

#include "base/error.h"
#include "config/ports.h"

#define FORWARDS_MAX      64   /* of one network */
#define FORWARD_RANGE_MAX 1024 /* ports of one forward */
#define FORWARD_PORTS_MAX                                                                        \
    4096                      /* of all forwards of a network: each is a socket of the forwarder \
                               */
#define FORWARD_GUEST_SIZE 64 /* a DNS label, RFC 1035, 2.3.4, or an address */
#define FORWARD_TEXT_SIZE  160

struct forward {
    int family; /* of the host's address: AF_INET or AF_INET6 */
    union {
        struct in_addr v4;
        struct in6_addr v6;
    } address;
    struct ports ports;             /* of the host */
    char guest[FORWARD_GUEST_SIZE]; /* a name, or an IPv4 or IPv6 address without brackets */
    struct ports guest_ports;       /* as many */
    int protocol;                   /* IPPROTO_TCP or IPPROTO_UDP */
};

/* 0, or -EINVAL with a message (no place). */
int forward_parse(const char *text, struct forward *ret, struct error *error);
/* Canonical: with address and protocol. Returns text. */
char *forward_text(const struct forward *forward, char text[FORWARD_TEXT_SIZE]);
/* Its two halves as `listen` and `to` say them, e.g. "[::1]:8080" and "web:80". Return text. */
char *forward_listen_text(const struct forward *forward, char text[FORWARD_TEXT_SIZE]);
char *forward_to_text(const struct forward *forward, char text[FORWARD_TEXT_SIZE]);

/* Parts, for mappings in a file. A forward starts as forward_default. -EINVAL with a message. */
extern const struct forward forward_default;
int forward_parse_listen(const char *text, struct forward *forward, struct error *error);
int forward_parse_to(const char *text, struct forward *forward, struct error *error);
int forward_parse_protocol(const char *text, struct forward *forward, struct error *error);
/* What only both halves together show. -EINVAL with a message. */
int forward_check(const struct forward *forward, struct error *error);

/* Whether the two can't listen at the same time. */
bool forward_overlaps(const struct forward *a, const struct forward *b);

struct spec;
/* 0, or -EINVAL with a message when the guest is an address that no guest of the network has. A
 * subnet that is not known yet is not judged. */
int forward_check_guest(const struct forward *forward, const struct spec *spec,
                        struct error *error);

/* Why listening on port, one of the forward's, failed with code (negative errno of socket, bind or
 * listen), for a person: fills error with reason and cure, and returns code. */
int forward_refused(const struct forward *forward, unsigned port, int code, struct error *error);
