/* SPDX-License-Identifier: Apache-2.0 */
/* The units of systemd as texts, compared with tests/golden/units. */
#include "cli/units.h"

#include <errno.h>

#include "base/golden.h"

static void units_check(const char *folder, const struct units_facts *facts)
{
    OWN(units) struct units units = {0};
    struct error error;
    const char *name;
    json_t *text;

    CHECK(units_make(facts, &units, &error) == 0);
    json_object_foreach(units.texts, name, text) {
        char path[128];

        snprintf(path, sizeof(path), "tests/golden/units/%s/%s", folder, name);
        golden_check(path, json_string_value(text));
    }
}

static void test_plain(void)
{
    OWN(json) json_t *networks = json_pack("[s s]", "shared", "my-net");

    units_check("plain", &(struct units_facts){.program = "/usr/bin/vmlan",
                                               .runtime = "/run/user/1000/vmlan",
                                               .state = "/home/u/.local/state/vmlan",
                                               .networks = networks});
}

static void test_odd_paths(void)
{
    OWN(json)
    json_t *environment = json_pack("{ss ss}", "VMLAN_CONFIG", "/home/u/my \"nets\" 100%.yaml",
                                    "LIMA_HOME", "/home/u/back\\slash $HOME");

    units_check("odd", &(struct units_facts){.program = "/opt/my vm $lan 100%/vmlan",
                                             .runtime = "/tmp/my \"run\" $1 100%",
                                             .state = "/tmp/my \"state\" $1 100%",
                                             .environment = environment});
}

static void test_impossible_paths(void)
{
    struct units_facts facts = {.program = "/usr/bin/vmlan", .runtime = "/tmp/a\nb", .state = "/s"};
    OWN(units) struct units units = {0};
    struct error error;

    CHECK_INT(units_make(&facts, &units, &error), -EINVAL);
    CHECK_TEXT(error.reason, "\"/tmp/a\nb\" has a control character and can't stand in a unit");
    facts.program = "/opt/my \"vm\"/vmlan";
    CHECK_INT(units_make(&facts, &units, &error), -EINVAL);
    CHECK_TEXT(error.reason,
               "systemd runs no program at /opt/my \"vm\"/vmlan: quotes and backslashes "
               "can't be in its path");
}

static const struct test tests[] = {
    {"usual paths", test_plain},
    {"paths with everything that is special", test_odd_paths},
    {"paths that can't stand in a unit", test_impossible_paths},
};

TEST_MAIN(tests)
