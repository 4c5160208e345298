/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connect before accept, in a network namespace of the test's own: messages of NFLOG go in, dials
 * and answers come out. All addresses are of lo; the guest is 127.0.0.2.
 */
#include "uplink/syn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include "base/test-fds.h"
#include "base/test.h"
#include "uplink/dial.h"
#include "uplink/test-loopback.h"
#include "uplink/test-uplink.h"

static struct guests *guests;
static struct syn *syn;
static int to_nflog, tcp_seen, icmp_seen, listener;
static union endpoint first, second; /* host_destination() says */
static int destination_error, dials;

int host_destination(const struct uplink *u, const union endpoint *to, union endpoint *ret,
                     union endpoint *ret_second)
{
    CHECK(u == &uplink && to->any.sa_family == AF_INET);
    dials++;
    if (destination_error)
        return destination_error;
    *ret = first;
    *ret_second = second;
    return 0;
}

static union endpoint at(const char *address, uint16_t port)
{
    union endpoint e = {.v4 = {.sin_family = AF_INET, .sin_port = htons(port)}};

    inet_pton(AF_INET, address, &e.v4.sin_addr);
    return e;
}

static int listen_at(const char *address, uint16_t port, int backlog)
{
    union endpoint e = at(address, port);
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    CHECK(bind(fd, &e.any, sizeof(e.v4)) == 0 && listen(fd, backlog) == 0);
    return fd;
}

static void begin(void)
{
    int pair[2];

    uplink =
        (struct uplink){.config = {.network = "test", .gateway = at("127.0.0.9", 0).v4.sin_addr}};
    CHECK_INT(loop_init(&uplink.loop), 0);
    CHECK_INT(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    uplink.fds.nflog = pair[0];
    to_nflog = pair[1];
    uplink.fds.raw4 = uplink.fds.mark4 = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
    tcp_seen = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    icmp_seen = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMP);
    listener = listen_at("127.0.0.3", 80, 5);
    first = at("127.0.0.3", 80);
    second.any.sa_family = AF_UNSPEC;
    destination_error = dials = 0;
    guests = guests_new();
    CHECK_INT(syn_new(&uplink, guests, &syn), 0);
}

static void end(void)
{
    syn_free(syn);
    guests_free(guests);
    close(uplink.fds.nflog);
    close(uplink.fds.raw4);
    close(to_nflog);
    close(tcp_seen);
    close(icmp_seen);
    close(listener);
    loop_done(&uplink.loop);
}

/* The kernel's message about a guest's SYN from `port` with data behind it, its checksum left to
 * the hardware; the ISN is 0x01020304. */
static void report(const char *guest, uint16_t port)
{
    struct {
        struct nlmsghdr head;
        struct nfgenmsg family;
        struct nlattr attribute;
        uint8_t packet[60];
    } message = {
        .head = {sizeof(message), NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET},
        .attribute = {sizeof(message.attribute) + sizeof(message.packet), NFULA_PAYLOAD},
    };
    union endpoint from = at(guest, port), to = at("198.51.100.1", 80);
    const struct packet_head head = {&from, &to, .protocol = IPPROTO_TCP};
    static const uint8_t tcp[24] = {
        [4] = 1, 2, 3, 4, [12] = 6 << 4, 2, 250, 0, [20] = 2, 4, 5, 180};
    size_t l4 = packet_ip(message.packet, &head, 40);

    memcpy(message.packet + l4, tcp, sizeof(tcp));
    memcpy(message.packet + l4, &from.v4.sin_port, 2);
    memcpy(message.packet + l4 + 2, &to.v4.sin_port, 2);
    CHECK(send(to_nflog, &message, sizeof(message), 0) > 0);
    CHECK_INT(loop_turn(&uplink.loop, 50), 0);
}

/* Waits, running the loop, for a packet on a raw socket that is from `from` to `to` (ports 0: any)
 * and has these TCP flags; false after wait_ms. */
static bool seen(int fd, const char *from, const char *to, uint8_t flags, uint8_t *data,
                 struct packet *ret, uint64_t wait_ms)
{
    union endpoint src = at(from, 0), dst = at(to, 0);
    uint64_t start = clock_ms();

    while (clock_ms() - start < wait_ms) {
        ssize_t n = recv(fd, data, 200, 0);

        if (n < 0)
            CHECK_INT(loop_turn(&uplink.loop, 2), 0);
        if (n < 0 || packet_parse(data, (size_t)n, ret) < 0)
            continue;
        if (ret->src.v4.sin_addr.s_addr == src.v4.sin_addr.s_addr &&
            ret->dst.v4.sin_addr.s_addr == dst.v4.sin_addr.s_addr &&
            (fd != tcp_seen || data[ret->l4 + 13] == flags))
            return true;
    }
    return false;
}

static uint16_t residue(const uint8_t *data, const struct packet *p)
{
    size_t size = p->size - p->l4;

    return checksum_fold(
        checksum_add(checksum_pseudo(&p->src, &p->dst, IPPROTO_TCP, size), data + p->l4, size));
}

/* Packets to 198.51.100.1 reach lo by a route of the test's namespace. */
static void open_is_injected_and_taken(void)
{
    union endpoint guest = at("127.0.0.2", 1000), to = at("198.51.100.1", 80), peer;
    socklen_t size = sizeof(peer);
    struct guest *owner;
    struct packet p;
    uint8_t data[200];
    int fd;

    begin();
    CHECK_INT(syn_take(syn, &guest, &to, &owner), -ENOENT);
    report("127.0.0.2", 1000);
    CHECK(seen(tcp_seen, "127.0.0.2", "198.51.100.1", 2, data, &p, 1000));
    CHECK(endpoint_equal(&p.src, &guest) && endpoint_equal(&p.dst, &to));
    CHECK_INT(p.size, 44); /* the MSS option, no data */
    CHECK(memcmp(data + 40, (const uint8_t[]){2, 4, 5, 180}, 4) == 0);
    CHECK_INT(residue(data, &p), 0);
    report("127.0.0.2", 1000); /* the guest repeats it */
    CHECK(seen(tcp_seen, "127.0.0.2", "198.51.100.1", 2, data, &p, 1000));
    CHECK_INT(dials, 1);
    fd = syn_take(syn, &guest, &to, &owner);
    CHECK(fd >= 0 && getpeername(fd, &peer.any, &size) == 0 && endpoint_equal(&peer, &first));
    guests_leave_dial(guests, owner);
    close(fd);
    CHECK_INT(syn_take(syn, &guest, &to, &owner), -ENOENT);
    end();
}

static void refused_is_reset(void)
{
    static const uint8_t sequences[8] = {0, 0, 0, 0, 1, 2, 3, 5};
    struct packet p;
    uint8_t data[200];

    begin();
    first = at("127.0.0.3", 81);
    report("127.0.0.2", 1001);
    CHECK(seen(tcp_seen, "198.51.100.1", "127.0.0.2", 0x14, data, &p, 1000));
    CHECK_INT(ntohs(p.src.v4.sin_port), 80);
    CHECK_INT(ntohs(p.dst.v4.sin_port), 1001);
    CHECK(memcmp(data + p.l4 + 4, sequences, 8) == 0);
    CHECK_INT(residue(data, &p), 0);
    report("127.0.0.2", 1001); /* anew: nothing was kept */
    CHECK(seen(tcp_seen, "198.51.100.1", "127.0.0.2", 0x14, data, &p, 1000));
    CHECK_INT(dials, 2);
    end();
}

static void second_address_when_the_first_refuses(void)
{
    struct packet p;
    uint8_t data[200];

    begin();
    second = first;
    first = at("127.0.0.3", 81);
    report("127.0.0.2", 1002);
    CHECK(seen(tcp_seen, "127.0.0.2", "198.51.100.1", 2, data, &p, 1000));
    end();
}

static void unreachable_is_told(void)
{
    static const struct {
        int error;
        uint8_t code;
    } cases[] = {{-ENETUNREACH, 0}, {-EHOSTUNREACH, 1}, {-EPERM, 13}};
    struct packet p;
    uint8_t data[200];

    begin();
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        destination_error = cases[i].error;
        report("127.0.0.2", 1003);
        CHECK(seen(icmp_seen, "127.0.0.9", "127.0.0.2", 0, data, &p, 1000));
        CHECK_INT(data[p.l4], 3);
        CHECK_INT(data[p.l4 + 1], cases[i].code);
        CHECK_INT(data[p.l4 + 8 + 20 + 1], 1003 & 255); /* quotes the ports */
    }
    end();
}

/* Fills the listener's queue, so that a dial neither succeeds nor fails; returns what fills it. */
static void never(int fill[2])
{
    union endpoint to = at("127.0.0.4", 80);

    close(listener);
    listener = listen_at("127.0.0.4", 80, 0);
    first = to;
    for (int i = 0; i < 2; i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        connect(fill[i], &to.any, sizeof(to.v4));
    }
}

static void pending_is_silent(void)
{
    union endpoint guest = at("127.0.0.2", 1004), to = at("198.51.100.1", 80);
    struct guest *owner;
    struct packet p;
    uint8_t data[200];
    int fill[2];

    begin();
    never(fill);
    for (int i = 0; i < 3; i++)
        report("127.0.0.2", 1004);
    CHECK_INT(dials, 1);
    CHECK(!seen(tcp_seen, "127.0.0.2", "198.51.100.1", 2, data, &p, 50));
    CHECK(!seen(tcp_seen, "198.51.100.1", "127.0.0.2", 0x14, data, &p, 50));
    CHECK_INT(syn_take(syn, &guest, &to, &owner), -ENOENT);
    close(fill[0]);
    close(fill[1]);
    end();
}

static void a_guest_has_its_share(void)
{
    int fill[2];

    begin();
    never(fill);
    for (uint16_t i = 0; i < GUEST_DIALS + 20; i++)
        report("127.0.0.2", (uint16_t)(2000 + i));
    CHECK_INT(dials, GUEST_DIALS);
    report("127.0.0.5", 2000); /* another one is not in its way */
    CHECK_INT(dials, GUEST_DIALS + 1);
    close(fill[0]);
    close(fill[1]);
    end();
}

static void nothing_is_left(void)
{
    int before = fds_open(), fill[2];

    begin();
    report("127.0.0.2", 1005);
    never(fill);
    report("127.0.0.2", 1006);
    destination_error = -EHOSTUNREACH;
    report("127.0.0.2", 1007);
    close(fill[0]);
    close(fill[1]);
    end();
    CHECK_INT(fds_open(), before);
}

static void other_packets_are_passed_over(void)
{
    static const char *const wrong[] = {"", "x", "0123456789abcdefghijklmnopqrstuvwxyz"};

    begin();
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        CHECK(send(to_nflog, wrong[i], strlen(wrong[i]), 0) >= 0);
        CHECK_INT(loop_turn(&uplink.loop, 50), 0);
    }
    CHECK_INT(dials, 0);
    end();
}

static const struct test tests[] = {
    {"an open port: the SYN is sent on, repeated, and the upstream taken",
     open_is_injected_and_taken},
    {"a refused one: a reset from where the guest wanted to go", refused_is_reset},
    {"a second address is tried when the first refuses", second_address_when_the_first_refuses},
    {"an unreachable one: an ICMP error from the gateway", unreachable_is_told},
    {"a pending one: silence, and one dial", pending_is_silent},
    {"a guest has its share, and no more", a_guest_has_its_share},
    {"no descriptor is left", nothing_is_left},
    {"wrong messages", other_packets_are_passed_over},
};

int main(void)
{
    OWN(rtnl) struct rtnl *rtnl = loopback_enter();
    union endpoint outside = at("198.51.100.1", 0); /* where guests go */

    if (rtnl_add_address(rtnl, 1, AF_INET, &outside.v4.sin_addr, 32, NULL) < 0)
        return 1;
    fds_allow(8192);
    return test_main(tests, ARRAY_SIZE(tests));
}
