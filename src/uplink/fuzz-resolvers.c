/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as resolv.conf: there is always a resolver, and never one that is no address. */
#include <arpa/inet.h>
#include <stdlib.h>

#include "uplink/resolvers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct resolvers resolvers = {0};

    resolvers_parse(&resolvers, (const char *)data, size);
    if (resolvers.count < 1 || resolvers.count > RESOLVERS_MAX)
        abort();
    for (size_t i = 0; i < resolvers.count; i++) {
        const union endpoint *e = &resolvers.list[i];

        if (e->any.sa_family != AF_INET && e->any.sa_family != AF_INET6)
            abort();
        if (e->v4.sin_port != htons(RESOLVERS_PORT)) /* at the same place in both */
            abort();
    }
    return 0;
}
