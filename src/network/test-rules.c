/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The nftables rules of every kind of network against the files in tests/golden/rules, and each
 * against the kernel, in a namespace of its own.
 */
#include "network/rules.h"

#include <sys/wait.h>

#include "base/alloc.h"
#include "base/golden.h"
#include "base/json.h"
#include "kernel/nft.h"
#include "kernel/ns.h"
#include "kernel/rtnl.h"

static const struct golden {
    const char *name, *configuration;
} goldens[] = {
    {"shared", "{}"},
    {"host", "{\"mode\": \"host\"}"},
    {"no-nat44", "{\"nat44\": false}"},
    {"no-nat66", "{\"nat66\": false}"},
    {"no-way-out", "{\"nat44\": false, \"nat66\": false}"},
    {"isolated", "{\"isolated\": true, \"nat66\": false}"},
    {"egress-deny-some",
     "{\"egress\": {\"deny\": [\"10.0.0.0/8\", \"0.0.0.0/0:25/tcp\", \"[2001:db8::/32]\"],"
     " \"allow\": [\"10.1.2.3/32:443\"]}}"},
    {"egress-allow-some",
     "{\"egress\": {\"default\": \"deny\", \"allow\": [\"203.0.113.0/24:80-443/tcp\","
     " \"2001:db8::/32\", \"*:53\"]}}"},
};

static void place(const struct spec_places *places, const char *path, char *text, size_t size)
{
    (void)places;
    snprintf(text, size, "%s", path);
}

static char *rules_of(const struct golden *golden, bool short_way)
{
    OWN(json) json_t *json = json_loads(golden->configuration, 0, NULL);
    OWN(spec) struct spec spec = {0};
    OWN(faults) struct faults faults = {0};
    struct spec_places places = {.where = place};
    struct plan plan;
    int r;

    json_object_set_new(json, "subnet", json_string("192.168.107.0/24"));
    json_object_set_new(json, "subnet6", json_string("fd00:107::/64"));
    r = spec_from_json("shared", json, &places, &spec, &faults);
    if (r < 0)
        printf("# %s: %s\n", faults.items[0].where, faults.items[0].reason);
    CHECK_INT(r, 0);
    plan_make(&spec, &plan);
    return rules_text(&spec, &plan, short_way);
}

static void test_golden(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(goldens); i++) {
        OWN(mem) char *path = alloc_printf("tests/golden/rules/%s.nft", goldens[i].name);
        OWN(mem) char *text = rules_of(&goldens[i], true);

        golden_check(path, text);
    }
}

/* A rule of the short way names it. */
static int bridge_make(struct error *error)
{
    OWN(rtnl) struct rtnl *rtnl = NULL;
    const struct rtnl_link bridge = {.name = PLAN_BRIDGE};
    int r = rtnl_open(&rtnl, error);

    return r < 0 ? r : rtnl_add_bridge(rtnl, &bridge, error);
}

/* 0: taken, twice, the second time over the first; 77: this machine allows no namespaces. */
static int kernel_takes(const char *text)
{
    struct error error;
    int status = 0;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        if (ns_unshare(&error) < 0)
            _exit(77);
        if (bridge_make(&error) < 0 || nft_apply(text, &error) < 0 || nft_apply(text, &error) < 0) {
            printf("# %s\n", error.reason);
            fflush(stdout);
            _exit(1);
        }
        _exit(0);
    }
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_accepted(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(goldens); i++) {
        OWN(mem) char *plain = rules_of(&goldens[i], false);
        OWN(mem) char *text = rules_of(&goldens[i], true);

        printf("# %s\n", goldens[i].name);
        CHECK_INT(kernel_takes(plain), 0);
        CHECK_INT(kernel_takes(text), 0);
    }
}

static void test_skipped(void)
{
}

int main(void)
{
    struct test tests[] = {
        {"the rules of each kind of network are the expected ones", test_golden},
        {"the kernel takes each, also in place of itself", test_accepted},
    };

    if (kernel_takes("") == 77)
        tests[1] = (struct test){"the kernel takes each # SKIP no user namespaces", test_skipped};
    return test_main(tests, ARRAY_SIZE(tests));
}
