/* SPDX-License-Identifier: Apache-2.0 */
/* Packets: what is read is right, what is written is what the RFCs want, nothing is read beyond. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "base/test.h"
#include "uplink/packet.h"

static union endpoint at(const char *address, uint16_t port)
{
    union endpoint e = {.any.sa_family = strchr(address, ':') ? AF_INET6 : AF_INET};

    if (e.any.sa_family == AF_INET) {
        inet_pton(AF_INET, address, &e.v4.sin_addr);
        e.v4.sin_port = htons(port);
    } else {
        inet_pton(AF_INET6, address, &e.v6.sin6_addr);
        e.v6.sin6_port = htons(port);
    }
    return e;
}

/* A datagram with the payload "hello", either family; returns its size. */
static size_t datagram(uint8_t *to, const char *src, const char *dst)
{
    union endpoint from = at(src, 1000), target = at(dst, 53);
    const struct packet_head head = {&from, &target, .hop_limit = 9, .traffic_class = 0xb8};
    size_t headers = strchr(src, ':') ? 48 : 28;

    memcpy(to + headers, "hello", 5);
    CHECK_INT(packet_udp(to, &head, 5, false), headers);
    return headers + 5;
}

/* A right checksum makes the whole sum to zero. */
static uint16_t residue(const uint8_t *data, const struct packet *p, bool pseudo)
{
    size_t size = p->size - p->l4;
    uint32_t sum = pseudo ? checksum_pseudo(&p->src, &p->dst, p->protocol, size) : 0;

    return checksum_fold(checksum_add(sum, data + p->l4, size));
}

static void checksum_of_rfc1071(void)
{
    static const uint8_t example[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
    static const uint8_t odd[] = {0x12, 0x34, 0x56};

    CHECK_INT(ntohs(checksum_fold(checksum_add(0, example, sizeof(example)))), 0x220d);
    CHECK_INT(ntohs(checksum_fold(checksum_add(checksum_add(0, example, 4), example + 4, 4))),
              0x220d);
    CHECK_INT(ntohs(checksum_fold(checksum_add(0, odd, 3))), (uint16_t) ~(0x1234 + 0x5600));
}

static void udp_reads_back(void)
{
    static const char *const pairs[][2] = {{"192.0.2.1", "198.51.100.7"},
                                           {"2001:db8::1", "2001:db8::2"}};

    for (size_t i = 0; i < 2; i++) {
        uint8_t data[64];
        size_t size = datagram(data, pairs[i][0], pairs[i][1]);
        union endpoint src = at(pairs[i][0], 1000), dst = at(pairs[i][1], 53);
        struct packet p;

        CHECK_INT(packet_parse(data, size, &p), 0);
        CHECK(endpoint_equal(&p.src, &src) && endpoint_equal(&p.dst, &dst));
        CHECK_INT(p.protocol, IPPROTO_UDP);
        CHECK_INT(p.hop_limit, 9);
        CHECK_INT(p.traffic_class, 0xb8);
        CHECK_INT(p.size, size);
        CHECK(!p.cut && !p.fragment);
        CHECK_INT(residue(data, &p, true), 0);
        if (i == 0)
            CHECK_INT(checksum_fold(checksum_add(0, data, 20)), 0);
    }
}

static void udp_partial_is_the_pseudo_header(void)
{
    union endpoint from = at("192.0.2.1", 1), to = at("192.0.2.2", 2);
    const struct packet_head head = {&from, &to};
    uint8_t data[28];
    uint16_t stored;

    packet_udp(data, &head, 100, true);
    memcpy(&stored, data + 26, 2);
    CHECK_INT(stored, (uint16_t)~checksum_fold(checksum_pseudo(&from, &to, IPPROTO_UDP, 108)));
}

static void checksums_are_repaired(void)
{
    uint8_t data[64], right[64];
    size_t size = datagram(right, "2001:db8::1", "2001:db8::2");
    struct packet p;

    memcpy(data, right, size);
    data[46] ^= 0x55;
    CHECK_INT(packet_parse(data, size, &p), 0);
    packet_checksum(data, &p);
    CHECK(memcmp(data, right, size) == 0);
}

/* Hop-by-hop, destination options and a first fragment in front of UDP. */
static void extension_headers(void)
{
    uint8_t data[128], plain[64];
    struct packet p;

    datagram(plain, "2001:db8::1", "2001:db8::2");
    memcpy(data, plain, 40);
    memset(data + 40, 0, 24);
    memcpy(data + 64, plain + 40, 13);
    data[5] = 24 + 13;
    data[6] = IPPROTO_HOPOPTS;
    data[40] = IPPROTO_DSTOPTS;
    data[48] = IPPROTO_FRAGMENT;
    data[56] = IPPROTO_UDP;
    CHECK_INT(packet_parse(data, 77, &p), 0);
    CHECK_INT(p.l4, 64);
    CHECK_INT(p.next, 56);
    CHECK(!p.fragment); /* atomic */
    data[59] = 1;       /* more fragments */
    CHECK_INT(packet_parse(data, 77, &p), 0);
    CHECK(p.fragment && ntohs(p.dst.v6.sin6_port) == 53);
    data[59] = 8; /* the second piece */
    CHECK_INT(packet_parse(data, 77, &p), 0);
    CHECK(p.fragment && p.dst.v6.sin6_port == 0);
    data[41] = 200; /* longer than the packet */
    CHECK_INT(packet_parse(data, 77, &p), -EBADMSG);
}

/* Exactly as large as it says: AddressSanitizer sees any read behind it. */
static void every_cut_is_survived(void)
{
    static const char *const pairs[][2] = {{"192.0.2.1", "198.51.100.7"},
                                           {"2001:db8::1", "2001:db8::2"}};

    for (size_t i = 0; i < 2; i++) {
        uint8_t data[64];
        size_t size = datagram(data, pairs[i][0], pairs[i][1]);

        for (size_t cut = 0; cut < size; cut++) {
            uint8_t *exact = malloc(cut ? cut : 1);
            struct packet p;

            memcpy(exact, data, cut);
            if (packet_parse(exact, cut, &p) == 0) {
                CHECK(p.cut && p.size == cut && p.l4 + 8 <= cut);
                packet_checksum(exact, &p);
            } else {
                CHECK(cut < size - 5);
            }
            free(exact);
        }
    }
}

static void wrong_packets(void)
{
    uint8_t data[64];
    size_t size = datagram(data, "192.0.2.1", "198.51.100.7");
    struct packet p;

    CHECK_INT(packet_parse(NULL, 0, &p), -EBADMSG);
    data[0] = 0x44; /* header of 16 bytes */
    CHECK_INT(packet_parse(data, size, &p), -EBADMSG);
    data[0] = 0x55;
    CHECK_INT(packet_parse(data, size, &p), -EBADMSG);
    data[0] = 0x45;
    data[3] = 19; /* total shorter than the header */
    CHECK_INT(packet_parse(data, size, &p), -EBADMSG);
    data[3] = (uint8_t)size;
    data[25] = 100; /* UDP longer than the packet */
    CHECK_INT(packet_parse(data, size, &p), -EBADMSG);
    data[9] = IPPROTO_TCP; /* too short for TCP */
    CHECK_INT(packet_parse(data, size, &p), -EBADMSG);
    data[9] = 132; /* any other transport is not looked into */
    CHECK_INT(packet_parse(data, size, &p), 0);
}

/* A SYN with ISN 0x01020304 from port 1000 to 80. */
static size_t syn(uint8_t *to, const char *src, const char *dst)
{
    union endpoint from = at(src, 0), target = at(dst, 0);
    const struct packet_head head = {&from, &target, .protocol = IPPROTO_TCP};
    size_t l4 = packet_ip(to, &head, 20);
    static const uint8_t tcp[20] = {1000 >> 8, 1000 & 255, 0, 80, 1,      2, 3,   4,
                                    0,         0,          0, 0,  5 << 4, 2, 255, 255};

    memcpy(to + l4, tcp, 20);
    return l4 + 20;
}

static void reset_answers_a_syn(void)
{
    static const char *const pairs[][2] = {{"192.0.2.1", "198.51.100.7"},
                                           {"2001:db8::1", "2001:db8::2"}};
    static const uint8_t expected[14] = {0, 80, 1000 >> 8, 1000 & 255, 0, 0,      0,
                                         0, 1,  2,         3,          5, 5 << 4, 0x14};

    for (size_t i = 0; i < 2; i++) {
        uint8_t data[64], reply[PACKET_RESET_MAX];
        struct packet p, r;
        size_t size = syn(data, pairs[i][0], pairs[i][1]);

        CHECK_INT(packet_parse(data, size, &p), 0);
        size = packet_reset(reply, data, &p);
        CHECK_INT(packet_parse(reply, size, &r), 0);
        CHECK(endpoint_equal(&r.src, &p.dst) && endpoint_equal(&r.dst, &p.src));
        CHECK(memcmp(reply + r.l4, expected, sizeof(expected)) == 0);
        CHECK_INT(residue(reply, &r, true), 0);
    }
}

static void errors_quote_within_limits(void)
{
    static const struct {
        const char *src, *dst, *gateway;
        uint8_t type, code;
        size_t size;
    } cases[] = {
        {"192.0.2.1", "198.51.100.7", "192.0.2.254", 3, 4, 576},
        {"2001:db8::1", "2001:db8::2", "2001:db8::ff", 2, 0, 1280},
    };

    for (size_t i = 0; i < 2; i++) {
        uint8_t data[2048] = {0}, reply[PACKET_ERROR_MAX];
        union endpoint src = at(cases[i].src, 1), dst = at(cases[i].dst, 2);
        union endpoint gateway = at(cases[i].gateway, 0);
        const struct packet_head head = {&src, &dst};
        struct packet p, r;
        uint32_t mtu;

        packet_udp(data, &head, 1900, false);
        CHECK_INT(packet_parse(data, 1900 + (i ? 48 : 28), &p), 0);
        CHECK_INT(packet_icmp_error(reply, &gateway, PACKET_TOO_BIG, 1400, data, &p),
                  cases[i].size);
        CHECK_INT(packet_parse(reply, cases[i].size, &r), 0);
        CHECK_INT(reply[r.l4], cases[i].type);
        CHECK_INT(reply[r.l4 + 1], cases[i].code);
        memcpy(&mtu, reply + r.l4 + 4, 4);
        CHECK_INT(ntohl(mtu), 1400);
        CHECK(memcmp(reply + r.l4 + 8, data, cases[i].size - r.l4 - 8) == 0);
        CHECK_INT(residue(reply, &r, i == 1), 0);
        /* No error about that error, nor about a packet of nobody. */
        CHECK_INT(packet_icmp_error(data, &src, PACKET_TOO_BIG, 0, reply, &r), 0);
        memset(&p.src, 0, sizeof(p.src));
        p.src.any.sa_family = gateway.any.sa_family;
        CHECK_INT(packet_icmp_error(reply, &gateway, PACKET_TOO_BIG, 0, data, &p), 0);
    }
}

static void errnos_become_errors(void)
{
    CHECK_INT(packet_error_of(ENETUNREACH), PACKET_NET_UNREACHABLE);
    CHECK_INT(packet_error_of(ECONNREFUSED), PACKET_PORT_UNREACHABLE);
    CHECK_INT(packet_error_of(EPERM), PACKET_PROHIBITED);
    CHECK_INT(packet_error_of(EHOSTUNREACH), PACKET_HOST_UNREACHABLE);
    CHECK_INT(packet_error_of(EIO), PACKET_HOST_UNREACHABLE);
}

static void endpoints(void)
{
    union endpoint a = at("192.0.2.1", 80), b = at("2001:db8::1", 443), c = at("192.0.2.1", 81);
    char text[ENDPOINT_TEXT_SIZE];

    CHECK_TEXT(endpoint_text(&a, text), "192.0.2.1:80");
    CHECK_TEXT(endpoint_text(&b, text), "[2001:db8::1]:443");
    CHECK(!endpoint_equal(&a, &c) && !endpoint_equal(&a, &b) && endpoint_equal(&a, &a));
    CHECK(packet_hash(&a, &b, 1) != packet_hash(&b, &a, 1));
    CHECK(packet_hash(&a, &b, 1) != packet_hash(&a, &b, 2));
    CHECK(packet_hash(&a, &b, 1) != packet_hash(&c, &b, 1));
}

static const struct test tests[] = {
    {"checksums: the example of RFC 1071", checksum_of_rfc1071},
    {"a datagram that was built reads back", udp_reads_back},
    {"a partial checksum covers the pseudo header alone", udp_partial_is_the_pseudo_header},
    {"a wrong checksum is repaired", checksums_are_repaired},
    {"extension headers of IPv6", extension_headers},
    {"cut anywhere, nothing is read behind the end", every_cut_is_survived},
    {"packets that contradict themselves", wrong_packets},
    {"a reset answers a SYN", reset_answers_a_syn},
    {"ICMP errors: type, quote, limits, none about errors", errors_quote_within_limits},
    {"errnos become errors", errnos_become_errors},
    {"endpoints: text, equality, hash", endpoints},
};
TEST_MAIN(tests)
