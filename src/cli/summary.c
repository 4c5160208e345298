/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See summary.h. Each layer gets what is left of the frame and says what it finds; one that finds
 * too little says so.
 */
#include "cli/summary.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/own.h"

struct piece {
    const uint8_t *data;
    size_t size;
};

/* Grows to SUMMARY_SIZE, and no further. */
struct line {
    char *text;
    size_t size;
};

__attribute__((format(printf, 2, 3))) static void say(struct line *line, const char *format, ...)
{
    va_list args;
    int size;

    va_start(args, format);
    size = vsnprintf(line->text + line->size, SUMMARY_SIZE - line->size, format, args);
    va_end(args);
    line->size += (size_t)size;
    if (line->size >= SUMMARY_SIZE)
        line->size = SUMMARY_SIZE - 1;
}

static uint16_t short_at(const uint8_t *data)
{
    return (uint16_t)(data[0] << 8 | data[1]);
}

static bool piece_skip(struct piece *piece, size_t size)
{
    if (size > piece->size)
        return false;
    piece->data += size;
    piece->size -= size;
    return true;
}

static const char *address_text(int family, const uint8_t *data, char text[INET6_ADDRSTRLEN])
{
    return inet_ntop(family, data, text, INET6_ADDRSTRLEN);
}

/* --- what is in a packet --- */

/* Addresses, and the ports where there are any. */
struct ends {
    char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN];
};

static void say_ends(struct line *line, const struct ends *ends, const uint8_t *ports)
{
    if (ports)
        say(line, "%s.%u > %s.%u ", ends->from, short_at(ports), ends->to, short_at(ports + 2));
    else
        say(line, "%s > %s ", ends->from, ends->to);
}

static void say_tcp(struct line *line, const struct ends *ends, struct piece piece)
{
    static const char flags[] = "FSRPAUEC"; /* from the lowest bit on: RFC 9293, 3.1 */
    size_t head;

    if (piece.size < 20) {
        say_ends(line, ends, NULL);
        say(line, "TCP, cut off");
        return;
    }
    say_ends(line, ends, piece.data);
    say(line, "TCP ");
    for (size_t i = 0; i < 8; i++)
        if (piece.data[13] & 1 << i)
            say(line, "%c", flags[i]);
    head = (size_t)(piece.data[12] >> 4) * 4;
    say(line, ", length %zu", piece.size > head ? piece.size - head : 0);
}

static const char *udp_name(uint16_t port)
{
    static const struct {
        uint16_t port;
        const char *name;
    } names[] = {{53, "DNS"},   {67, "DHCP"},    {68, "DHCP"},    {123, "NTP"},
                 {443, "QUIC"}, {546, "DHCPv6"}, {547, "DHCPv6"}, {5353, "mDNS"}};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (names[i].port == port)
            return names[i].name;
    return NULL;
}

static void say_udp(struct line *line, const struct ends *ends, struct piece piece)
{
    const char *name;

    if (piece.size < 8) {
        say_ends(line, ends, NULL);
        say(line, "UDP, cut off");
        return;
    }
    say_ends(line, ends, piece.data);
    name = udp_name(short_at(piece.data));
    if (!name)
        name = udp_name(short_at(piece.data + 2));
    say(line, "UDP%s%s, length %zu", name ? " " : "", name ? name : "", piece.size - 8);
}

struct icmp_name {
    uint8_t type;
    const char *name;
};
/* RFC 792; RFC 4443 and RFC 4861. The list ends without a name. */
static const struct icmp_name icmp_names[] = {{0, "echo reply"},     {3, "unreachable"},
                                              {5, "redirect"},       {8, "echo request"},
                                              {11, "time exceeded"}, {0, NULL}};
static const struct icmp_name icmp6_names[] = {{1, "unreachable"},
                                               {2, "packet too big"},
                                               {3, "time exceeded"},
                                               {128, "echo request"},
                                               {129, "echo reply"},
                                               {130, "listener query"},
                                               {131, "listener report"},
                                               {143, "listener report"},
                                               {133, "router solicitation"},
                                               {134, "router advertisement"},
                                               {135, "neighbour solicitation"},
                                               {136, "neighbour advertisement"},
                                               {0, NULL}};

static void say_icmp(struct line *line, const struct ends *ends, const char *protocol,
                     const struct icmp_name *names, struct piece piece)
{
    say_ends(line, ends, NULL);
    say(line, "%s", protocol);
    if (piece.size < 2) {
        say(line, ", cut off");
        return;
    }
    while (names->name && names->type != piece.data[0])
        names++;
    if (names->name)
        say(line, " %s", names->name);
    else
        say(line, " type %u code %u", piece.data[0], piece.data[1]);
    say(line, ", length %zu", piece.size);
}

static void say_protocol(struct line *line, const struct ends *ends, uint8_t protocol,
                         struct piece piece)
{
    if (protocol == IPPROTO_TCP) {
        say_tcp(line, ends, piece);
    } else if (protocol == IPPROTO_UDP) {
        say_udp(line, ends, piece);
    } else if (protocol == IPPROTO_ICMP) {
        say_icmp(line, ends, "ICMP", icmp_names, piece);
    } else if (protocol == IPPROTO_ICMPV6) {
        say_icmp(line, ends, "ICMPv6", icmp6_names, piece);
    } else {
        say_ends(line, ends, NULL);
        say(line, "protocol %u, length %zu", protocol, piece.size);
    }
}

/* --- IP --- */

/* What the header says belongs to the packet; a frame may be longer, and may have been cut. */
static void piece_limit(struct piece *piece, size_t size)
{
    if (size < piece->size)
        piece->size = size;
}

static void say_ip4(struct line *line, struct piece piece)
{
    struct ends ends;
    size_t head = piece.size ? (size_t)(piece.data[0] & 0xf) * 4 : 0;
    const uint8_t *ip = piece.data;
    unsigned fragment;

    if (piece.size < 20 || head < 20 || piece.size < head) {
        say(line, "IPv4, cut off");
        return;
    }
    address_text(AF_INET, ip + 12, ends.from);
    address_text(AF_INET, ip + 16, ends.to);
    if (short_at(ip + 2) >= head) /* 0: a super-frame longer than the field */
        piece_limit(&piece, short_at(ip + 2));
    piece_skip(&piece, head);
    fragment = (short_at(ip + 6) & 0x1fffU) * 8;
    if (fragment) {
        say_ends(line, &ends, NULL);
        say(line, "fragment at %u, length %zu", fragment, piece.size);
    } else {
        say_protocol(line, &ends, ip[9], piece);
    }
}

/* Headers between IPv6's own and the payload: all begin with the next one's type and their length
 * in units of 8, without the first (RFC 8200, 4). */
static bool extension_skip(struct piece *piece, uint8_t *next)
{
    size_t size;

    if (piece->size < 8)
        return false;
    size = *next == IPPROTO_FRAGMENT ? 8 : 8 + (size_t)piece->data[1] * 8;
    *next = piece->data[0];
    return piece_skip(piece, size);
}

static void say_ip6(struct line *line, struct piece piece)
{
    const uint8_t *ip = piece.data;
    struct ends ends;
    uint8_t next;

    if (piece.size < 40) {
        say(line, "IPv6, cut off");
        return;
    }
    address_text(AF_INET6, ip + 8, ends.from);
    address_text(AF_INET6, ip + 24, ends.to);
    next = ip[6];
    piece_skip(&piece, 40);
    if (short_at(ip + 4)) /* 0: a super-frame longer than the field */
        piece_limit(&piece, short_at(ip + 4));
    while (next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS ||
           next == IPPROTO_FRAGMENT)
        if (!extension_skip(&piece, &next)) {
            say_ends(line, &ends, NULL);
            say(line, "IPv6, cut off");
            return;
        }
    say_protocol(line, &ends, next, piece);
}

/* --- Ethernet --- */

/* RFC 826, for IPv4 on Ethernet. */
static void say_arp(struct line *line, struct piece piece)
{
    char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN];
    const uint8_t *arp = piece.data, *mac = arp + 8;

    if (piece.size < 28 || short_at(arp + 2) != ETH_P_IP || arp[4] != ETH_ALEN || arp[5] != 4) {
        say(line, "ARP, cut off or not for IPv4");
        return;
    }
    address_text(AF_INET, arp + 14, from);
    address_text(AF_INET, arp + 24, to);
    if (short_at(arp + 6) == 1)
        say(line, "ARP who has %s? tell %s", to, from);
    else
        say(line, "ARP %s is at %02x:%02x:%02x:%02x:%02x:%02x", from, mac[0], mac[1], mac[2],
            mac[3], mac[4], mac[5]);
}

static void say_other(struct line *line, const uint8_t *macs, uint16_t type, struct piece piece)
{
    for (int i = 0; i < 12; i++) /* receiver first; shown sender first */
        say(line, "%02x%s", macs[(i + 6) % 12], i == 5 ? " > " : i == 11 ? " " : ":");
    say(line, "type 0x%04x, length %zu", type, piece.size);
}

char *summary_text(const uint8_t *frame, size_t size, char text[SUMMARY_SIZE])
{
    struct piece piece = {frame, size};
    struct line line = {text, 0};
    uint16_t type;

    text[0] = '\0';
    if (!piece_skip(&piece, ETH_HLEN)) {
        say(&line, "a frame of %zu bytes", size);
        return text;
    }
    type = short_at(frame + 12);
    while ((type == ETH_P_8021Q || type == ETH_P_8021AD) && piece.size >= 4) {
        say(&line, "vlan %u ", short_at(piece.data) & 0xfffU);
        type = short_at(piece.data + 2);
        piece_skip(&piece, 4);
    }
    if (type == ETH_P_IP)
        say_ip4(&line, piece);
    else if (type == ETH_P_IPV6)
        say_ip6(&line, piece);
    else if (type == ETH_P_ARP)
        say_arp(&line, piece);
    else
        say_other(&line, frame, type, piece);
    return text;
}
