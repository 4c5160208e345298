/* SPDX-License-Identifier: Apache-2.0 */
/* See uplink.h: the parts of the uplink, started together and given back together. */
#include "uplink/uplink.h"

#include "base/alloc.h"
#include "uplink/dns.h"
#include "uplink/tcp.h"
#include "uplink/tun.h"

struct uplink {
    struct loop *loop;
    struct uplink_config config;
    struct uplink_fds fds;
    struct tcp *tcp; /* of these, NULL: not needed */
    struct tun *tun;
    struct dns *dns;
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

void uplink_flows(const struct uplink *uplink, struct uplink_flows *ret)
{
    *ret = (struct uplink_flows){0};
    if (uplink->tcp)
        ret->tcp = tcp_flows(uplink->tcp);
    if (uplink->tun)
        tun_flows(uplink->tun, &ret->udp, &ret->ping);
}

static int parts_start(struct uplink *uplink)
{
    const struct uplink_fds *fds = &uplink->fds;
    int r = 0;

    if (fds->listen4 >= 0 || fds->listen6 >= 0)
        r = tcp_new(uplink, &uplink->tcp);
    if (r >= 0 && fds->tun >= 0)
        r = tun_new(uplink, &uplink->tun);
    if (r >= 0 && fds->dns_udp >= 0)
        r = dns_new(uplink->loop, uplink->config.network, fds->dns_udp, fds->dns_tcp, &uplink->dns);
    return r;
}

static void fds_close(struct uplink_fds *fds)
{
    int *const all[] = {&fds->listen4, &fds->listen6, &fds->raw4, &fds->raw6,    &fds->mark4,
                        &fds->mark6,   &fds->nflog,   &fds->tun,  &fds->dns_udp, &fds->dns_tcp};

    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        fd_close(all[i]);
}

int uplink_new(struct loop *loop, const struct uplink_config *config, const struct uplink_fds *fds,
               struct uplink **ret)
{
    struct uplink *uplink = alloc_new(struct uplink);
    int r;

    *uplink = (struct uplink){.loop = loop, .config = *config, .fds = *fds};
    r = parts_start(uplink);
    if (r < 0)
        uplink_free(uplink);
    else
        *ret = uplink;
    return r;
}

void uplink_free(struct uplink *uplink)
{
    if (!uplink)
        return;
    tcp_free(uplink->tcp);
    tun_free(uplink->tun);
    dns_free(uplink->dns);
    fds_close(&uplink->fds);
    free(uplink);
}
