/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dnsmasq configuration of every kind of network against the files in tests/golden/services,
 * and each against dnsmasq's own parser.
 */
#include "network/services.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/golden.h"

/* What a case may change before the text is made. */
struct input {
    struct spec spec;
    struct services_paths paths;
    struct services_upstream upstream;
};

static void shared_default(struct input *input)
{
    (void)input;
}

static void shared_route6(struct input *input)
{
    input->upstream.route6 = true;
}

static void host_default(struct input *input)
{
    input->spec.mode = SPEC_HOST;
    input->spec.router_advertisement = false;
    input->upstream.route6 = true;
}

/* The mode wins over keys that contradict it. */
static void host_advertisement(struct input *input)
{
    input->spec.mode = SPEC_HOST;
    input->upstream.route6 = true;
}

static void no_dhcp(struct input *input)
{
    input->spec.dhcp = false;
}

static void dns_only(struct input *input)
{
    input->spec.dhcp = input->spec.router_advertisement = false;
}

static void no_dns(struct input *input)
{
    static const char *const resolvers[] = {"192.0.2.53",   "127.0.0.53",   "::1",
                                            "198.51.100.1", "2001:db8::53", NULL};

    input->spec.dns_proxy = false;
    input->upstream.resolvers = resolvers;
    input->upstream.relay = NULL;
}

static void no_dns_no_route(struct input *input)
{
    no_dns(input);
    input->spec.nat44 = false;
}

static void no_advertisement(struct input *input)
{
    input->spec.router_advertisement = false;
}

static void no_nat44(struct input *input)
{
    input->spec.nat44 = false;
    input->upstream.route6 = true;
}

static void no_nat66(struct input *input)
{
    input->spec.nat66 = false;
    input->upstream.route6 = true;
}

static void no_nat(struct input *input)
{
    input->spec.nat44 = input->spec.nat66 = false;
}

static void mtu_9000(struct input *input)
{
    input->spec.mtu = 9000;
}

static void reservations(struct input *input)
{
    static struct spec_reservation list[] = {
        {"db", {0x52, 0x54, 0, 0, 0, 1}, {0}},
        {NULL, {0x52, 0x54, 0, 0, 0, 2}, {0}},
    };

    inet_pton(AF_INET, "192.168.107.20", &list[0].ip);
    inet_pton(AF_INET, "192.168.107.21", &list[1].ip);
    input->spec.reservations = list;
    input->spec.reservation_count = ARRAY_SIZE(list);
}

static void dhcp_options(struct input *input)
{
    static char server[] = "192.168.107.1", file[] = "\"pxe#1.0\"";
    static struct spec_dhcp_option list[] = {{66, server}, {67, file}};

    input->spec.dhcp_options = list;
    input->spec.dhcp_option_count = ARRAY_SIZE(list);
}

static void small_subnet(struct input *input)
{
    snprintf(input->spec.name, sizeof(input->spec.name), "build_net-1");
    inet_pton(AF_INET, "10.9.8.248", &input->spec.subnet.address);
    input->spec.subnet.prefix = 29;
}

static void large_subnet(struct input *input)
{
    inet_pton(AF_INET, "10.0.0.0", &input->spec.subnet.address);
    input->spec.subnet.prefix = 8;
}

static void odd_paths(struct input *input)
{
    input->paths.leases = "/tmp/a b/#c/\"d\"\\e/leases";
    input->paths.reservations = input->paths.names = NULL;
}

static const struct golden {
    const char *name;
    void (*change)(struct input *input);
} goldens[] = {
    {"shared", shared_default},
    {"shared-route6", shared_route6},
    {"host", host_default},
    {"host-advertisement", host_advertisement},
    {"no-dhcp", no_dhcp},
    {"dns-only", dns_only},
    {"no-dns", no_dns},
    {"no-dns-no-route", no_dns_no_route},
    {"no-advertisement", no_advertisement},
    {"no-nat44", no_nat44},
    {"no-nat66", no_nat66},
    {"no-nat", no_nat},
    {"mtu-9000", mtu_9000},
    {"reservations", reservations},
    {"dhcp-options", dhcp_options},
    {"small-subnet", small_subnet},
    {"large-subnet", large_subnet},
    {"odd-paths", odd_paths},
};

static struct input input_default(void)
{
    struct input input = {
        .spec = {.name = "shared",
                 .mode = SPEC_SHARED,
                 .dhcp = true,
                 .dns_proxy = true,
                 .nat44 = true,
                 .nat66 = true,
                 .router_advertisement = true,
                 .mtu = 1500,
                 .subnet.prefix = 24,
                 .subnet6.prefix = 64},
        .paths = {"/state/leases", "/run/reservations", "/run/names"},
        .upstream = {.relay = "127.0.0.1#5300"},
    };

    inet_pton(AF_INET, "192.168.107.0", &input.spec.subnet.address);
    inet_pton(AF_INET6, "fd12:3456:789a::", &input.spec.subnet6.address);
    return input;
}

/* The caller frees it. */
static char *golden_text(const struct golden *golden)
{
    struct input input = input_default();
    struct plan plan;

    golden->change(&input);
    plan_make(&input.spec, &plan);
    return services_text(&input.spec, &plan, &input.paths, &input.upstream);
}

static void test_golden(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(goldens); i++) {
        OWN(mem) char *path = alloc_printf("tests/golden/services/%s.conf", goldens[i].name);
        OWN(mem) char *text = golden_text(&goldens[i]);

        golden_check(path, text);
    }
}

/* The exit status of dnsmasq with these arguments, or -1 where there is no dnsmasq. */
static int dnsmasq_status(const char *first, const char *second)
{
    pid_t pid;
    int status;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        setenv("PATH", "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin", 1);
        /* its words would not be TAP; complaints go to stderr */
        close(STDOUT_FILENO);
        execlp("dnsmasq", "dnsmasq", first, second, (char *)NULL);
        _exit(127);
    }
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) && WEXITSTATUS(status) == 127 ? -1 : status;
}

static void check_accepted(const char *title, const char *text)
{
    char path[] = "/tmp/test-services.XXXXXX";
    OWN(fd) int fd = mkostemp(path, O_CLOEXEC);
    OWN(mem) char *argument = alloc_printf("--conf-file=%s", path);
    int status;

    CHECK(fd >= 0 && dprintf(fd, "%s", text) > 0);
    printf("# %s\n", title);
    status = dnsmasq_status("--test", argument);
    unlink(path);
    CHECK_INT(status, 0);
}

static void test_accepted(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(goldens); i++) {
        OWN(mem) char *text = golden_text(&goldens[i]);

        check_accepted(goldens[i].name, text);
    }
}

static void test_needed(void)
{
    struct input input = input_default();

    CHECK(services_needed(&input.spec));
    dns_only(&input);
    CHECK(services_needed(&input.spec));
    input.spec.dns_proxy = false;
    CHECK(!services_needed(&input.spec));
    input.spec.router_advertisement = true;
    CHECK(services_needed(&input.spec));
    input.spec.mode = SPEC_HOST;
    CHECK(!services_needed(&input.spec));
    input.spec.dhcp = true;
    CHECK(services_needed(&input.spec));
}

static void check_reservation(const struct spec *spec, uint8_t last, const char *name,
                              const char *address, const char *expected)
{
    uint8_t mac[6] = {0x52, 0x54, 0, 0, 0, last};
    struct in_addr ip;
    OWN(mem) char *line = NULL;

    if (address)
        inet_pton(AF_INET, address, &ip);
    line = services_reservation(spec, mac, name, address ? &ip : NULL);
    CHECK_TEXT(line, expected);
}

static void test_reservation(void)
{
    static const char ip[] = "192.168.107.50";
    struct input input = input_default();
    const struct spec *spec = &input.spec;

    reservations(&input);
    check_reservation(spec, 0xef, "web", ip, "52:54:00:00:00:ef,id:*,192.168.107.50,web\n");
    check_reservation(spec, 0xef, "web", NULL, "52:54:00:00:00:ef,id:*,web\n");
    check_reservation(spec, 0xef, NULL, ip, "52:54:00:00:00:ef,id:*,192.168.107.50\n");
    check_reservation(spec, 0xef, NULL, NULL, "52:54:00:00:00:ef,id:*\n");
    /* what is not asked for comes from the network's configuration */
    check_reservation(spec, 1, "web", NULL, "52:54:00:00:00:01,id:*,192.168.107.20,web\n");
    check_reservation(spec, 1, NULL, ip, "52:54:00:00:00:01,id:*,192.168.107.50,db\n");
    check_reservation(spec, 2, NULL, NULL, "52:54:00:00:00:02,id:*,192.168.107.21\n");
}

static void test_skipped(void)
{
}

int main(void)
{
    struct test tests[] = {
        {"the text for each kind of network is the expected one", test_golden},
        {"dnsmasq accepts each text", test_accepted},
        {"nothing runs where nothing is to be served", test_needed},
        {"reservation lines", test_reservation},
    };

    if (dnsmasq_status("--version", NULL) < 0)
        tests[1] = (struct test){"dnsmasq accepts each text # SKIP no dnsmasq", test_skipped};
    return test_main(tests, ARRAY_SIZE(tests));
}
