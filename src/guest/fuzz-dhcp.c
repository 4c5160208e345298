/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a server's answer: what is taken for a lease keeps the promises of dhcp.h. */
#include <stdlib.h>
#include <string.h>

#include "guest/dhcp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The corpus uses these. */
static const uint8_t mac[6] = {0x52, 0x54, 0, 0, 0, 0x0a};
static const uint32_t xid = 0x01020304;

static void text_check(const char *text, size_t size)
{
    if (memchr(text, '\0', size) == NULL)
        abort();
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || (unsigned char)*text > '~')
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum dhcp_type type;
    struct lease lease;

    if (dhcp_parse(data, size, xid, mac, &type, &lease) < 0 || type == DHCP_NAK)
        return 0;
    if (type != DHCP_OFFER && type != DHCP_ACK)
        abort();
    if (lease.prefix == 0 || lease.prefix > 32 || lease.dns_count > LEASE_DNS_MAX)
        abort();
    if (lease.t1 > lease.t2 || lease.t2 > lease.seconds || lease.seconds == 0)
        abort();
    text_check(lease.domain, sizeof(lease.domain));
    text_check(lease.search, sizeof(lease.search));
    return 0;
}
