/* SPDX-License-Identifier: Apache-2.0 */
/* lima.yaml's `networks:`; MAC addresses are compared with what sha256sum(1) says. */
#include "config/instance.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/own.h"
#include "base/test.h"

#define ONE_OF  "keep one of lima, socket, vzNAT and vmnet\n"
#define SET_ONE "set one of lima, socket, vzNAT: true and vmnet, such as vmnet: shared\n"
#define KEYS    "known keys: lima, socket, vzNAT, vmnet, macAddress, interface\n"

static const struct {
    const char *yaml, *lines;
} wrong[] = {
    {"networks: {}\n", "F:1:11: networks: a mapping is not a list; begin each entry with \"- \"\n"},
    {"networks:\n- shared\n", "F:2:3: networks[0]: \"shared\" is not a mapping; write the settings "
                              "below it, as KEY: VALUE\n"},
    {"networks:\n- {}\n", "F:2:3: networks[0]: names no network; " SET_ONE},
    {"networks:\n- {vzNAT: false}\n", "F:2:3: networks[0]: names no network; " SET_ONE},
    {"networks:\n- {vmnet: '', lima: '', socket: ''}\n",
     "F:2:3: networks[0]: names no network; " SET_ONE},
    {"networks:\n- vmnet: shared\n  lima: shared\n",
     "F:3:3: networks[0].lima: excludes vmnet, which is set too; " ONE_OF},
    {"networks:\n- socket: /x\n  vzNAT: true\n  vmnet: a\n",
     "F:3:3: networks[0].vzNAT: excludes socket, which is set too; " ONE_OF
     "F:4:3: networks[0].vmnet: excludes socket, which is set too; " ONE_OF},
    {"networks:\n- {vmnet: Shared}\n", "F:2:11: networks[0].vmnet: \"Shared\" can't be the name of "
                                       "a network; use 1 to 32 of a-z, 0-9, "
                                       "- and _, a letter or digit first and last\n"},
    {"networks:\n- {vmnet: 5}\n",
     "F:2:11: networks[0].vmnet: 5 is not a string; write it in quotes: \"5\"\n"},
    {"networks:\n- {lima: [x]}\n",
     "F:2:10: networks[0].lima: a list is not a string; write a single value\n"},
    {"networks:\n- {vzNAT: yes}\n",
     "F:2:11: networks[0].vzNAT: \"yes\" is not a boolean; write true\n"},
    {"networks:\n- {vmnet: a, macAddress: 52:55:55}\n",
     "F:2:26: networks[0].macAddress: \"52:55:55\" is not a MAC address; write six bytes, such as "
     "52:54:00:12:34:56\n"},
    {"networks:\n- {vmnet: a, macAddress: 12}\n",
     "F:2:26: networks[0].macAddress: 12 is not a MAC address; write six bytes, such as "
     "52:54:00:12:34:56\n"},
    {"networks:\n- {lima: a, macAddress: 53:55:55:00:00:01}\n",
     "F:2:25: networks[0].macAddress: \"53:55:55:00:00:01\" is no single guest's; the first byte "
     "must be even, and not all may be zero\n"},
    {"networks:\n- {vmnet: a, interface: abcdefghijklmnop}\n",
     "F:2:25: networks[0].interface: \"abcdefghijklmnop\" is 16 bytes long; use at most 15\n"},
    {"networks:\n- {vmnet: a, interface: eth0}\n",
     "F:2:25: networks[0].interface: \"eth0\" is the interface of Lima's own network; use another "
     "name, such as lima0\n"},
    {"networks:\n- {vmnet: a, interface: a/b}\n- {vmnet: a, interface: 'a b'}\n",
     "F:2:25: networks[0].interface: \"a/b\" contains a blank or slash; use letters and digits\n"
     "F:3:25: networks[1].interface: \"a b\" contains a blank or slash; use letters and digits\n"},
    {"networks:\n- {lima: a, interface: vm0}\n- {vmnet: a, interface: vm0}\n",
     "F:3:25: networks[1].interface: \"vm0\" is the interface of networks[0] already; give each "
     "its "
     "own name\n"},
    {"networks:\n- {vmnet: a, interface: lima1}\n- {vmnet: a}\n",
     "F:3:3: networks[1].interface: \"lima1\" is the interface of networks[0] already; give each "
     "its "
     "own name\n"},
    {"networks:\n- {vmnet: a, mac: x}\n", "F:2:14: networks[0]: unknown key \"mac\"; " KEYS},
    {"networks:\n- {vmnet: a}\n- {vmnet: a, vmnet: b}\n",
     "F:3:14: the key \"vmnet\" stands here again; the first is at F:3:4; keep one of them\n"},
    {"networks:\n- vmnet: a\n interface: b\n",
     "F:3:2: not YAML: while parsing a block mapping, did not find expected key; check the "
     "indentation, brackets and quotes there\n"},
};

static void add_lines(const struct faults *faults, struct buf *lines)
{
    char text[ERROR_TEXT_SIZE];

    for (size_t i = 0; i < faults->count; i++)
        buf_printf(lines, "%s\n", error_text(&faults->items[i], text, sizeof(text)));
}

static void test_wrong(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        OWN(faults) struct faults faults = {0};
        OWN(instance) struct instance instance = {0};
        OWN(buf) struct buf lines = BUF_NULL;
        int r = instance_parse(wrong[i].yaml, strlen(wrong[i].yaml), "F", &instance, &faults);

        add_lines(&faults, &lines);
        CHECK_TEXT(buf_text(&lines), wrong[i].lines);
        CHECK_INT(r, -EINVAL);
        CHECK_INT(instance.count, 0);
    }
}

/* What Lima computes, by other means: the first three bytes of SHA-256(machine id + unique id). */
static void expect_mac(const char *unique_id, char text[MAC_TEXT_SIZE])
{
    OWN(mem)
    char *command = alloc_printf(
        "id=$(cat /etc/machine-id 2>/dev/null || cat /var/lib/dbus/machine-id 2>/dev/null);"
        "[ -n \"$id\" ] || id=$(uname -n);"
        "printf '%%s%%s' \"$id\" '%s' | sha256sum | "
        "sed 's/^\\(..\\)\\(..\\)\\(..\\).*/52:55:55:\\1:\\2:\\3/'",
        unique_id);
    FILE *pipe = popen(command, "r");

    CHECK(pipe && fgets(text, MAC_TEXT_SIZE, pipe));
    pclose(pipe);
}

static void test_mac(void)
{
    char expected[MAC_TEXT_SIZE], text[MAC_TEXT_SIZE];
    uint8_t mac[6];

    instance_mac("/home/u/.lima/default/lima.yaml#0", mac);
    expect_mac("/home/u/.lima/default/lima.yaml#0", expected);
    CHECK_TEXT(mac_text(mac, text), expected);
}

static void test_right(void)
{
    static const char yaml[] = "cpus: 4\n"
                               "networks:\n"
                               "- lima: user-v2\n"
                               "- vmnet: shared\n"
                               "- socket: /run/x.sock\n"
                               "  interface: vm1\n"
                               "- vmnet: host\n"
                               "  macAddress: 52-55-55-AA-BB-01\n"
                               "  interface: vm0\n"
                               "  lima:\n"
                               "  socket: ''\n"
                               "  vzNAT: false\n"
                               "- {vmnet: shared, macAddress: '', interface: ''}\n"
                               "images: [{location: x, arch: y}]\n";
    OWN(faults) struct faults faults = {0};
    OWN(instance) struct instance instance = {0};
    char expected[MAC_TEXT_SIZE], text[MAC_TEXT_SIZE];

    CHECK_INT(instance_parse(yaml, strlen(yaml), "/no/such/lima.yaml", &instance, &faults), 0);
    CHECK_INT(instance.count, 3);
    CHECK_TEXT(instance.networks[0].network, "shared");
    CHECK_TEXT(instance.networks[0].interface, "lima1");
    expect_mac("/no/such/lima.yaml#1", expected);
    CHECK_TEXT(mac_text(instance.networks[0].mac, text), expected);
    CHECK_TEXT(instance.networks[1].network, "host");
    CHECK_TEXT(instance.networks[1].interface, "vm0");
    CHECK_TEXT(mac_text(instance.networks[1].mac, text), "52:55:55:aa:bb:01");
    CHECK_TEXT(instance.networks[2].interface, "lima4");
    expect_mac("/no/such/lima.yaml#4", expected);
    CHECK_TEXT(mac_text(instance.networks[2].mac, text), expected);
}

static void test_none(void)
{
    static const char *const yaml[] = {"", "images: []\n", "networks:\n", "networks: []\n",
                                       "networks:\n- lima: user-v2\n- vzNAT: true\n"};

    for (size_t i = 0; i < ARRAY_SIZE(yaml); i++) {
        OWN(faults) struct faults faults = {0};
        OWN(instance) struct instance instance = {0};

        CHECK_INT(instance_parse(yaml[i], strlen(yaml[i]), "F", &instance, &faults), 0);
        CHECK_INT(instance.count, 0);
    }
}

/* The MAC address belongs to the instance, by whatever path it is named. */
static void test_path(void)
{
    char directory[] = "/tmp/vmlan-test-instance-XXXXXX";
    OWN(mem) char *file = NULL, *link = NULL, *linked = NULL, *dotted = NULL, *unique_id = NULL;
    const char *paths[3];
    char expected[MAC_TEXT_SIZE], text[MAC_TEXT_SIZE];
    FILE *out;

    CHECK(mkdtemp(directory) != NULL);
    paths[0] = file = alloc_printf("%s/lima.yaml", directory);
    link = alloc_printf("%s/link", directory);
    paths[1] = linked = alloc_printf("%s/lima.yaml", link);
    paths[2] = dotted = alloc_printf("%s/../%s/lima.yaml", directory, strrchr(directory, '/') + 1);
    out = fopen(file, "w");
    CHECK(out && fputs("networks: [{vmnet: shared}]\n", out) >= 0 && fclose(out) == 0);
    CHECK_INT(symlink(directory, link), 0);
    unique_id = alloc_printf("%s#0", file);
    expect_mac(unique_id, expected);
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        OWN(faults) struct faults faults = {0};
        OWN(instance) struct instance instance = {0};

        CHECK_INT(instance_load(paths[i], &instance, &faults), 0);
        CHECK_INT(instance.count, 1);
        CHECK_TEXT(mac_text(instance.networks[0].mac, text), expected);
    }
    unlink(link);
    unlink(file);
    rmdir(directory);
}

static void test_missing(void)
{
    OWN(faults) struct faults faults = {0};
    OWN(instance) struct instance instance = {0};
    OWN(buf) struct buf lines = BUF_NULL;

    CHECK_INT(instance_load("/no/such/lima.yaml", &instance, &faults), -EINVAL);
    add_lines(&faults, &lines);
    CHECK_TEXT(buf_text(&lines),
               "/no/such/lima.yaml: can't be read: No such file or directory; check the path\n");
}

static const struct test tests[] = {
    {"wrong entries get their lines, and are refused", test_wrong},
    {"MAC addresses are derived as Lima derives them", test_mac},
    {"vmnet entries are taken, with their index in the whole list", test_right},
    {"no vmnet entry is no fault", test_none},
    {"links in the path make no difference", test_path},
    {"a missing file is an error with a cure", test_missing},
};

TEST_MAIN(tests)
