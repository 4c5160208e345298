/* SPDX-License-Identifier: Apache-2.0 */
/* networks.yaml as a whole: what is wrong with files, with the lines a person is to read; what is
 * right; and how a network is found. Single keys are in test-keys.c. */
#include "config/test-networks.h"

#include "base/json.h"

static const struct wrong wrong[] = {
    {"vmnet:\n"
     "  a: {subnet: 10.0.0.0/8, subnet6: \"fd00:1::/64\"}\n"
     "  b: {subnet: 10.9.0.0/16}\n"
     "  c: {subnet6: \"fd00:1:0::/64\"}\n",
     "F:3:15: vmnet.b.subnet: 10.9.0.0/16 overlaps 10.0.0.0/8 of a at F:2:15; give one of them "
     "another subnet\n"
     "F:4:16: vmnet.c.subnet6: fd00:1::/64 overlaps fd00:1::/64 of a at F:2:36; give one of them "
     "another subnet6\n"},
    {"vmnet:\n"
     "  a: {mtu: 1400}\n"
     "  b: {}\n"
     "  a: {mtu: 1300}\n",
     "F:4:3: the key \"a\" stands here again; the first is at F:2:3; keep one of them\n"},
    {"vmnet:\n"
     "  a:\n"
     "    dhcp: true\n"
     "    mtu: 1400\n"
     "    dhcp: false\n",
     "F:5:5: the key \"dhcp\" stands here again; the first is at F:3:5; keep one of them\n"},
    {"vment:\n"
     "  a: {}\n",
     "F:1:1: unknown key \"vment\"; did you mean vmnet? Known keys: vmnet, clients\n"},
    {"vmnet: {}\n"
     "paths: {}\n",
     "F:2:1: unknown key \"paths\"; known keys: vmnet, clients\n"},
    {"clients: /usr/bin/true\n",
     "F:1:10: clients: \"/usr/bin/true\" is not a list; begin each entry with \"- \"\n"},
    {"clients: [bin/true, 5]\n",
     "F:1:11: clients[0]: \"bin/true\" is not an absolute path; write the program's whole path, "
     "such as /usr/bin/podman\n"
     "F:1:21: clients[1]: 5 is not a string; write it in quotes: \"5\"\n"},
    {"vmnet: [a]\n",
     "F:1:8: vmnet: a list is not a mapping; write the settings below it, as KEY: VALUE\n"},
    {"vmnet: shared\n",
     "F:1:8: vmnet: \"shared\" is not a mapping; write the settings below it, as KEY: VALUE\n"},
    {"vmnet:\n"
     "  a: shared\n",
     "F:2:6: a: \"shared\" is not a mapping; write the settings below it, as KEY: VALUE\n"},
    {"vmnet:\n"
     "  Lab: {}\n"
     "  -lab: {}\n"
     "  lab_: {}\n"
     "  a.b: {}\n"
     "  \"\": {}\n"
     "  abcdefghijklmnopqrstuvwxyz0123456: {}\n",
     "F:2:3: \"Lab\" can't be the name of a network; use 1 to 32 of a-z, 0-9, - and _, a letter or "
     "digit first and last\n"
     "F:3:3: \"-lab\" can't be the name of a network; use 1 to 32 of a-z, 0-9, - and _, a letter "
     "or digit first and last\n"
     "F:4:3: \"lab_\" can't be the name of a network; use 1 to 32 of a-z, 0-9, - and _, a letter "
     "or digit first and last\n"
     "F:5:3: \"a.b\" can't be the name of a network; use 1 to 32 of a-z, 0-9, - and _, a letter or "
     "digit first and last\n"
     "F:6:3: \"\" can't be the name of a network; use 1 to 32 of a-z, 0-9, - and _, a letter or "
     "digit first and last\n"
     "F:7:3: \"abcdefghijklmnopqrstuvwxyz0123456\" can't be the name of a network; use 1 to 32 of "
     "a-z, 0-9, - and _, a letter or digit first and last\n"},
    {"vmnet:\n"
     "  \"n\\u00e4he\\n\": {mtu: 1}\n",
     "F:2:3: \"n\303\244he\\n\" can't be the name of a network; use 1 to 32 of a-z, 0-9, - and _, "
     "a letter or digit first and last\n"
     "F:2:24: mtu: 1 is too small; use 1280 to 65521\n"},
    {"- vmnet\n", "F:1:1: not a mapping; write KEY: VALUE\n"},
    {"vmnet:\n"
     "\ta: {}\n",
     "F:2:1: not YAML: while scanning for the next token, found character that cannot start any "
     "token; indent with spaces, not tabs; put @ and ` in quotes\n"},
    {"vmnet:\n"
     "  a: {mtu: 1400\n",
     "F:3:1: not YAML: while parsing a flow mapping, did not find expected ',' or '}'; check the "
     "indentation, brackets and quotes there\n"},
    {"vmnet:\n"
     "  a: mtu: 1400\n",
     "F:2:9: not YAML: mapping values are not allowed in this context; check the indentation; put "
     "a value that contains \": \" in quotes\n"},
    {"vmnet:\n"
     "  a: {mtu: !size 1400}\n",
     "F:2:12: the tag \"!size\" does not fit here; write the value without a tag\n"},
    {"vmnet:\n"
     "  a: {mtu: !!int many}\n",
     "F:2:12: the tag \"tag:yaml.org,2002:int\" does not fit here; write the value without a "
     "tag\n"},
    {"vmnet:\n"
     "  a: *b\n",
     "F:2:6: *b names no complete value above; mark the value with &b before it is used\n"},
    {"vmnet:\n"
     "  a: &b {x: *b}\n",
     "F:2:13: *b names no complete value above; mark the value with &b before it is used\n"},
    {"vmnet:\n"
     "  ? [a]\n"
     "  : {}\n",
     "F:2:5: a key that is not plain text; write KEY: VALUE\n"},
    {"vmnet:\n"
     "  a:\n"
     "    <<: 5\n",
     "F:3:5: << merges mappings only; write <<: *NAME, with &NAME at a mapping above\n"},
    {"vmnet: {}\n"
     "---\n"
     "vmnet: {}\n",
     "F:2:1: a second document; keep one, and no --- behind it\n"},
    {"vmnet:\n"
     "  a: {mode: \"x\\0y\"}\n",
     "F:2:13: a NUL in a string; leave out \\0\n"},
    {"vmnet:\n"
     "  a: {mode: "
     "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx}\n",
     "F:2:13: mode: \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx... is "
     "not a mode; use shared or host\n"},
    {"vmnet:\n"
     "  a: {mode: \377}\n",
     "F:2:13: not YAML: invalid leading UTF-8 octet; save the file as UTF-8\n"},
    {"vmnet:\n"
     "  b: &b\n"
     "    mtu: 900\n"
     "  c: *b\n"
     "  d: {<<: *b, dhcp: 5}\n",
     "F:3:10: mtu: 900 is too small; use 1280 to 65521\n"
     "F:3:10: mtu: 900 is too small; use 1280 to 65521\n"
     "F:5:21: dhcp: 5 is not a boolean; write true or false\n"
     "F:3:10: mtu: 900 is too small; use 1280 to 65521\n"},
};

static void test_wrong(void)
{
    check_wrong(wrong, ARRAY_SIZE(wrong));
}

static char *dump(json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT);

    json_decref(json);
    return text;
}

#define BUILT_IN                                                                               \
    "{\"shared\":{\"mode\":\"shared\",\"dhcp\":true,\"dnsProxy\":true,\"mtu\":1500,\"nat44\":" \
    "true,"                                                                                    \
    "\"nat66\":true,\"routerAdvertisement\":true,\"subnet\":\"192.168.107.0/24\"},"            \
    "\"host\":{\"mode\":\"host\",\"dhcp\":true,\"dnsProxy\":true,\"mtu\":1500,\"nat44\":true," \
    "\"nat66\":true,\"routerAdvertisement\":false,\"subnet\":\"192.168.108.0/24\"}}"

static const struct {
    const char *yaml;
    bool lima;
    const char *source, *vmnet;
} right[] = {
    {"", false, "built-in defaults", BUILT_IN},
    {"# nothing\n", false, "built-in defaults", BUILT_IN},
    {"---\n", false, "built-in defaults", BUILT_IN},
    {"vmnet:\n", false, "built-in defaults", BUILT_IN},
    {"vmnet: {}\n", true, "built-in defaults", BUILT_IN},
    {"paths: {socketVMNet: /x}\ngroup: everyone\nnetworks: {}\n", true, "built-in defaults",
     BUILT_IN},
    {"networks: {}\nvmnet:\n  a: {mtu: 1400}\n", true, "F", "{\"a\":{\"mtu\":1400}}"},
    {"vmnet:\n  a:\n  b: {}\n", false, "F", "{\"a\":{},\"b\":{}}"},
    {"vmnet: {a: {mtu: null, dhcp: ~, subnet: }}\n", false, "F",
     "{\"a\":{\"mtu\":null,\"dhcp\":null,\"subnet\":null}}"},
    {"vmnet: {a: {mtu: 0x5dc, linger: 0o17, dhcp: False}}\n", false, "F",
     "{\"a\":{\"mtu\":1500,\"linger\":15,\"dhcp\":false}}"},
    {"vmnet: {1: {mtu: 1280}, true: {mtu: 65521}}\n", false, "F",
     "{\"1\":{\"mtu\":1280},\"true\":{\"mtu\":65521}}"},
    {"vmnet: {a_b-c: {subnet: 10.0.0.0/8}, b: {subnet: 11.0.0.0/29}}\n", false, "F",
     "{\"a_b-c\":{\"subnet\":\"10.0.0.0/8\"},\"b\":{\"subnet\":\"11.0.0.0/29\"}}"},
    {"vmnet:\n  a: &a {mtu: 1400, dhcp: true}\n  b: {<<: *a, dhcp: false}\n  c: *a\n", false, "F",
     "{\"a\":{\"mtu\":1400,\"dhcp\":true},\"b\":{\"dhcp\":false,\"mtu\":1400},"
     "\"c\":{\"mtu\":1400,\"dhcp\":true}}"},
    {"vmnet:\n  a:\n    subnet: 10.0.0.0/24\n    reservations:\n"
     "    - {name: web, mac: 52:54:00:00:00:01, ip: 10.0.0.2}\n"
     "    - {mac: 52:54:00:00:00:02, ip: 10.0.0.254}\n"
     "    dhcpOptions:\n    - {code: 42, value: '10.0.0.1,10.0.0.2'}\n"
     "    - {code: 67, value: 'boot\\x86'}\n    - {code: 2, value: 3600}\n",
     false, "F",
     "{\"a\":{\"subnet\":\"10.0.0.0/24\",\"reservations\":["
     "{\"name\":\"web\",\"mac\":\"52:54:00:00:00:01\",\"ip\":\"10.0.0.2\"},"
     "{\"mac\":\"52:54:00:00:00:02\",\"ip\":\"10.0.0.254\"}],"
     "\"dhcpOptions\":[{\"code\":42,\"value\":\"10.0.0.1,10.0.0.2\"},"
     "{\"code\":67,\"value\":\"boot\\\\x86\"},{\"code\":2,\"value\":3600}]}}"},
    {"vmnet:\n  a:\n    hostLoopback: true\n    forwards:\n    - 8080:web:80\n"
     "    - {listen: 8443, to: \"10.0.0.2:443\", protocol: tcp}\n"
     "    egress:\n      default: deny\n      allow: [10.0.0.0/8, '*:53']\n",
     false, "F",
     "{\"a\":{\"hostLoopback\":true,\"forwards\":[\"8080:web:80\",{\"listen\":8443,"
     "\"to\":\"10.0.0.2:443\",\"protocol\":\"tcp\"}],\"egress\":{\"default\":\"deny\","
     "\"allow\":[\"10.0.0.0/8\",\"*:53\"]}}}"},
};

static void test_right(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(right); i++) {
        OWN(buf) struct buf lines = BUF_NULL;
        OWN(networks) struct networks networks = {0};
        OWN(mem) char *vmnet = NULL;
        int r = parse(right[i].yaml, right[i].lima, &networks, &lines);

        CHECK_TEXT(buf_text(&lines), "");
        CHECK_INT(r, 0);
        CHECK_TEXT(networks.source, right[i].source);
        CHECK_INT(networks.lima, right[i].lima && strcmp(right[i].source, "F") == 0);
        vmnet = dump(json_incref(networks.vmnet));
        CHECK_TEXT(vmnet, right[i].vmnet);
    }
}

static void test_lima_others(void)
{
    OWN(buf) struct buf lines = BUF_NULL;
    OWN(networks) struct networks networks = {0};

    CHECK_INT(parse("paths: {}\nvmnet: {a: {mtu: 5}}\n", true, &networks, &lines), -EINVAL);
    CHECK_TEXT(buf_text(&lines), "F:2:18: mtu: 5 is too small; use 1280 to 65521\n");
}

static void test_too_many(void)
{
    OWN(buf) struct buf yaml = BUF_NULL, lines = BUF_NULL;
    OWN(networks) struct networks networks = {0};

    buf_printf(&yaml, "vmnet:\n");
    for (int i = 0; i < 64; i++)
        buf_printf(&yaml, "  n%d: {subnet: 10.%d.0.0/16}\n", i, i);
    CHECK_INT(parse(buf_text(&yaml), false, &networks, &lines), 0);
    buf_printf(&yaml, "  one-more:\n");
    networks_done(&networks);
    CHECK_INT(parse(buf_text(&yaml), false, &networks, &lines), -EINVAL);
    CHECK_TEXT(buf_text(&lines),
               "F:2:3: vmnet: 65 networks are too many; at most 64 are possible\n");
}

static void test_find(void)
{
    OWN(buf) struct buf yaml = BUF_NULL, lines = BUF_NULL;
    OWN(networks) struct networks built_in = {0}, many = {0};
    struct error error;
    char text[ERROR_TEXT_SIZE];

    CHECK_INT(parse("", false, &built_in, &lines), 0);
    CHECK(networks_find(&built_in, "shared", NULL) != NULL);
    CHECK(networks_find(&built_in, "shraed", &error) == NULL);
    CHECK_INT(error.code, -ENOENT);
    CHECK_TEXT(error.id, ERROR_NO_NETWORK);
    CHECK_TEXT(error_text(&error, text, sizeof(text)),
               "no network \"shraed\" is configured; there are shared, host (built-in defaults)");

    buf_printf(&yaml, "vmnet:\n");
    for (int i = 0; i < 64; i++)
        buf_printf(&yaml, "  a-network-with-a-long-name-%d:\n", i);
    CHECK_INT(parse(buf_text(&yaml), false, &many, &lines), 0);
    CHECK(networks_find(&many, "x", &error) == NULL);
    CHECK(strstr(error.hint, "a-network-with-a-long-name-0, "));
    CHECK(strstr(error.hint, " and 53 more (F)"));
}

static const struct test tests[] = {
    {"each wrong file gets its lines, and is refused", test_wrong},
    {"right configurations are taken as written", test_right},
    {"of Lima's file only the vmnet section is judged", test_lima_others},
    {"at most 64 networks", test_too_many},
    {"an unknown network is answered with the known ones", test_find},
};

TEST_MAIN(tests)
