/* SPDX-License-Identifier: Apache-2.0 */
/* UDP of a guest: what a process of the guest sees is what a process of the host would see. */
#include <netinet/udp.h>

#include <linux/errqueue.h>

#include "uplink/test-tun.h"

static const char *const hosts[] = {"192.0.2.1", "2001:db8::1"};
static const char *const gateways[] = {"10.7.0.1", "fd00:7::1"};
static uint8_t pattern[65536], got[65536];

static int host_socket(int family, int type, int protocol)
{
    int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);

    CHECK(fd >= 0);
    return fd;
}

/* A server of the host on any port of address. */
static int server_new(const char *address, union endpoint *ret)
{
    union endpoint e = endpoint_of(address, 0);
    int fd = host_socket(e.any.sa_family, SOCK_DGRAM, 0);
    socklen_t size = sizeof(e);

    CHECK_INT(bind(fd, &e.any, size), 0);
    CHECK_INT(getsockname(fd, &e.any, &size), 0);
    *ret = e;
    return fd;
}

static int client_new(const union endpoint *to)
{
    int fd = guest_socket(to->any.sa_family, SOCK_DGRAM, 0);

    CHECK_INT(connect(fd, &to->any, sizeof(*to)), 0);
    return fd;
}

static void send_all(int fd, size_t size)
{
    CHECK_INT(send(fd, pattern, size, 0), size);
}

/* There and back. */
static void exchange(int client, int server, size_t size)
{
    union endpoint from;

    send_all(client, size);
    CHECK_INT(receive(server, got, sizeof(got), &from), size);
    CHECK(memcmp(got, pattern, size) == 0);
    CHECK_INT(sendto(server, pattern, size, 0, &from.any, sizeof(from)), size);
    memset(got, 0, sizeof(got));
    CHECK_INT(receive(client, got, sizeof(got), NULL), size);
    CHECK(memcmp(got, pattern, size) == 0);
}

static void test_sizes(void)
{
    static const size_t sizes[] = {0, 1, 1000, 1452, 1472, 1473, 5000, 33333, 65000, 65507};

    for (size_t h = 0; h < ARRAY_SIZE(hosts); h++) {
        union endpoint to;
        OWN(fd) int server = server_new(hosts[h], &to);
        OWN(fd) int client = client_new(&to);

        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
            exchange(client, server, sizes[i]);
    }
}

/* The first destination, loopback, refuses; the second has the service. */
static void test_gateway(void)
{
    for (size_t h = 0; h < ARRAY_SIZE(hosts); h++) {
        static const char *const loopback[] = {"127.0.0.1", "::1"};
        const char *const served[] = {hosts[h], loopback[h]};

        for (size_t i = 0; i < ARRAY_SIZE(served); i++) {
            union endpoint at, to;
            OWN(fd) int server = server_new(served[i], &at);
            OWN(fd) int client = -1;

            to = endpoint_of(gateways[h], endpoint_port(&at));
            client = client_new(&to);
            exchange(client, server, 100);
        }
    }
}

static void test_refused(void)
{
    const char *const addresses[] = {hosts[0], hosts[1], gateways[0], gateways[1]};

    for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
        union endpoint to = endpoint_of(addresses[i], 9);
        OWN(fd) int client = client_new(&to);

        send_all(client, 100);
        CHECK_INT(receive(client, got, sizeof(got), NULL), -ECONNREFUSED);
        send_all(client, 100);
        CHECK_INT(receive(client, got, sizeof(got), NULL), -ECONNREFUSED);
    }
}

static void test_unreachable(void)
{
    static const struct {
        const char *address;
        int error;
    } rows[] = {
        {"198.51.100.1", ENETUNREACH},
        {"203.0.113.1", EHOSTUNREACH},
        {"2001:db8:2::1", ENETUNREACH},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        union endpoint to = endpoint_of(rows[i].address, 9);
        OWN(fd) int client = client_new(&to);

        if (to.any.sa_family == AF_INET)
            option_set(client, IPPROTO_IP, IP_RECVERR, 1);
        else
            option_set(client, IPPROTO_IPV6, IPV6_RECVERR, 1);
        send_all(client, 100);
        CHECK_INT(receive(client, got, sizeof(got), NULL), -rows[i].error);
    }
}

/* A control message of the datagram that arrives next. */
static int receive_control(int fd, int level, int type, union endpoint *ret_from)
{
    char control[256];
    struct iovec iov = {got, sizeof(got)};
    struct msghdr message = {.msg_name = ret_from,
                             .msg_namelen = sizeof(*ret_from),
                             .msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};

    CHECK(receive_message(fd, &message, 0) >= 0);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
        int value = 0;

        if (c->cmsg_level != level || c->cmsg_type != type)
            continue;
        memcpy(&value, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0) < 4 ? 1 : 4);
        return value;
    }
    return -1;
}

/* Hop limit outwards; DSCP and ECN both ways. */
static void test_header(void)
{
    static const struct {
        int level, hops, hops_asked, hops_name, class, class_asked;
    } rows[] = {
        {IPPROTO_IP, IP_TTL, IP_RECVTTL, IP_TTL, IP_TOS, IP_RECVTOS},
        {IPPROTO_IPV6, IPV6_UNICAST_HOPS, IPV6_RECVHOPLIMIT, IPV6_HOPLIMIT, IPV6_TCLASS,
         IPV6_RECVTCLASS},
    };

    for (size_t h = 0; h < ARRAY_SIZE(hosts); h++) {
        union endpoint to, from;
        OWN(fd) int server = server_new(hosts[h], &to);
        OWN(fd) int client = client_new(&to);

        option_set(server, rows[h].level, rows[h].hops_asked, 1);
        for (int hops = 7; hops < 9; hops++) {
            option_set(client, rows[h].level, rows[h].hops, hops);
            send_all(client, 10);
            CHECK_INT(receive_control(server, rows[h].level, rows[h].hops_name, &from), hops);
        }
        option_set(server, rows[h].level, rows[h].hops_asked, 0);
        option_set(server, rows[h].level, rows[h].class_asked, 1);
        option_set(client, rows[h].level, rows[h].class, 0x2e << 2 | 1);
        send_all(client, 10);
        CHECK_INT(receive_control(server, rows[h].level, rows[h].class, &from), 0x2e << 2 | 1);
        option_set(client, rows[h].level, rows[h].class_asked, 1);
        option_set(server, rows[h].level, rows[h].class, 3);
        CHECK_INT(sendto(server, "x", 1, 0, &from.any, sizeof(from)), 1);
        CHECK_INT(receive_control(client, rows[h].level, rows[h].class, &from), 3);
    }
}

/* Super-datagrams of 1000 bytes each, the last shorter. */
static void test_segments(void)
{
    for (size_t h = 0; h < ARRAY_SIZE(hosts); h++) {
        union endpoint to, from;
        OWN(fd) int server = server_new(hosts[h], &to);
        OWN(fd) int client = client_new(&to);

        option_set(client, SOL_UDP, UDP_SEGMENT, 1000);
        send_all(client, 9500);
        for (int i = 0; i < 10; i++)
            CHECK_INT(receive(server, got, sizeof(got), &from), i < 9 ? 1000 : 500);
        option_set(server, SOL_UDP, UDP_SEGMENT, 1000);
        CHECK_INT(sendto(server, pattern, 9500, 0, &from.any, sizeof(from)), 9500);
        for (int i = 0; i < 10; i++) {
            CHECK_INT(receive(client, got, sizeof(got), NULL), i < 9 ? 1000 : 500);
            CHECK(memcmp(got, pattern + (size_t)i * 1000, i < 9 ? 1000 : 500) == 0);
        }
    }
}

/* Bursts of datagrams of changing sizes, to two servers, keep their bounds and order. */
static void test_bursts(void)
{
    static const size_t sizes[] = {100, 100, 100, 50, 100, 200, 0, 0, 1, 1400, 1400, 1400, 3};

    for (size_t h = 0; h < ARRAY_SIZE(hosts); h++) {
        union endpoint to[2];
        OWN(fd) int server0 = server_new(hosts[h], &to[0]);
        OWN(fd) int server1 = server_new(hosts[h], &to[1]);
        OWN(fd) int client = guest_socket(to[0].any.sa_family, SOCK_DGRAM, 0);

        for (size_t i = 0; i < ARRAY_SIZE(sizes) * 4; i++) {
            size_t size = sizes[i % ARRAY_SIZE(sizes)];

            CHECK_INT(sendto(client, pattern + i, size, 0, &to[i / 5 % 2].any, sizeof(to[0])),
                      size);
        }
        for (size_t i = 0; i < ARRAY_SIZE(sizes) * 4; i++) {
            size_t size = sizes[i % ARRAY_SIZE(sizes)];

            CHECK_INT(receive(i / 5 % 2 ? server1 : server0, got, sizeof(got), NULL), size);
            CHECK(memcmp(got, pattern + i, size) == 0);
        }
    }
}

/* The same towards the guest. */
static void test_bursts_back(void)
{
    static const size_t sizes[] = {100, 100, 100, 50, 100, 200, 0, 0, 1, 1400, 1400, 1400, 3, 5000};

    for (size_t h = 0; h < ARRAY_SIZE(hosts); h++) {
        union endpoint to, from;
        OWN(fd) int server = server_new(hosts[h], &to);
        OWN(fd) int client = client_new(&to);

        send_all(client, 1);
        CHECK_INT(receive(server, got, sizeof(got), &from), 1);
        for (size_t i = 0; i < ARRAY_SIZE(sizes) * 4; i++) {
            size_t size = sizes[i % ARRAY_SIZE(sizes)];

            CHECK_INT(sendto(server, pattern + i, size, 0, &from.any, sizeof(from)), size);
        }
        for (size_t i = 0; i < ARRAY_SIZE(sizes) * 4; i++) {
            size_t size = sizes[i % ARRAY_SIZE(sizes)];

            CHECK_INT(receive(client, got, sizeof(got), NULL), size);
            CHECK(memcmp(got, pattern + i, size) == 0);
        }
    }
}

/* What waits for the forwarder together reaches the guest together, and so a guest that asks for
 * super-datagrams gets one. */
static void test_joined_back(void)
{
    struct virtio_net_hdr hdr;

    for (size_t h = 0; h < ARRAY_SIZE(hosts); h++) {
        union endpoint to, from;
        OWN(fd) int server = server_new(hosts[h], &to);
        OWN(fd) int client = client_new(&to);

        if (!tun_offload(tun, to.any.sa_family, 2000, 1000, &hdr)) {
            printf("# this kernel has no USO: nothing can be joined\n");
            return;
        }
        option_set(client, SOL_UDP, UDP_GRO, 1);
        send_all(client, 1);
        CHECK_INT(receive(server, got, sizeof(got), &from), 1);
        for (size_t i = 0; i < 10; i++)
            CHECK_INT(
                sendto(server, pattern + i * 1000, i < 9 ? 1000 : 500, 0, &from.any, sizeof(from)),
                i < 9 ? 1000 : 500);
        CHECK_INT(receive(client, got, sizeof(got), NULL), 9500);
        CHECK(memcmp(got, pattern, 9500) == 0);
    }
}

static void loopback_mtu(unsigned mtu)
{
    OWN(rtnl) struct rtnl *rtnl = NULL;

    CHECK_INT(rtnl_open(&rtnl, NULL), 0);
    link_set(rtnl, 1, &(struct rtnl_link){.mtu = mtu});
}

/* The host's way is narrower than the network: the guest learns of it, and once it knows, or lets
 * its datagrams be fragmented, they arrive. */
static void test_path_mtu(void)
{
    static const int levels[] = {IPPROTO_IP, IPPROTO_IPV6}, mtus[] = {IP_MTU, IPV6_MTU};
    static const int discover[] = {IP_MTU_DISCOVER, IPV6_MTU_DISCOVER};

    loopback_mtu(1300);
    for (size_t h = 0; h < ARRAY_SIZE(hosts); h++) {
        union endpoint to;
        OWN(fd) int server = server_new(hosts[h], &to);
        OWN(fd) int client = client_new(&to);
        socklen_t size = sizeof(int);
        int mtu;

        option_set(client, levels[h], discover[h], IP_PMTUDISC_DO);
        send_all(client, 1400);
        CHECK_INT(receive(client, got, sizeof(got), NULL), -EMSGSIZE);
        CHECK_INT(getsockopt(client, levels[h], mtus[h], &mtu, &size), 0);
        CHECK_INT(mtu, 1300);
        option_set(client, levels[h], discover[h], IP_PMTUDISC_WANT);
        exchange(client, server, 1400);
        exchange(client, server, 9000);
        /* Joined datagrams that are too wide together must still arrive. */
        for (int i = 0; i < 5; i++)
            send_all(client, 1400);
        for (int i = 0; i < 5; i++)
            CHECK_INT(receive(server, got, sizeof(got), NULL), 1400);
    }
    loopback_mtu(65536);
}

static void test_other_protocol(void)
{
    static const struct {
        const char *address;
        int level, option, error;
    } rows[] = {{"192.0.2.1", IPPROTO_IP, IP_RECVERR, ENOPROTOOPT},
                {"2001:db8::1", IPPROTO_IPV6, IPV6_RECVERR, EPROTO}};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        union endpoint to = endpoint_of(rows[i].address, 0);
        OWN(fd) int client = guest_socket(to.any.sa_family, SOCK_RAW, 253);

        option_set(client, rows[i].level, rows[i].option, 1);
        CHECK_INT(connect(client, &to.any, sizeof(to)), 0);
        send_all(client, 100);
        CHECK_INT(receive(client, got, sizeof(got), NULL), -rows[i].error);
    }
}

/* One datagram as bytes: from this source, its checksum off by `wrong`. */
static void raw_send(int fd, const char *from, const union endpoint *to, uint8_t wrong)
{
    uint8_t packet[128] = {0};
    union endpoint src = endpoint_of(from, 4444);
    struct packet_head head = {.src = &src, .dst = to, .protocol = IPPROTO_UDP};
    union endpoint there = *to;
    size_t size;

    packet[28] = wrong;
    size = packet_udp(packet, &head, 10, false);
    packet[28] = 0;
    there.v4.sin_port = 0;
    CHECK_INT(sendto(fd, packet, size + 10, 0, &there.any, sizeof(there)), size + 10);
}

static void test_dropped(void)
{
    union endpoint to;
    OWN(fd) int server = server_new("192.0.2.1", &to);
    OWN(fd) int raw = guest_socket(AF_INET, SOCK_RAW, IPPROTO_RAW);

    raw_send(raw, "10.7.0.2", &to, 1);
    raw_send(raw, "10.8.0.2", &to, 0);
    settle();
    CHECK(recv(server, got, sizeof(got), 0) < 0 && errno == EAGAIN);
    raw_send(raw, "10.7.0.2", &to, 0);
    CHECK_INT(receive(server, got, sizeof(got), NULL), 10);
}

/* The address of who reports the error that comes next. */
static union endpoint receive_offender(int fd, int *ret_error)
{
    char control[512];
    struct iovec iov = {got, sizeof(got)};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    struct sock_extended_err *e;
    union endpoint offender = {0};

    CHECK(receive_message(fd, &message, MSG_ERRQUEUE) >= 0);
    CHECK(CMSG_FIRSTHDR(&message));
    e = (void *)CMSG_DATA(CMSG_FIRSTHDR(&message));
    *ret_error = (int)e->ee_errno;
    memcpy(&offender, SO_EE_OFFENDER(e), sizeof(offender.v4));
    if (offender.any.sa_family == AF_INET6)
        memcpy(&offender, SO_EE_OFFENDER(e), sizeof(offender.v6));
    return offender;
}

/* A router behind the host, a third namespace at the end of a veth, that knows of two networks
 * there. It lasts as long as the fd. */
static void router_setup(int *ret_ns)
{
    OWN(rtnl) struct rtnl *rtnl = NULL, *there = NULL;
    union endpoint next4 = endpoint_of("172.16.0.2", 0), next6 = endpoint_of("fd00:8::2", 0);
    union endpoint beyond4 = endpoint_of("198.51.100.0", 0);
    union endpoint beyond6 = endpoint_of("2001:db8:9::", 0);
    int link, router_ns;

    CHECK_INT(rtnl_open(&rtnl, NULL), 0);
    CHECK_INT(unshare(CLONE_NEWNET), 0);
    *ret_ns = router_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    CHECK(router_ns >= 0);
    CHECK_INT(rtnl_open(&there, NULL), 0);
    CHECK_INT(ns_sysctl("net/ipv4/ip_forward", "1"), 0);
    CHECK_INT(ns_sysctl("net/ipv6/conf/all/forwarding", "1"), 0);
    CHECK_INT(setns(host_ns, CLONE_NEWNET), 0);
    CHECK_INT(rtnl_add_veth(rtnl, &(struct rtnl_link){.name = "h0"},
                            &(struct rtnl_link){.name = "r0"}, router_ns, NULL),
              0);
    CHECK_INT(setns(router_ns, CLONE_NEWNET), 0);
    link = (int)if_nametoindex("r0");
    link_set(there, 1, &(struct rtnl_link){.up = 1});
    link_set(there, link, &(struct rtnl_link){.up = 1});
    address_add(there, link, "172.16.0.2", 30);
    address_add(there, link, "fd00:8::2", 64);
    CHECK_INT(rtnl_set_route(there, link, AF_INET, &beyond4.v4.sin_addr, 24, NULL, NULL), 0);
    CHECK_INT(rtnl_set_route(there, link, AF_INET6, &beyond6.v6.sin6_addr, 64, NULL, NULL), 0);
    CHECK_INT(setns(host_ns, CLONE_NEWNET), 0);
    link = (int)if_nametoindex("h0");
    link_set(rtnl, link, &(struct rtnl_link){.up = 1});
    address_add(rtnl, link, "172.16.0.1", 30);
    address_add(rtnl, link, "fd00:8::1", 64);
    CHECK_INT(rtnl_set_route(rtnl, link, AF_INET, NULL, 0, &next4.v4.sin_addr, NULL), 0);
    CHECK_INT(rtnl_set_route(rtnl, link, AF_INET6, NULL, 0, &next6.v6.sin6_addr, NULL), 0);
}

/* As traceroute does it. Last: it gives the host a default route. */
static void test_hops(void)
{
    static const struct {
        const char *to, *router;
        int level, hops, option, error;
    } rows[] = {
        {"198.51.100.9", "172.16.0.2", IPPROTO_IP, 1, IP_TTL, EHOSTUNREACH},
        {"203.0.114.9", "172.16.0.2", IPPROTO_IP, 64, IP_TTL, ENETUNREACH},
        {"2001:db8:9::9", "fd00:8::2", IPPROTO_IPV6, 1, IPV6_UNICAST_HOPS, EHOSTUNREACH},
        {"2001:db8:a::9", "fd00:8::2", IPPROTO_IPV6, 64, IPV6_UNICAST_HOPS, ENETUNREACH},
    };
    OWN(fd) int router_ns = -1;

    router_setup(&router_ns);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        union endpoint to = endpoint_of(rows[i].to, 33434);
        union endpoint expected = endpoint_of(rows[i].router, 0), offender;
        OWN(fd) int client = client_new(&to);
        int error;

        option_set(client, rows[i].level, rows[i].level == IPPROTO_IP ? IP_RECVERR : IPV6_RECVERR,
                   1);
        option_set(client, rows[i].level, rows[i].option, rows[i].hops);
        printf("# %s\n", rows[i].to);
        send_all(client, 40);
        offender = receive_offender(client, &error);

        CHECK_INT(error, rows[i].error);
        CHECK(endpoint_equal(&offender, &expected));
    }
}

static const struct test tests[] = {
    {"datagrams of every size, there and back", test_sizes},
    {"the gateway's address is the host, by its second address too", test_gateway},
    {"a closed port is refused", test_refused},
    {"no route and forbidden", test_unreachable},
    {"hop limit, DSCP and ECN are carried", test_header},
    {"super-datagrams", test_segments},
    {"bursts keep bounds and order", test_bursts},
    {"bursts of answers keep bounds and order", test_bursts_back},
    {"answers that wait together are joined", test_joined_back},
    {"path MTU", test_path_mtu},
    {"other protocols are answered with an error", test_other_protocol},
    {"wrong checksums and strange sources are dropped", test_dropped},
    {"hop by hop", test_hops},
};

int main(void)
{
    for (size_t i = 0; i < sizeof(pattern); i++)
        pattern[i] = (uint8_t)(i * 7 + i / 251);
    return rig_main(tests, ARRAY_SIZE(tests));
}
