/* SPDX-License-Identifier: Apache-2.0 */
/* See uplink.h: the parts of the uplink, started together and given back together. */
#include "uplink/uplink.h"

#include <errno.h>

#include "base/alloc.h"

struct uplink {
    struct loop *loop;
    struct uplink_config config;
    struct uplink_fds fds;
};

struct loop *uplink_loop(struct uplink *uplink)
{
    return uplink->loop;
}

const struct uplink_config *uplink_config(const struct uplink *uplink)
{
    return &uplink->config;
}

const struct uplink_fds *uplink_fds(const struct uplink *uplink)
{
    return &uplink->fds;
}

int uplink_new(struct loop *loop, const struct uplink_config *config, const struct uplink_fds *fds,
               struct uplink **ret)
{
    struct uplink *uplink = alloc_new(struct uplink);

    *uplink = (struct uplink){.loop = loop, .config = *config, .fds = *fds};
    *ret = uplink;
    return 0;
}

static void fds_close(struct uplink_fds *fds)
{
    int *const all[] = {&fds->listen4, &fds->listen6, &fds->raw4, &fds->raw6,    &fds->mark4,
                        &fds->mark6,   &fds->nflog,   &fds->tun,  &fds->dns_udp, &fds->dns_tcp};

    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        fd_close(all[i]);
}

void uplink_free(struct uplink *uplink)
{
    if (!uplink)
        return;
    fds_close(&uplink->fds);
    free(uplink);
}
