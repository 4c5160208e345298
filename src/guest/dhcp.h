/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DHCPv4 messages of a client, as bytes: RFC 2131 (protocol), RFC 2132 (options), RFC 3396 (long
 * options), RFC 3397 (domain search), RFC 4039 (rapid commit). Pure: lease.h does the
 * talking.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DHCP_SERVER_PORT 67
#define DHCP_CLIENT_PORT 68
/* What is sent always fits; 548 is what every server must take: RFC 2131, 2. */
#define DHCP_BUILD_MAX 548
/* What the server is told it may send: RFC 2132, 9.10. */
#define DHCP_PARSE_MAX 1500

#define LEASE_DNS_MAX     4
#define LEASE_DOMAIN_SIZE 256 /* RFC 1035, 2.3.4 */
#define LEASE_SEARCH_SIZE 1024

/* The message types used here: RFC 2132, 9.6. */
enum dhcp_type {
    DHCP_DISCOVER = 1,
    DHCP_OFFER = 2,
    DHCP_REQUEST = 3,
    DHCP_ACK = 5,
    DHCP_NAK = 6,
};

/* What a server gives a guest. Zero or "" where it said nothing. */
struct lease {
    struct in_addr address;
    unsigned prefix; /* bits; 32 without a netmask */
    struct in_addr router;
    struct in_addr dns[LEASE_DNS_MAX];
    size_t dns_count;
    struct in_addr server;
    unsigned mtu; /* bytes */
    char domain[LEASE_DOMAIN_SIZE];
    char search[LEASE_SEARCH_SIZE]; /* domains with spaces between, for resolv.conf(5) */
    uint32_t seconds;               /* UINT32_MAX: for ever */
    uint32_t t1, t2;                /* seconds until renewal and rebinding, always set */
    bool rapid;                     /* the server commits without being asked again */
};

struct dhcp_message {
    enum dhcp_type type;
    uint32_t xid;
    uint16_t seconds;       /* since the exchange began */
    const uint8_t *mac;     /* 6 bytes */
    const char *hostname;   /* NULL: none; at most 63 bytes are sent */
    struct in_addr current; /* the address in use, when renewing */
    struct in_addr wanted;  /* option 50; zero: none */
    struct in_addr server;  /* option 54; zero: none */
};

/* Writes the message to buffer and returns its size. The server is asked to broadcast its answer
 * unless there is a current address, and a DISCOVER offers rapid commit. */
size_t dhcp_build(const struct dhcp_message *message, uint8_t buffer[DHCP_BUILD_MAX]);

/* Reads a server's OFFER, ACK or NAK for this xid and mac. 0, or -EBADMSG when it is something else
 * or does not hold together; what a server may leave out may be missing. A NAK has no lease: *ret
 * stays as it was. */
int dhcp_parse(const uint8_t *data, size_t size, uint32_t xid, const uint8_t mac[6],
               enum dhcp_type *ret_type, struct lease *ret);
