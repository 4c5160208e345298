/* SPDX-License-Identifier: Apache-2.0 */
/* See address.h. */
#include "network/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "config/instance.h"

enum { DIGEST_SIZE = 32 };

static void digest_of(const char *purpose, const char *name, uint8_t digest[DIGEST_SIZE])
{
    char text[SPEC_NAME_MAX + 32];

    snprintf(text, sizeof(text), "%s %s", purpose, name);
    machine_digest(text, digest);
}

static void plan_subnet(const struct subnet4 *subnet, struct plan *plan)
{
    uint32_t network = ntohl(subnet->address.s_addr);
    uint32_t broadcast = network | (UINT32_MAX >> subnet->prefix);

    plan->gateway.s_addr = htonl(network + 1);
    plan->first.s_addr = htonl(network + 2);
    plan->last.s_addr = htonl(broadcast - 1);
}

/* fd, 40 bits of global id, subnet id 0: RFC 4193, 3.1. The id is a digest and not a random number,
 * as the network must find its own prefix again without keeping a record of it. */
static void unique_local_prefix(const char *name, struct in6_addr *ret)
{
    uint8_t digest[DIGEST_SIZE];

    digest_of("subnet6", name, digest);
    memset(ret, 0, sizeof(*ret));
    ret->s6_addr[0] = 0xfd;
    memcpy(&ret->s6_addr[1], digest, 5);
}

static void plan_subnet6(const struct spec *spec, struct plan *plan)
{
    plan->has6 = true;
    plan->prefix6 = 64;
    if (spec->subnet6.prefix)
        plan->prefix_address6 = spec->subnet6.address;
    else
        unique_local_prefix(spec->name, &plan->prefix_address6);
    plan->gateway6 = plan->prefix_address6;
    plan->gateway6.s6_addr[15] = 1;
}

/* 52:55:56: locally administered, and neither QEMU's 52:54:00 nor Lima's 52:55:55. */
static void plan_bridge_mac(const char *name, uint8_t mac[6])
{
    static const uint8_t ours[3] = {0x52, 0x55, 0x56};
    uint8_t digest[DIGEST_SIZE];

    digest_of("bridge", name, digest);
    memcpy(mac, ours, sizeof(ours));
    memcpy(mac + sizeof(ours), digest, 6 - sizeof(ours));
}

void plan_make(const struct spec *spec, struct plan *ret)
{
    memset(ret, 0, sizeof(*ret));
    plan_subnet(&spec->subnet, ret);
    plan_subnet6(spec, ret);
    plan_bridge_mac(spec->name, ret->bridge_mac);
    snprintf(ret->domain, sizeof(ret->domain), "%s.%s", spec->name, PLAN_DOMAIN_TOP);
}
