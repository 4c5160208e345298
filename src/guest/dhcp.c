/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See dhcp.h. A table says which option is read how; each option is first put together from all its
 * pieces (RFC 3396), wherever in the message they are, so the readers see one bounded piece.
 */
#include "guest/dhcp.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/own.h"

/* RFC 2131, 2, figure 1. */
struct dhcp_packet {
    uint8_t op, htype, hlen, hops;
    uint32_t xid;
    uint16_t secs, flags;
    struct in_addr ciaddr, yiaddr, siaddr, giaddr;
    uint8_t chaddr[16], sname[64], file[128];
    uint8_t cookie[4];
    uint8_t options[];
} __attribute__((packed));

static_assert(sizeof(struct dhcp_packet) == 240, "RFC 2131, 2 and 3");

enum {
    BOOTREQUEST = 1,
    BOOTREPLY = 2,
    ETHERNET = 1, /* RFC 826 */
    FLAG_BROADCAST = 0x8000,
    PACKET_MIN = 300,  /* RFC 1542, 2.1: some relays drop what is shorter */
    OPTION_MAX = 1024, /* bytes of one option, all pieces together; the rest is cut off */
};

enum option {
    OPTION_PAD = 0,
    OPTION_NETMASK = 1,
    OPTION_ROUTER = 3,
    OPTION_DNS = 6,
    OPTION_HOSTNAME = 12,
    OPTION_DOMAIN = 15,
    OPTION_MTU = 26,
    OPTION_WANTED = 50,
    OPTION_SECONDS = 51,
    OPTION_OVERLOAD = 52,
    OPTION_TYPE = 53,
    OPTION_SERVER = 54,
    OPTION_PARAMETERS = 55,
    OPTION_MAX_SIZE = 57,
    OPTION_T1 = 58,
    OPTION_T2 = 59,
    OPTION_CLIENT = 61,
    OPTION_RAPID = 80,
    OPTION_SEARCH = 119,
    OPTION_END = 255,
};

static const uint8_t cookie[4] = {99, 130, 83, 99}; /* RFC 2131, 3 */

static uint8_t *option_put(uint8_t *at, enum option code, const void *data, size_t size)
{
    *at++ = (uint8_t)code;
    *at++ = (uint8_t)size;
    if (size)
        memcpy(at, data, size);
    return at + size;
}

static uint8_t *address_put(uint8_t *at, enum option code, struct in_addr address)
{
    return address.s_addr ? option_put(at, code, &address, sizeof(address)) : at;
}

static uint8_t *options_put(uint8_t *at, const struct dhcp_message *message)
{
    static const uint8_t asked[] = {OPTION_NETMASK, OPTION_ROUTER,  OPTION_DNS,    OPTION_DOMAIN,
                                    OPTION_MTU,     OPTION_SECONDS, OPTION_SERVER, OPTION_T1,
                                    OPTION_T2,      OPTION_SEARCH};
    uint8_t type = (uint8_t)message->type;
    uint8_t client[7] = {ETHERNET};
    uint16_t max = htons(DHCP_PARSE_MAX);

    memcpy(client + 1, message->mac, 6);
    at = option_put(at, OPTION_TYPE, &type, 1);
    at = option_put(at, OPTION_CLIENT, client, sizeof(client));
    at = address_put(at, OPTION_WANTED, message->wanted);
    at = address_put(at, OPTION_SERVER, message->server);
    at = option_put(at, OPTION_MAX_SIZE, &max, sizeof(max));
    at = option_put(at, OPTION_PARAMETERS, asked, sizeof(asked));
    if (message->hostname && *message->hostname)
        at = option_put(at, OPTION_HOSTNAME, message->hostname, strnlen(message->hostname, 63));
    if (message->type == DHCP_DISCOVER)
        at = option_put(at, OPTION_RAPID, NULL, 0);
    *at++ = OPTION_END;
    return at;
}

size_t dhcp_build(const struct dhcp_message *message, uint8_t buffer[DHCP_BUILD_MAX])
{
    struct dhcp_packet *packet = (struct dhcp_packet *)buffer;
    size_t size;

    memset(buffer, 0, DHCP_BUILD_MAX);
    packet->op = BOOTREQUEST;
    packet->htype = ETHERNET;
    packet->hlen = 6;
    packet->xid = htonl(message->xid);
    packet->secs = htons(message->seconds);
    packet->flags = htons(message->current.s_addr ? 0 : FLAG_BROADCAST);
    packet->ciaddr = message->current;
    memcpy(packet->chaddr, message->mac, 6);
    memcpy(packet->cookie, cookie, sizeof(cookie));
    size = (size_t)(options_put(packet->options, message) - buffer);
    return size < PACKET_MIN ? PACKET_MIN : size;
}

/* One option, put together. */
struct piece {
    uint8_t data[OPTION_MAX];
    size_t size;
    bool found;
};

/* Adds the pieces of an option in one area of the message. */
static void area_collect(const uint8_t *at, size_t size, uint8_t code, struct piece *piece)
{
    const uint8_t *end = at + size;

    while (at < end && *at != OPTION_END) {
        size_t length, room;

        if (*at == OPTION_PAD) {
            at++;
            continue;
        }
        if (end - at < 2 || end - at - 2 < at[1])
            return;
        length = at[1];
        room = sizeof(piece->data) - piece->size;
        if (*at == code) {
            piece->found = true;
            memcpy(piece->data + piece->size, at + 2, length < room ? length : room);
            piece->size += length < room ? length : room;
        }
        at += 2 + length;
    }
}

static void option_collect(const struct dhcp_packet *packet, size_t size, uint8_t code,
                           struct piece *ret)
{
    struct piece overload = {.size = 0};

    ret->size = 0;
    ret->found = false;
    area_collect(packet->options, size - sizeof(*packet), code, ret);
    if (code == OPTION_OVERLOAD)
        return;
    option_collect(packet, size, OPTION_OVERLOAD, &overload);
    if (overload.size == 1 && overload.data[0] & 1)
        area_collect(packet->file, sizeof(packet->file), code, ret);
    if (overload.size == 1 && overload.data[0] & 2)
        area_collect(packet->sname, sizeof(packet->sname), code, ret);
}

/* The readers: from an option that was there to its place in the lease. */

static bool number32(const struct piece *piece, uint32_t *ret)
{
    if (piece->size != 4)
        return false;
    memcpy(ret, piece->data, 4);
    *ret = ntohl(*ret);
    return true;
}

static void address_read(const struct piece *piece, struct in_addr *ret)
{
    if (piece->size >= 4)
        memcpy(ret, piece->data, 4);
}

static void read_netmask(const struct piece *piece, struct lease *lease)
{
    uint32_t mask;

    /* ones, then zeros: adding the lowest one wraps to zero */
    if (number32(piece, &mask) && mask && mask + (mask & -mask) == 0)
        lease->prefix = (unsigned)__builtin_popcount(mask);
}

static void read_router(const struct piece *piece, struct lease *lease)
{
    address_read(piece, &lease->router);
}

static void read_dns(const struct piece *piece, struct lease *lease)
{
    for (size_t i = 0; i + 4 <= piece->size && lease->dns_count < LEASE_DNS_MAX; i += 4)
        memcpy(&lease->dns[lease->dns_count++], piece->data + i, 4);
}

/* Letters of host names only: the text goes into resolv.conf. */
static bool name_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

static void read_domain(const struct piece *piece, struct lease *lease)
{
    size_t size = piece->size;

    while (size > 0 && piece->data[size - 1] == '\0')
        size--;
    if (size == 0 || size >= sizeof(lease->domain))
        return;
    for (size_t i = 0; i < size; i++)
        if (!name_letter(piece->data[i]) && piece->data[i] != '.')
            return;
    memcpy(lease->domain, piece->data, size);
    lease->domain[size] = '\0';
}

static void read_mtu(const struct piece *piece, struct lease *lease)
{
    /* 68 is the least: RFC 2132, 5.1. */
    if (piece->size == 2 && (piece->data[0] << 8 | piece->data[1]) >= 68)
        lease->mtu = (unsigned)(piece->data[0] << 8 | piece->data[1]);
}

static void read_seconds(const struct piece *piece, struct lease *lease)
{
    number32(piece, &lease->seconds);
}

static void read_server(const struct piece *piece, struct lease *lease)
{
    address_read(piece, &lease->server);
}

static void read_t1(const struct piece *piece, struct lease *lease)
{
    number32(piece, &lease->t1);
}

static void read_t2(const struct piece *piece, struct lease *lease)
{
    number32(piece, &lease->t2);
}

static void read_rapid(const struct piece *piece, struct lease *lease)
{
    (void)piece;
    lease->rapid = true;
}

/* Where a compression pointer (RFC 1035, 4.1.4) at this place points; SIZE_MAX when there is none.
 */
static size_t pointer_target(const struct piece *piece, size_t at)
{
    if (piece->size - at < 2 || piece->data[at] < 0xc0)
        return SIZE_MAX;
    return (size_t)(piece->data[at] & 0x3f) << 8 | piece->data[at + 1];
}

/* Appends the label at this place to a name of this length. The new length; 0: not a label. */
static size_t label_append(const struct piece *piece, size_t at, char *name, size_t length)
{
    size_t size = piece->data[at];

    if (size > 63 || size >= piece->size - at || length + size + 1 >= LEASE_DOMAIN_SIZE)
        return 0;
    if (length)
        name[length++] = '.';
    for (size_t i = 1; i <= size; i++) {
        if (!name_letter(piece->data[at + i]))
            return 0;
        name[length++] = (char)piece->data[at + i];
    }
    return length;
}

/* Reads the name at *at and moves *at behind it. Each pointer must point further back than the one
 * before, which ends every loop. Returns the length of name; 0: not a name, or the root. */
static size_t name_read(const struct piece *piece, size_t *at, char name[LEASE_DOMAIN_SIZE])
{
    size_t i = *at, limit = *at, after = 0, length = 0;

    while (i < piece->size && piece->data[i] != 0) {
        size_t target = pointer_target(piece, i);

        if (target == SIZE_MAX) {
            length = label_append(piece, i, name, length);
            if (length == 0)
                return 0;
            i += 1 + (size_t)piece->data[i];
            continue;
        }
        if (target >= limit)
            return 0;
        after = after ? after : i + 2;
        i = limit = target;
    }
    if (i >= piece->size)
        return 0;
    *at = after ? after : i + 1;
    name[length] = '\0';
    return length;
}

/* RFC 3397, 2. The list ends at the first name that is none. */
static void read_search(const struct piece *piece, struct lease *lease)
{
    char name[LEASE_DOMAIN_SIZE];
    size_t at = 0, used = 0, length;

    while (at < piece->size && (length = name_read(piece, &at, name)) > 0) {
        if (used + length + 2 > sizeof(lease->search))
            return;
        used += (size_t)snprintf(lease->search + used, sizeof(lease->search) - used, "%s%s",
                                 used ? " " : "", name);
    }
}

static const struct option_reader {
    enum option code;
    void (*read)(const struct piece *piece, struct lease *lease);
} option_readers[] = {
    {OPTION_NETMASK, read_netmask}, {OPTION_ROUTER, read_router}, {OPTION_DNS, read_dns},
    {OPTION_DOMAIN, read_domain},   {OPTION_MTU, read_mtu},       {OPTION_SECONDS, read_seconds},
    {OPTION_SERVER, read_server},   {OPTION_T1, read_t1},         {OPTION_T2, read_t2},
    {OPTION_RAPID, read_rapid},     {OPTION_SEARCH, read_search},
};

/* RFC 2131, 4.4.5: without T1 and T2, a half and 7/8 of the lease. */
static void lease_times(struct lease *lease)
{
    if (lease->t2 == 0 || lease->t2 > lease->seconds)
        lease->t2 = (uint32_t)((uint64_t)lease->seconds * 7 / 8);
    if (lease->t1 == 0 || lease->t1 > lease->t2)
        lease->t1 = lease->seconds / 2 < lease->t2 ? lease->seconds / 2 : lease->t2;
}

static bool packet_is_ours(const struct dhcp_packet *packet, size_t size, uint32_t xid,
                           const uint8_t mac[6])
{
    return size >= sizeof(*packet) && packet->op == BOOTREPLY && packet->htype == ETHERNET &&
           packet->hlen == 6 && packet->xid == htonl(xid) && memcmp(packet->chaddr, mac, 6) == 0 &&
           memcmp(packet->cookie, cookie, sizeof(cookie)) == 0;
}

/* An address that can be a host's. */
static bool address_usable(struct in_addr address)
{
    uint32_t first = ntohl(address.s_addr) >> 24;

    return first != 0 && first != 127 && first < 224;
}

/* The type of a server's message; 0: none that is used here. */
static int message_type(const struct dhcp_packet *packet, size_t size)
{
    struct piece piece;

    option_collect(packet, size, OPTION_TYPE, &piece);
    if (piece.size != 1)
        return 0;
    return piece.data[0] == DHCP_OFFER || piece.data[0] == DHCP_ACK || piece.data[0] == DHCP_NAK
               ? piece.data[0]
               : 0;
}

static int lease_read(const struct dhcp_packet *packet, size_t size, struct lease *ret)
{
    struct lease lease = {.address = packet->yiaddr, .prefix = 32};
    struct piece piece;

    for (size_t i = 0; i < ARRAY_SIZE(option_readers); i++) {
        option_collect(packet, size, (uint8_t)option_readers[i].code, &piece);
        if (piece.found)
            option_readers[i].read(&piece, &lease);
    }
    if (!address_usable(lease.address) || lease.seconds == 0 || lease.server.s_addr == 0)
        return -EBADMSG;
    lease_times(&lease);
    *ret = lease;
    return 0;
}

int dhcp_parse(const uint8_t *data, size_t size, uint32_t xid, const uint8_t mac[6],
               enum dhcp_type *ret_type, struct lease *ret)
{
    const struct dhcp_packet *packet = (const struct dhcp_packet *)data;
    int type, r;

    if (!packet_is_ours(packet, size, xid, mac))
        return -EBADMSG;
    type = message_type(packet, size);
    if (type == 0)
        return -EBADMSG;
    r = type == DHCP_NAK ? 0 : lease_read(packet, size, ret);
    if (r < 0)
        return r;
    *ret_type = (enum dhcp_type)type;
    return 0;
}
