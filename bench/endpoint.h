/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stand-in for a virtual machine: one TCP connection over IPv4, spoken in frames on the wire of
 * an adapter's peer. It does the least that the kernel's TCP at the other end accepts (no options
 * but MSS and window scale, everything again from the first gap), so that what is measured is the
 * adapter. Payload is zeros.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { ENDPOINT_MTU = 1500 };

struct endpoint {
    int fd;      /* connected, non-blocking; borrowed */
    bool stream; /* or datagrams */
    bool large;  /* frames of 64 KiB, checksums partial (a peer with offload) */
    uint8_t mac[6], peer_mac[6];
    uint32_t ip, peer_ip; /* network byte order */
};

/* Connects to port and sends, for ever. */
void endpoint_source(const struct endpoint *e, uint16_t port);

/* Takes the connection that comes. *received goes up with the bytes that arrive in order, for
 * ever. */
void endpoint_sink(const struct endpoint *e, uint16_t port, volatile uint64_t *received);
