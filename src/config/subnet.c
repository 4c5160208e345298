/* SPDX-License-Identifier: Apache-2.0 */
/* See subnet.h, and spec.h for what everybody may use. */
#include "config/subnet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/own.h"

static uint32_t subnet4_mask(unsigned prefix)
{
    return prefix ? htonl(UINT32_MAX << (32 - prefix)) : 0;
}

bool subnet4_contains(const struct subnet4 *subnet, struct in_addr address)
{
    return ((address.s_addr ^ subnet->address.s_addr) & subnet4_mask(subnet->prefix)) == 0;
}

bool subnet4_overlaps(const struct subnet4 *a, const struct subnet4 *b)
{
    return a->prefix < b->prefix ? subnet4_contains(a, b->address)
                                 : subnet4_contains(b, a->address);
}

struct in_addr subnet4_gateway(const struct subnet4 *subnet)
{
    return (struct in_addr){htonl(ntohl(subnet->address.s_addr) + 1)};
}

struct in_addr subnet4_broadcast(const struct subnet4 *subnet)
{
    return (struct in_addr){subnet->address.s_addr | ~subnet4_mask(subnet->prefix)};
}

/* Takes "ADDRESS/PREFIX" apart; prefix: decimal without leading zeros, at most max. */
static int subnet_split(int family, const char *text, unsigned max, void *ret_address,
                        unsigned *ret_prefix)
{
    char address[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    size_t length = slash ? strspn(slash + 1, "0123456789") : 0;
    int prefix = 0;

    if (length < 1 || length > 3 || slash[1 + length] || (slash[1] == '0' && length > 1))
        return -EINVAL;
    if ((size_t)(slash - text) >= sizeof(address))
        return -EINVAL;
    sscanf(slash + 1, "%d", &prefix);
    memcpy(address, text, (size_t)(slash - text));
    address[slash - text] = '\0';
    if ((unsigned)prefix > max || inet_pton(family, address, ret_address) != 1)
        return -EINVAL;
    *ret_prefix = (unsigned)prefix;
    return 0;
}

int subnet4_split(const char *text, struct subnet4 *ret)
{
    struct subnet4 subnet;
    int r = subnet_split(AF_INET, text, 32, &subnet.address, &subnet.prefix);

    if (r == 0)
        *ret = subnet;
    return r;
}

int subnet6_split(const char *text, struct subnet6 *ret)
{
    struct subnet6 subnet;
    int r = subnet_split(AF_INET6, text, 128, &subnet.address, &subnet.prefix);

    if (r == 0)
        *ret = subnet;
    return r;
}

bool subnet4_trim(struct subnet4 *subnet)
{
    uint32_t before = subnet->address.s_addr;

    subnet->address.s_addr &= subnet4_mask(subnet->prefix);
    return subnet->address.s_addr != before;
}

bool subnet6_trim(struct subnet6 *subnet)
{
    struct in6_addr before = subnet->address;

    for (unsigned bit = subnet->prefix; bit < 128; bit++)
        subnet->address.s6_addr[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
    return memcmp(&before, &subnet->address, sizeof(before)) != 0;
}

/* RFC 6890, 2.2.2, and RFC 5771. */
const char *subnet4_special(const struct subnet4 *subnet)
{
    static const struct {
        uint32_t address;
        unsigned prefix;
        const char *purpose;
    } special[] = {
        {0x00000000, 8, "\"this network\" (0.0.0.0/8)"}, {0x7f000000, 8, "loopback (127.0.0.0/8)"},
        {0xa9fe0000, 16, "link-local (169.254.0.0/16)"}, {0xe0000000, 4, "multicast (224.0.0.0/4)"},
        {0xf0000000, 4, "reserved (240.0.0.0/4)"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(special); i++) {
        struct subnet4 range = {{htonl(special[i].address)}, special[i].prefix};

        if (subnet4_overlaps(subnet, &range))
            return special[i].purpose;
    }
    return NULL;
}

/* RFC 4291, 2.4 and 2.5. */
const char *subnet6_special(const struct subnet6 *subnet)
{
    const uint8_t *bytes = subnet->address.s6_addr;

    if (bytes[0] == 0)
        return "reserved (::/8)";
    if (bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80)
        return "link-local (fe80::/10)";
    if (bytes[0] == 0xff)
        return "multicast (ff00::/8)";
    return NULL;
}

int subnet4_parse(const char *text, struct subnet4 *ret)
{
    struct subnet4 subnet;
    int r = subnet4_split(text, &subnet);

    if (r < 0)
        return r;
    if (subnet4_trim(&subnet))
        return -EINVAL;
    *ret = subnet;
    return 0;
}

char *subnet4_text(const struct subnet4 *subnet, char text[SUBNET4_TEXT_SIZE])
{
    inet_ntop(AF_INET, &subnet->address, text, INET_ADDRSTRLEN);
    snprintf(text + strlen(text), 4, "/%u", subnet->prefix % 64);
    return text;
}

char *subnet6_text(const struct subnet6 *subnet, char text[SUBNET6_TEXT_SIZE])
{
    inet_ntop(AF_INET6, &subnet->address, text, INET6_ADDRSTRLEN);
    snprintf(text + strlen(text), 5, "/%u", subnet->prefix & 0xff);
    return text;
}
