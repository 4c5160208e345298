/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For test-udp.c and test-icmp.c: a guest behind a real TUN device, and the host, as two network
 * namespaces of this process, which may enter both as root of its own user namespace.
 *
 *   guest: 10.7.0.2/24, fd00:7::2/64 on up0      host: 192.0.2.1, 2001:db8::1 on lo
 */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/loop.h"
#include "base/test.h"
#include "kernel/ns.h"
#include "kernel/rtnl.h"
#include "uplink/test-uplink.h"
#include "uplink/tun.h"

enum { MTU = 1500 };

static struct tun *tun;
static int host_ns, guest_ns;

/* An address or, in brackets or not, IPv6 one, with a port (host order). */
static union endpoint endpoint_of(const char *address, unsigned port)
{
    union endpoint e = {0};

    if (inet_pton(AF_INET, address, &e.v4.sin_addr) == 1) {
        e.v4.sin_family = AF_INET;
        e.v4.sin_port = htons((uint16_t)port);
    } else if (inet_pton(AF_INET6, address, &e.v6.sin6_addr) == 1) {
        e.v6.sin6_family = AF_INET6;
        e.v6.sin6_port = htons((uint16_t)port);
    }
    return e;
}

static unsigned endpoint_port(const union endpoint *e)
{
    return ntohs(e->any.sa_family == AF_INET ? e->v4.sin_port : e->v6.sin6_port);
}

/* The gateway is loopback first, then the host's address; 203.0.113.0/24 is forbidden. */
int host_destination(const struct uplink *u, const union endpoint *to, union endpoint *ret,
                     union endpoint *ret_second)
{
    unsigned port = endpoint_port(to);

    (void)u;
    *ret = *to;
    ret_second->any.sa_family = AF_UNSPEC;
    if (to->any.sa_family == AF_INET && ntohl(to->v4.sin_addr.s_addr) >> 8 == 0xcb0071)
        return -EHOSTUNREACH;
    if (to->any.sa_family == AF_INET && to->v4.sin_addr.s_addr == htonl(0x0a070001)) {
        *ret = endpoint_of("127.0.0.1", port);
        *ret_second = endpoint_of("192.0.2.1", port);
    } else if (to->any.sa_family == AF_INET6 &&
               memcmp(&to->v6.sin6_addr, &u->config.gateway6, 16) == 0) {
        *ret = endpoint_of("::1", port);
        *ret_second = endpoint_of("2001:db8::1", port);
    }
    return 0;
}

static const void *address_bytes(const union endpoint *e)
{
    return e->any.sa_family == AF_INET ? (const void *)&e->v4.sin_addr
                                       : (const void *)&e->v6.sin6_addr;
}

/* Whether the namespace this process is in takes what is sent to an address: RTF_LOCAL. */
static bool address_is_local6(const struct in6_addr *address)
{
    OWN(file) FILE *routes = fopen("/proc/self/net/ipv6_route", "re");
    char line[256], wanted[33], to[33];
    unsigned flags;

    CHECK(routes);
    for (int i = 0; i < 16; i++)
        sprintf(wanted + 2 * i, "%02x", address->s6_addr[i]);
    while (fgets(line, sizeof(line), routes))
        if (sscanf(line, "%32s 80 %*s %*s %*s %*s %*s %*s %x", to, &flags) == 2 &&
            strcmp(to, wanted) == 0 && (flags & 0x80000000))
            return true;
    return false;
}

/* The kernel makes an IPv6 address its own only in a worker, some time after it was added. */
static void address_add(struct rtnl *rtnl, int link, const char *address, unsigned prefix)
{
    union endpoint e = endpoint_of(address, 0);
    uint64_t end = clock_ms() + 10000;

    CHECK_INT(rtnl_add_address(rtnl, link, e.any.sa_family, address_bytes(&e), prefix, NULL), 0);
    while (e.any.sa_family == AF_INET6 && !address_is_local6(&e.v6.sin6_addr)) {
        CHECK(clock_ms() < end);
        poll(NULL, 0, 1);
    }
}

static void link_set(struct rtnl *rtnl, int link, const struct rtnl_link *set)
{
    CHECK_INT(rtnl_set_link(rtnl, link, set, NULL), 0);
}

/* A TUN device in the namespace this process is in; -1, errno set, when there is none to be had. */
static int device_open(void)
{
    struct ifreq request = {.ifr_name = "up0", .ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR};
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

    if (fd >= 0 && ioctl(fd, TUNSETIFF, &request) < 0)
        fd_close(&fd);
    return fd;
}

static void guest_setup(void)
{
    OWN(rtnl) struct rtnl *rtnl = NULL;
    int link = (int)if_nametoindex("up0");

    CHECK_INT(rtnl_open(&rtnl, NULL), 0);
    link_set(rtnl, 1, &(struct rtnl_link){.up = 1});
    link_set(rtnl, link, &(struct rtnl_link){.mtu = MTU, .up = 1});
    address_add(rtnl, link, "10.7.0.2", 24);
    address_add(rtnl, link, "fd00:7::2", 64);
    CHECK_INT(rtnl_set_route(rtnl, link, AF_INET, NULL, 0, NULL, NULL), 0);
    CHECK_INT(rtnl_set_route(rtnl, link, AF_INET6, NULL, 0, NULL, NULL), 0);
}

static void host_setup(void)
{
    OWN(rtnl) struct rtnl *rtnl = NULL;

    CHECK_INT(rtnl_open(&rtnl, NULL), 0);
    link_set(rtnl, 1, &(struct rtnl_link){.up = 1});
    address_add(rtnl, 1, "192.0.2.1", 32);
    address_add(rtnl, 1, "2001:db8::1", 128);
}

static void uplink_setup(void)
{
    union endpoint net4 = endpoint_of("10.7.0.0", 0), gateway4 = endpoint_of("10.7.0.1", 0);
    union endpoint net6 = endpoint_of("fd00:7::", 0), gateway6 = endpoint_of("fd00:7::1", 0);

    uplink.config = (struct uplink_config){
        .network = "test",
        .subnet = net4.v4.sin_addr,
        .gateway = gateway4.v4.sin_addr,
        .prefix = 24,
        .subnet6 = net6.v6.sin6_addr,
        .gateway6 = gateway6.v6.sin6_addr,
        .prefix6 = 64,
        .nat44 = true,
        .nat66 = true,
        .mtu = MTU,
    };
    CHECK_INT(loop_init(&uplink.loop), 0);
    CHECK_INT(tun_new(&uplink, &tun), 0);
}

/* Why the tests can't run here, or NULL. */
static const char *rig_setup(void)
{
    if (ns_unshare(NULL) < 0)
        return "user namespaces are forbidden here";
    host_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    host_setup();
    if (unshare(CLONE_NEWNET) < 0)
        return "cannot make a second network namespace";
    guest_ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    uplink.fds.tun = device_open();
    if (uplink.fds.tun < 0)
        return "cannot open /dev/net/tun";
    guest_setup();
    if (setns(host_ns, CLONE_NEWNET) < 0)
        return "cannot go back to the first network namespace";
    uplink_setup();
    return NULL;
}

/* As TEST_MAIN(), with the rig around it. */
static int rig_main(const struct test *tests, size_t count)
{
    const char *reason;
    int failed;

    if (setjmp(test_failed) != 0)
        return 1;
    reason = rig_setup();
    if (reason) {
        printf("1..0 # SKIP %s\n", reason);
        return 0;
    }
    failed = test_main(tests, count);
    tun_free(tun);
    fd_close(&uplink.fds.tun);
    loop_done(&uplink.loop);
    fd_close(&host_ns);
    fd_close(&guest_ns);
    return failed;
}

/* A socket of the guest; non-blocking. */
static int guest_socket(int family, int type, int protocol)
{
    int fd;

    CHECK_INT(setns(guest_ns, CLONE_NEWNET), 0);
    fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
    CHECK_INT(setns(host_ns, CLONE_NEWNET), 0);
    CHECK(fd >= 0);
    return fd;
}

static void option_set(int fd, int level, int option, int value)
{
    CHECK_INT(setsockopt(fd, level, option, &value, sizeof(value)), 0);
}

/* Receives one datagram or, errors, one entry of the error queue, while the uplink works; negative
 * errno when the socket has an error or, -ETIMEDOUT, nothing came in two seconds. */
static ssize_t receive_message(int fd, struct msghdr *message, int flags)
{
    uint64_t end = clock_ms() + 2000;

    while (clock_ms() < end) {
        ssize_t got = recvmsg(fd, message, flags | MSG_DONTWAIT);

        if (got >= 0)
            return got;
        if (errno != EAGAIN)
            return -errno;
        CHECK(loop_turn(&uplink.loop, 1) >= 0);
    }
    return -ETIMEDOUT;
}

static ssize_t receive(int fd, void *data, size_t size, union endpoint *ret_from)
{
    struct iovec iov = {data, size};
    union endpoint from;
    struct msghdr message = {
        .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1};
    ssize_t got = receive_message(fd, &message, 0);

    if (got >= 0 && ret_from)
        *ret_from = from;
    return got;
}

/* Lets the uplink do what there is to do. */
static void settle(void)
{
    for (int i = 0; i < 20; i++)
        CHECK(loop_turn(&uplink.loop, 1) >= 0);
}
