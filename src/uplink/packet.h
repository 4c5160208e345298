/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IP packets as bytes: what the uplink reads from a guest and writes to one. Pure functions; they
 * never read beyond the size they are given and keep nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/checksum.h"
#include "uplink/uplink.h"

/* A packet that was read. Offsets count from its first byte. */
struct packet {
    union endpoint src, dst; /* ports of TCP and UDP, else 0 */
    uint8_t protocol;        /* of the transport, behind all extension headers */
    uint8_t hop_limit;       /* TTL */
    uint8_t traffic_class;   /* DSCP and ECN */
    bool dont_fragment;      /* always true of IPv6 */
    bool fragment;           /* a piece of a larger packet; ports only of the first piece */
    bool cut;                /* the packet is longer than the bytes that were given */
    size_t next;             /* offset of the byte that names the transport (RFC 4443 3.4) */
    size_t l4;               /* offset of the transport header; at most size */
    size_t size;             /* of the packet as its header says, or of what was given if cut */
};

/* The headers of RFC 791, RFC 8200 (extension headers: hop-by-hop, routing, destination options,
 * fragment) and the ports. -EBADMSG: not an IP packet, headers that contradict themselves, a TCP,
 * UDP or ICMP header that is not whole (unless the packet is a later fragment). Checksums are not
 * looked at. */
int packet_parse(const void *data, size_t size, struct packet *ret);

/* Of the pseudo header: RFC 9293 3.1, RFC 8200 8.1. Ports are not looked at. */
uint32_t checksum_pseudo(const union endpoint *src, const union endpoint *dst, uint8_t protocol,
                         size_t l4_size);

/* Computes and stores the checksum of a whole packet's TCP, UDP, ICMP or ICMPv6 and, for IPv4, that
 * of its header. Fragments and other transports: only the IPv4 header's. */
void packet_checksum(void *data, const struct packet *packet);

/* A packet to be written. */
struct packet_head {
    const union endpoint *src, *dst; /* same family */
    uint8_t protocol;
    uint8_t hop_limit; /* 0: 64 */
    uint8_t traffic_class;
    bool dont_fragment; /* IPv4 */
    uint16_t id;        /* IPv4, host order */
};

enum {
    PACKET_IP_MAX = 40,  /* what packet_ip() writes at most */
    PACKET_UDP_MAX = 48, /* what packet_udp() writes at most */
    PACKET_RESET_MAX = 60,
    PACKET_ERROR_MAX = 1280,
};

/* Writes the IP header (20 or 40 bytes, IPv4's checksum done) of a packet with payload bytes behind
 * it. Returns its size. At most 65535 - 20 (IPv4) or 65535 (IPv6) bytes of payload. */
size_t packet_ip(void *to, const struct packet_head *head, size_t payload);

/* Writes the IP and UDP headers of a datagram whose payload bytes already stand (or will) behind
 * them. Returns their size, 28 or 48. partial: the checksum field gets the sum of the pseudo header
 * alone, as VIRTIO_NET_HDR_F_NEEDS_CSUM wants it, and the payload is not read. */
size_t packet_udp(void *to, const struct packet_head *head, size_t payload, bool partial);

/* Writes the RST|ACK that refuses the SYN at data (RFC 9293 3.10.7.1): from its destination to its
 * source, at most PACKET_RESET_MAX bytes. Returns its size. */
size_t packet_reset(void *to, const void *data, const struct packet *syn);

/* Why a packet could not go on. */
enum packet_error {
    PACKET_NET_UNREACHABLE,      /* no route: ENETUNREACH */
    PACKET_HOST_UNREACHABLE,     /* EHOSTUNREACH */
    PACKET_PORT_UNREACHABLE,     /* nobody listens: ECONNREFUSED */
    PACKET_PROTOCOL_UNREACHABLE, /* no such transport here: ENOPROTOOPT */
    PACKET_PROHIBITED,           /* by policy: EACCES, EPERM */
    PACKET_TOO_BIG,              /* value: the MTU of the next hop: EMSGSIZE */
    PACKET_TIME_EXCEEDED,
};

/* The error that belongs to an errno of a host socket; PACKET_HOST_UNREACHABLE for any other. */
enum packet_error packet_error_of(int error);

/* Writes an ICMP (RFC 792, RFC 1812 4.3.2: at most 576 bytes) or ICMPv6 (RFC 4443 2.4: at most
 * 1280) error about the packet at data, quoting it, from `from` (same family) to its source.
 * Returns its size, at most PACKET_ERROR_MAX; 0 where none may be sent: about an ICMP error, a
 * later fragment, from or to a multicast or unspecified address. */
size_t packet_icmp_error(void *to, const union endpoint *from, enum packet_error error,
                         uint32_t value, const void *data, const struct packet *packet);

/* The same with the type and code as they are (an error of a router beyond the host, passed on). */
size_t packet_icmp(void *to, const union endpoint *from, uint8_t type, uint8_t code, uint32_t value,
                   const void *data, const struct packet *packet);

/* The key of the flow as a number for hash tables, mixed with seed (random, made once, so that a
 * guest can't choose collisions). */
uint64_t packet_hash(const union endpoint *a, const union endpoint *b, uint64_t seed);
bool endpoint_equal(const union endpoint *a, const union endpoint *b);

/* "192.0.2.1:80" or "[2001:db8::1]:80". */
#define ENDPOINT_TEXT_SIZE 60
char *endpoint_text(const union endpoint *e, char *text);
