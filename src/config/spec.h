/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a network is to be: the validated form of one entry of networks.yaml, of the configuration
 * that a request carries, and of what a holder is started with. One table of keys in spec.c parses,
 * checks, compares and prints it, so file and protocol can't differ.
 */
#pragma once

#include <jansson.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "config/forward.h"

#define SPEC_NAME_MAX         32 /* a DNS label and a directory name */
#define SPEC_RESERVATIONS_MAX 256
#define SPEC_DHCP_OPTIONS_MAX 32
#define SPEC_EGRESS_MAX       256   /* entries of each list */
#define SPEC_MTU_MIN          1280  /* RFC 8200, 5 */
#define SPEC_MTU_MAX          65521 /* a tap's: 65535 less the Ethernet header, drivers/net/tun.c */

enum spec_mode { SPEC_SHARED, SPEC_HOST };

struct subnet4 {
    struct in_addr address; /* network byte order, host bits zero */
    unsigned prefix;        /* 0: not given */
};

struct subnet6 {
    struct in6_addr address;
    unsigned prefix; /* 0: not given; else 64 */
};

struct spec_reservation {
    char *name; /* NULL: none */
    uint8_t mac[6];
    struct in_addr ip;
};

struct spec_dhcp_option {
    unsigned code; /* RFC 2132 */
    char *value;   /* as dnsmasq takes it (dhcp-option), without newlines */
};

/* Destinations outside of the network. */
struct spec_egress_entry {
    int family; /* AF_INET, AF_INET6, or AF_UNSPEC: every address of both */
    union {
        struct subnet4 v4; /* prefix 0 to 32 */
        struct subnet6 v6; /* prefix 0 to 128 */
    } subnet;
    int protocol; /* IPPROTO_TCP, IPPROTO_UDP; 0: every protocol (with ports: both of these) */
    struct ports ports; /* of the destination; first 0: every port */
};

/* What guests may reach. An entry of the list that is named as the default is an exception from the
 * other list and so counts first: with default allow, `allow` before `deny`; with deny, `deny`
 * before `allow`; what no entry matches goes by default. */
struct spec_egress {
    bool deny; /* by default */
    struct spec_egress_list {
        struct spec_egress_entry *entries;
        size_t count;
    } allowed, denied;
};

struct spec {
    char name[SPEC_NAME_MAX + 1];
    enum spec_mode mode;
    bool dhcp, dns_proxy, nat44, nat66, router_advertisement, isolated, host_loopback;
    unsigned mtu;    /* bytes */
    unsigned linger; /* seconds without a port before the network ends */
    struct subnet4 subnet;
    struct subnet6 subnet6;
    struct spec_reservation *reservations;
    size_t reservation_count;
    struct spec_dhcp_option *dhcp_options;
    size_t dhcp_option_count;
    struct forward *forwards;
    size_t forward_count;
    struct spec_egress egress;
};

/* All that is wrong with an input, in order; at most FAULTS_MAX are kept, all are counted. */
#define FAULTS_MAX 64
struct faults {
    struct error *items;
    size_t count, total;
};
void faults_done(struct faults *faults);
static inline void own_faults(struct faults *faults)
{
    faults_done(faults);
}

/* Says where a value stands: path is a JSON pointer (RFC 6901) into the checked document, e.g.
 * "/mtu" or "/reservations/0/mac". Writes "file:line:column" or "Attach.configuration.mtu". */
struct spec_places {
    void (*where)(const struct spec_places *places, const char *path, char *text, size_t size);
    /* The place of the key instead of its value, for files; NULL: where() serves for both. */
    void (*where_key)(const struct spec_places *places, const char *path, char *text, size_t size);
};

/* Checks one network's configuration (an object, or NULL for all defaults). On success fills *ret
 * (spec_done() frees it) and returns 0; else -EINVAL with every fault added to faults. */
int spec_from_json(const char *name, const json_t *configuration, const struct spec_places *places,
                   struct spec *ret, struct faults *faults);
/* Canonical: every key, defaults filled in, "subnet" only once known. The caller owns the result.
 */
json_t *spec_to_json(const struct spec *spec);
/* The keys in which wanted, as far as it was given explicitly, differs from running; a new array of
 * strings. wanted: a configuration object (already checked) or NULL. */
json_t *spec_differs(const struct spec *running, const json_t *wanted);
void spec_done(struct spec *spec);
static inline void own_spec(struct spec *spec)
{
    spec_done(spec);
}

/* 0, or -EINVAL with a message: 1-32 of a-z 0-9 - _, beginning and ending with a letter or digit.
 */
int spec_check_name(const char *name, struct error *error);
/* A guest's name: one DNS label, RFC 1123, 2.1. */
int spec_check_guest_name(const char *name, struct error *error);

bool subnet4_overlaps(const struct subnet4 *a, const struct subnet4 *b);
bool subnet4_contains(const struct subnet4 *subnet, struct in_addr address);
/* Strict: "A.B.C.D/P" with zero host bits. Negative errno. */
int subnet4_parse(const char *text, struct subnet4 *ret);
char *subnet4_text(const struct subnet4 *subnet, char text[INET_ADDRSTRLEN + 3]);
#define SUBNET4_TEXT_SIZE (INET_ADDRSTRLEN + 3)
/* The first host address: the network's gateway. The last address: broadcast (RFC 919, 7). */
struct in_addr subnet4_gateway(const struct subnet4 *subnet);
struct in_addr subnet4_broadcast(const struct subnet4 *subnet);

char *subnet6_text(const struct subnet6 *subnet, char text[INET6_ADDRSTRLEN + 4]);
#define SUBNET6_TEXT_SIZE (INET6_ADDRSTRLEN + 4)

/* "52:54:00:12:34:56" or with '-' throughout, upper or lower case. -EINVAL when it isn't written
 * so, -EADDRNOTAVAIL when it is multicast or zero, which no guest can have. */
int mac_parse(const char *text, uint8_t ret_mac[6]);
#define MAC_TEXT_SIZE 18
char *mac_text(const uint8_t mac[6], char text[MAC_TEXT_SIZE]);
