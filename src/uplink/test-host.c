/* SPDX-License-Identifier: Apache-2.0 */
/* Where guests may go, and the host's own address and IPv6 route as they come and go: in namespaces
 * of the test's own, where it is the host. */
#include "uplink/host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>

#include "base/test.h"
#include "kernel/ns.h"
#include "kernel/rtnl.h"
#include "uplink/route6.h"
#include "uplink/test-loopback.h"

struct uplink {
    struct uplink_config config;
};

const struct uplink_config *uplink_config(const struct uplink *uplink)
{
    return &uplink->config;
}

static struct uplink uplink; /* 192.168.107.0/24 and fd00:107::/64, gateways .1 and ::1 */
static struct rtnl *rtnl;
static int outside; /* a link with 198.51.100.7/24 and 2001:db8:7::7/64 once host_join() ran */

/* "address:port", or "" for none. */
static const char *endpoint_text(const union endpoint *e, char *text, size_t size)
{
    bool v4 = e->any.sa_family == AF_INET;
    char address[INET6_ADDRSTRLEN] = "";

    text[0] = '\0';
    if (e->any.sa_family == AF_UNSPEC)
        return text;
    inet_ntop(e->any.sa_family, v4 ? (void *)&e->v4.sin_addr : (void *)&e->v6.sin6_addr, address,
              sizeof(address));
    snprintf(text, size, "%s:%d", address, ntohs(v4 ? e->v4.sin_port : e->v6.sin6_port));
    return text;
}

static union endpoint endpoint(const char *address, int port)
{
    union endpoint e = {.v6 = {0}};

    if (inet_pton(AF_INET, address, &e.v4.sin_addr) == 1) {
        e.v4.sin_family = AF_INET;
        e.v4.sin_port = htons((uint16_t)port);
    } else {
        e = (union endpoint){.v6.sin6_family = AF_INET6};
        CHECK_INT(inet_pton(AF_INET6, address, &e.v6.sin6_addr), 1);
        e.v6.sin6_port = htons((uint16_t)port);
    }
    return e;
}

static void check_goes(const char *address, const char *expected, const char *expected_second)
{
    union endpoint to = endpoint(address, 80), first, second;
    char text[64];

    CHECK_INT(host_destination(&uplink, &to, &first, &second), 0);
    CHECK_TEXT(endpoint_text(&first, text, sizeof(text)), expected);
    CHECK_TEXT(endpoint_text(&second, text, sizeof(text)), expected_second);
}

static void check_refused(const char *address, int error)
{
    union endpoint to = endpoint(address, 80), first, second;

    printf("# %s\n", address);
    CHECK_INT(host_destination(&uplink, &to, &first, &second), error);
}

static void uplink_reset(void)
{
    uplink.config = (struct uplink_config){
        .prefix = 24, .prefix6 = 64, .nat44 = true, .nat66 = true, .mtu = 1500};
    inet_pton(AF_INET, "192.168.107.0", &uplink.config.subnet);
    inet_pton(AF_INET, "192.168.107.1", &uplink.config.gateway);
    inet_pton(AF_INET6, "fd00:107::", &uplink.config.subnet6);
    inet_pton(AF_INET6, "fd00:107::1", &uplink.config.gateway6);
}

static void test_world(void)
{
    uplink_reset();
    check_goes("203.0.113.9", "203.0.113.9:80", "");
    check_goes("10.0.0.1", "10.0.0.1:80", "");
    check_goes("169.254.169.254", "169.254.169.254:80", "");
    check_goes("126.255.255.255", "126.255.255.255:80", "");
    check_goes("128.0.0.0", "128.0.0.0:80", "");
    check_goes("1.0.0.0", "1.0.0.0:80", "");
    check_goes("223.255.255.255", "223.255.255.255:80", "");
    check_goes("192.168.106.255", "192.168.106.255:80", "");
    check_goes("192.168.108.0", "192.168.108.0:80", "");
    check_goes("2001:db8::9", "2001:db8::9:80", "");
    check_goes("64:ff9b::1.2.3.4", "64:ff9b::102:304:80", "");
    check_goes("fd00:107:0:1::1", "fd00:107:0:1::1:80", "");
    check_goes("fec0::1", "fec0::1:80", "");
}

static void test_forbidden(void)
{
    static const char *const addresses[] = {"0.0.0.0",
                                            "0.255.255.255",
                                            "127.0.0.1",
                                            "127.255.255.255",
                                            "224.0.0.1",
                                            "239.255.255.250",
                                            "255.255.255.255",
                                            "240.0.0.1",
                                            "::",
                                            "::1",
                                            "::127.0.0.1",
                                            "fe80::1",
                                            "febf::1",
                                            "::ffff:127.0.0.1",
                                            "::ffff:8.8.8.8",
                                            "ff02::1",
                                            "ff0e::1"};

    uplink_reset();
    for (size_t i = 0; i < ARRAY_SIZE(addresses); i++)
        check_refused(addresses[i], -ENETUNREACH);
}

static void test_network(void)
{
    uplink_reset();
    check_refused("192.168.107.0", -EHOSTUNREACH);
    check_refused("192.168.107.2", -EHOSTUNREACH);
    check_refused("192.168.107.255", -EHOSTUNREACH);
    check_refused("fd00:107::2", -EHOSTUNREACH);
    uplink.config.prefix6 = 0; /* no IPv6 of its own: nothing is inside */
    check_goes("fd00:107::2", "fd00:107::2:80", "");
    uplink.config.prefix = 20;
    check_refused("192.168.96.1", -EHOSTUNREACH);
    check_refused("192.168.111.255", -EHOSTUNREACH);
    check_goes("192.168.112.1", "192.168.112.1:80", "");
}

static void test_closed(void)
{
    uplink_reset();
    uplink.config.nat44 = false;
    check_refused("203.0.113.9", -ENETUNREACH);
    check_refused("192.168.107.1", -ENETUNREACH);
    check_goes("2001:db8::9", "2001:db8::9:80", "");
    uplink_reset();
    uplink.config.nat66 = false;
    check_refused("2001:db8::9", -ENETUNREACH);
    check_goes("203.0.113.9", "203.0.113.9:80", "");
}

/* From here on the host changes. */

static void test_alone(void)
{
    union endpoint source;

    uplink_reset();
    CHECK_INT(host_route(AF_INET, &source), -ENETUNREACH);
    CHECK(host_route(AF_INET6, &source) < 0);
    check_goes("192.168.107.1", "127.107.0.1:80", "");
    check_refused("fd00:107::1", -EHOSTUNREACH);
    uplink.config.host_loopback = true;
    check_goes("192.168.107.1", "127.0.0.1:80", "127.107.0.1:80");
    check_goes("fd00:107::1", "::1:80", "");
}

static void host_join(void)
{
    struct rtnl_link link = {.name = "out0", .up = 1}, peer = {.name = "out1"}, up = {.up = 1};
    struct in_addr v4;
    struct in6_addr v6;
    OWN(ns) struct ns own = NS_NULL;

    CHECK_INT(ns_current(&own), 0);
    CHECK_INT(rtnl_add_veth(rtnl, &link, &peer, own.net, NULL), 0);
    outside = (int)if_nametoindex("out0");
    CHECK_INT(rtnl_set_link(rtnl, outside, &up, NULL), 0);
    CHECK_INT(rtnl_set_link(rtnl, (int)if_nametoindex("out1"), &up, NULL), 0);
    inet_pton(AF_INET, "198.51.100.7", &v4);
    inet_pton(AF_INET6, "2001:db8:7::7", &v6);
    CHECK_INT(rtnl_add_address(rtnl, outside, AF_INET, &v4, 24, NULL), 0);
    CHECK_INT(rtnl_add_address(rtnl, outside, AF_INET6, &v6, 64, NULL), 0);
}

static void test_gateway(void)
{
    union endpoint source;
    char text[64];

    uplink_reset();
    host_join();
    CHECK_INT(host_route(AF_INET, &source), -ENETUNREACH);
    check_goes("192.168.107.1", "198.51.100.7:80", "");
    check_goes("fd00:107::1", "2001:db8:7::7:80", "");
    CHECK_INT(rtnl_set_route(rtnl, outside, AF_INET, NULL, 0, NULL, NULL), 0);
    CHECK_INT(host_route(AF_INET, &source), 0);
    CHECK_TEXT(endpoint_text(&source, text, sizeof(text)), "198.51.100.7:0");
    check_goes("192.168.107.1", "198.51.100.7:80", "");
    uplink.config.host_loopback = true;
    check_goes("192.168.107.1", "127.0.0.1:80", "198.51.100.7:80");
    check_goes("fd00:107::1", "::1:80", "2001:db8:7::7:80");
}

/* What route6 told, one letter a call: + there, - gone. */
static char told[16];

static void route6_tells(void *context, bool there)
{
    (void)context;
    CHECK(strlen(told) < sizeof(told) - 1);
    strcat(told, there ? "+" : "-");
}

static void wait_told(struct loop *loop, const char *expected)
{
    uint64_t end = clock_ms() + 5000;

    while (strlen(told) < strlen(expected) && clock_ms() < end)
        CHECK_INT(loop_turn(loop, 100), 0);
    CHECK_TEXT(told, expected);
}

/* For what must not be told: longer than changes take to settle. */
static void wait_quiet(struct loop *loop, const char *expected)
{
    uint64_t end = clock_ms() + 500;

    while (clock_ms() < end)
        CHECK_INT(loop_turn(loop, 50), 0);
    CHECK_TEXT(told, expected);
}

static void test_route6(void)
{
    struct rtnl_link down = {.up = -1}, up = {.up = 1};
    struct in6_addr v6;
    struct route6 *route6;
    struct loop loop;

    CHECK_INT(loop_init(&loop), 0);
    CHECK_INT(route6_new(&loop, route6_tells, NULL, &route6), 0);
    wait_told(&loop, "-");
    CHECK_INT(rtnl_set_route(rtnl, outside, AF_INET6, NULL, 0, NULL, NULL), 0);
    wait_told(&loop, "-+");
    inet_pton(AF_INET6, "2001:db8:8::", &v6); /* another route changes nothing */
    CHECK_INT(rtnl_set_route(rtnl, outside, AF_INET6, &v6, 48, NULL, NULL), 0);
    wait_quiet(&loop, "-+");
    CHECK_INT(rtnl_set_link(rtnl, outside, &down, NULL), 0);
    wait_told(&loop, "-+-");
    CHECK_INT(rtnl_set_link(rtnl, outside, &up, NULL), 0);
    CHECK_INT(rtnl_set_route(rtnl, outside, AF_INET6, NULL, 0, NULL, NULL), 0);
    wait_quiet(&loop, "-+-"); /* the address went with the link: a route alone is no way out */
    inet_pton(AF_INET6, "2001:db8:7::7", &v6);
    CHECK_INT(rtnl_add_address(rtnl, outside, AF_INET6, &v6, 64, NULL), 0);
    wait_told(&loop, "-+-+");
    CHECK_INT(rtnl_delete_link(rtnl, outside, NULL), 0);
    wait_told(&loop, "-+-+-");
    route6_free(route6);
    loop_done(&loop);
}

static const struct test tests[] = {
    {"the world is where it is", test_world},
    {"nobody goes to loopback, multicast and their like", test_forbidden},
    {"the network's own addresses stay inside", test_network},
    {"a family without NAT has no way out", test_closed},
    {"the gateway is a host that has no address", test_alone},
    {"the gateway is the host at its address", test_gateway},
    {"the IPv6 default route is followed", test_route6},
};

int main(void)
{
    rtnl = loopback_enter();
    return test_main(tests, ARRAY_SIZE(tests));
}
