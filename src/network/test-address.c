/* SPDX-License-Identifier: Apache-2.0 */
/* The plan of a network: addresses at the edges of small and large subnets, and its stability. */
#include "network/address.h"

#include <arpa/inet.h>

#include "base/test.h"
#include "config/instance.h"

static struct spec spec_of(const char *name, const char *address, unsigned prefix)
{
    struct spec spec = {.subnet.prefix = prefix};

    snprintf(spec.name, sizeof(spec.name), "%s", name);
    inet_pton(AF_INET, address, &spec.subnet.address);
    return spec;
}

static const char *text4(struct in_addr address)
{
    static char text[4][INET_ADDRSTRLEN];
    static unsigned next;

    return inet_ntop(AF_INET, &address, text[next++ % 4], INET_ADDRSTRLEN);
}

static void test_pool(void)
{
    static const struct {
        const char *address;
        unsigned prefix;
        const char *gateway, *first, *last;
    } rows[] = {
        {"192.168.107.0", 24, "192.168.107.1", "192.168.107.2", "192.168.107.254"},
        {"10.0.0.0", 8, "10.0.0.1", "10.0.0.2", "10.255.255.254"},
        {"172.16.0.0", 12, "172.16.0.1", "172.16.0.2", "172.31.255.254"},
        {"192.168.1.248", 29, "192.168.1.249", "192.168.1.250", "192.168.1.254"},
        {"192.168.0.128", 25, "192.168.0.129", "192.168.0.130", "192.168.0.254"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct spec spec = spec_of("shared", rows[i].address, rows[i].prefix);
        struct plan plan;

        plan_make(&spec, &plan);
        CHECK_TEXT(text4(plan.gateway), rows[i].gateway);
        CHECK_TEXT(text4(plan.first), rows[i].first);
        CHECK_TEXT(text4(plan.last), rows[i].last);
    }
}

static void test_unique_local(void)
{
    static const uint8_t host[8] = {0, 0, 0, 0, 0, 0, 0, 1};
    struct spec spec = spec_of("shared", "192.168.107.0", 24);
    struct plan plan, again;
    uint8_t digest[32];

    plan_make(&spec, &plan);
    plan_make(&spec, &again);
    machine_digest("subnet6 shared", digest);
    CHECK(plan.has6);
    CHECK_INT(plan.prefix6, 64);
    CHECK_INT(plan.gateway6.s6_addr[0], 0xfd);
    CHECK(memcmp(&plan.gateway6.s6_addr[1], digest, 5) == 0);
    CHECK(plan.gateway6.s6_addr[6] == 0 && plan.gateway6.s6_addr[7] == 0);
    CHECK(memcmp(&plan.gateway6.s6_addr[8], host, sizeof(host)) == 0);
    CHECK(memcmp(&plan, &again, sizeof(plan)) == 0);
}

static void test_given_subnet6(void)
{
    struct spec spec = spec_of("shared", "192.168.107.0", 24);
    char text[INET6_ADDRSTRLEN];
    struct plan plan;

    inet_pton(AF_INET6, "2001:db8:1:2::", &spec.subnet6.address);
    spec.subnet6.prefix = 64;
    plan_make(&spec, &plan);
    CHECK_TEXT(inet_ntop(AF_INET6, &plan.gateway6, text, sizeof(text)), "2001:db8:1:2::1");
    CHECK_TEXT(inet_ntop(AF_INET6, &plan.prefix_address6, text, sizeof(text)), "2001:db8:1:2::");
}

static void test_names_differ(void)
{
    struct spec a = spec_of("a", "192.168.107.0", 24), b = spec_of("b", "192.168.107.0", 24);
    struct plan plan_a, plan_b;

    plan_make(&a, &plan_a);
    plan_make(&b, &plan_b);
    CHECK(memcmp(plan_a.bridge_mac, "\x52\x55\x56", 3) == 0);
    CHECK(memcmp(plan_a.bridge_mac, plan_b.bridge_mac, 6) != 0);
    CHECK(memcmp(&plan_a.gateway6, &plan_b.gateway6, 16) != 0);
}

static void test_domain(void)
{
    struct spec spec = spec_of("abcdefghijklmnopqrstuvwxyz-01234", "10.1.0.0", 16);
    struct plan plan;

    CHECK_INT(strlen(spec.name), SPEC_NAME_MAX);
    plan_make(&spec, &plan);
    CHECK_TEXT(plan.domain, "abcdefghijklmnopqrstuvwxyz-01234.internal");
}

static const struct test tests[] = {
    {"gateway and pool of subnets of every size", test_pool},
    {"without subnet6 the prefix is a stable unique local one", test_unique_local},
    {"a given subnet6 is used", test_given_subnet6},
    {"two networks differ in bridge address and prefix", test_names_differ},
    {"the longest name fits into the domain", test_domain},
};
TEST_MAIN(tests)
