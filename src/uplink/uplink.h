/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The uplink: how guests' flows leave the network and come into it. It runs in the forwarder, in
 * the host's network namespace and without any capability, on sockets that the holder made inside
 * the network: a socket belongs to the namespace it was made in, whichever process holds it.
 *
 *   TCP    ended by the kernel inside (TPROXY), joined to a socket of the host by splice: tcp.h
 *   rest   leaves the network through a TUN device that is read here: tun.h -> udp.h, icmp.h
 *   DNS    what dnsmasq asks at 127.0.0.1:5300 inside is asked of the host's resolvers: dns.h
 *   in     listening sockets of the host are joined to guests: forwards.h
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>

#include "base/loop.h"

/* What the network is like; addresses in network byte order. */
struct uplink_config {
    const char *network; /* name, for log lines; borrowed */
    struct in_addr subnet, gateway;
    unsigned prefix;
    struct in6_addr subnet6, gateway6;
    unsigned prefix6;
    bool nat44, nat66;  /* that family has a way out */
    bool host_loopback; /* the gateway's address also reaches what listens on the host's loopback */
    unsigned mtu;       /* of the network, bytes */
};

/* Made inside by the holder; owned by the uplink. -1: that family has no way out. */
struct uplink_fds {
    int listen4, listen6; /* TCP, transparent, listening: what TPROXY hands over */
    int raw4, raw6;       /* SOCK_RAW, IPPROTO_RAW: sends whole IP packets into the network */
    int mark4, mark6;     /* the same with SO_MARK 1: the packet goes to listen4, listen6 */
    int nflog;            /* NETLINK_NETFILTER, bound to group UPLINK_NFLOG_GROUP, copies packets */
    int tun;              /* IFF_TUN | IFF_NO_PI | IFF_VNET_HDR: what TPROXY does not take */
    int dns_udp, dns_tcp; /* 127.0.0.1:5300; dns_tcp listens */
};

enum {
    UPLINK_NFLOG_GROUP = 7,
    UPLINK_TCP_PORT = 61, /* of listen4 and listen6, on 127.0.0.1 and ::1 inside */
    UPLINK_DNS_PORT = 5300,
    UPLINK_MARK = 1,
};

struct uplink;

int uplink_new(struct loop *loop, const struct uplink_config *config, const struct uplink_fds *fds,
               struct uplink **ret);
void uplink_free(struct uplink *uplink);

struct loop *uplink_loop(struct uplink *uplink);
const struct uplink_config *uplink_config(const struct uplink *uplink);
const struct uplink_fds *uplink_fds(const struct uplink *uplink);

/* Flows there are now; TCP without those that are being dialled. */
struct uplink_flows {
    unsigned tcp, udp, ping;
};
void uplink_flows(const struct uplink *uplink, struct uplink_flows *ret);

/* An IPv4 or IPv6 address and port. */
union endpoint {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};
static inline socklen_t endpoint_size(const union endpoint *e)
{
    return e->any.sa_family == AF_INET ? sizeof(e->v4) : sizeof(e->v6);
}
/* The address alone: port 0. */
static inline union endpoint endpoint_address(const union endpoint *e)
{
    union endpoint address = *e;

    if (address.any.sa_family == AF_INET)
        address.v4.sin_port = 0;
    else
        address.v6.sin6_port = 0;
    return address;
}

/* Where the host is to go for what a guest sends to `to`: the same, or for the gateway's address
 * the host itself. 0, or the errno a process of the host would see (-ENETUNREACH, -EHOSTUNREACH, …)
 * when a guest may not go there: loopback, unspecified, multicast, link-local and IPv4-mapped
 * addresses. A second address to try when the first refuses is written to *ret_second, else its
 * family is AF_UNSPEC. In host.c. */
int host_destination(const struct uplink *uplink, const union endpoint *to, union endpoint *ret,
                     union endpoint *ret_second);
