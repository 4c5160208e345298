/* SPDX-License-Identifier: Apache-2.0 */
/* One network's configuration as JSON, the way requests carry it; names, subnets, MAC addresses. */
#include "config/spec.h"

#include <arpa/inet.h>
#include <errno.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/own.h"
#include "base/test.h"

static void where(const struct spec_places *places, const char *path, char *text, size_t size)
{
    (void)places;
    snprintf(text, size, "Attach.configuration%s", path);
}

static const struct spec_places places = {.where = where};

static int parse(const char *json, struct spec *ret, struct buf *lines)
{
    OWN(json) json_t *configuration = json ? json_loads(json, JSON_DECODE_ANY, NULL) : NULL;
    OWN(faults) struct faults faults = {0};
    char text[ERROR_TEXT_SIZE];
    int r = spec_from_json("lab", configuration, &places, ret, &faults);

    for (size_t i = 0; i < faults.count; i++)
        buf_printf(lines, "%s\n", error_text(&faults.items[i], text, sizeof(text)));
    return r;
}

static void check_canonical(const char *json, const char *expected)
{
    OWN(spec) struct spec spec = {0};
    OWN(buf) struct buf lines = BUF_NULL;
    OWN(json) json_t *canonical = NULL;
    OWN(mem) char *text = NULL;
    int r = parse(json, &spec, &lines);

    CHECK_TEXT(buf_text(&lines), "");
    CHECK_INT(r, 0);
    CHECK_TEXT(spec.name, "lab");
    canonical = spec_to_json(&spec);
    text = json_dumps(canonical, JSON_COMPACT);
    CHECK_TEXT(text, expected);
}

#define NO_UPLINK                             \
    "\"hostLoopback\":false,\"forwards\":[]," \
    "\"egress\":{\"default\":\"allow\",\"allow\":[],\"deny\":[]},"

static void test_canonical(void)
{
    static const char defaults[] =
        "{\"mode\":\"shared\",\"dhcp\":true,\"dnsProxy\":true,\"mtu\":1500,\"nat44\":true,"
        "\"nat66\":true,\"routerAdvertisement\":true,\"reservations\":[],\"dhcpOptions\":[]"
        "," NO_UPLINK "\"isolated\":false,\"linger\":60}";
    static const char full[] =
        "{\"mode\":\"host\",\"dhcp\":false,\"dnsProxy\":false,\"mtu\":9000,\"nat44\":false,"
        "\"nat66\":false,\"routerAdvertisement\":false,\"subnet\":\"10.7.0.0/16\","
        "\"subnet6\":\"fd00:7::/64\",\"reservations\":[{\"name\":\"Web-1\","
        "\"mac\":\"52:54:00:00:00:0a\",\"ip\":\"10.7.0.9\"},{\"mac\":\"52:54:00:00:00:0b\","
        "\"ip\":\"10.7.1.0\"}],\"dhcpOptions\":[{\"code\":42,\"value\":\"10.7.0.1\"},"
        "{\"code\":2,\"value\":\"3600\"}],\"hostLoopback\":true,"
        "\"forwards\":[\"127.0.0.1:8080:web:80/tcp\",\"[::1]:53-54:10.7.0.9:1053-1054/udp\"],"
        "\"egress\":{\"default\":\"deny\",\"allow\":[\"10.0.0.0/8:443/tcp\","
        "\"[2001:db8::/32]:53\",\"2001:db8::1/128/udp\"],\"deny\":[\"*:25\"]},"
        "\"isolated\":true,\"linger\":0}";

    check_canonical(NULL, defaults);
    check_canonical("null", defaults);
    check_canonical("{}", defaults);
    check_canonical(defaults, defaults);
    check_canonical("{\"mtu\": null, \"subnet\": null, \"reservations\": null}", defaults);
    check_canonical(full, full);
    check_canonical("{\"subnet6\": \"FD00:0:0:0::/64\"}",
                    "{\"mode\":\"shared\",\"dhcp\":true,\"dnsProxy\":true,\"mtu\":1500,"
                    "\"nat44\":true,\"nat66\":true,\"routerAdvertisement\":true,"
                    "\"subnet6\":\"fd00::/64\",\"reservations\":[],\"dhcpOptions\":[]," NO_UPLINK
                    "\"isolated\":false,\"linger\":60}");
}

static void test_fields(void)
{
    OWN(spec) struct spec spec = {0};
    OWN(buf) struct buf lines = BUF_NULL;
    struct in_addr ip;

    CHECK_INT(
        parse("{\"mode\":\"host\",\"mtu\":1280,\"linger\":5,\"nat66\":false,\"isolated\":true,"
              "\"subnet\":\"10.7.0.0/16\",\"subnet6\":\"fd00:7::/64\","
              "\"reservations\":[{\"mac\":\"52-54-00-00-00-0A\",\"ip\":\"10.7.0.9\"}],"
              "\"dhcpOptions\":[{\"code\":2,\"value\":3600}]}",
              &spec, &lines),
        0);
    CHECK_INT(spec.mode, SPEC_HOST);
    CHECK(spec.dhcp && spec.dns_proxy && spec.nat44 && !spec.nat66 && spec.isolated);
    CHECK(spec.router_advertisement);
    CHECK_INT(spec.mtu, 1280);
    CHECK_INT(spec.linger, 5);
    CHECK_INT(spec.subnet.prefix, 16);
    CHECK_INT(spec.subnet6.prefix, 64);
    CHECK_INT(spec.reservation_count, 1);
    CHECK(spec.reservations[0].name == NULL);
    CHECK(memcmp(spec.reservations[0].mac, "\x52\x54\0\0\0\x0a", 6) == 0);
    inet_pton(AF_INET, "10.7.0.9", &ip);
    CHECK_INT(spec.reservations[0].ip.s_addr, ip.s_addr);
    CHECK_INT(spec.dhcp_option_count, 1);
    CHECK_INT(spec.dhcp_options[0].code, 2);
    CHECK_TEXT(spec.dhcp_options[0].value, "3600");
}

static void test_request_faults(void)
{
    OWN(spec) struct spec spec = {0};
    OWN(buf) struct buf lines = BUF_NULL;

    CHECK_INT(parse("{\"mtu\": 1, \"mtuu\": 2, \"subnet\": \"10.0.0.0/24\","
                    " \"reservations\": [{\"mac\": 5, \"ip\": \"10.0.0.9\"}]}",
                    &spec, &lines),
              -EINVAL);
    CHECK_INT(parse("[]", &spec, &lines), -EINVAL);
    CHECK_TEXT(
        buf_text(&lines),
        "Attach.configuration/mtu: mtu: 1 is too small; use 1280 to 65521\n"
        "Attach.configuration/mtuu: lab: unknown key \"mtuu\"; did you mean mtu? Known keys: "
        "mode, dhcp, dnsProxy, mtu, nat44, nat66, routerAdvertisement, subnet, subnet6, "
        "reservations, dhcpOptions, hostLoopback, forwards, egress, isolated, linger\n"
        "Attach.configuration/reservations/0/mac: reservations[0].mac: 5 is not a MAC "
        "address; write six bytes, such as 52:54:00:12:34:56\n"
        "Attach.configuration: lab: a list is not a mapping; write the settings below it, as "
        "KEY: VALUE\n");
}

/* More faults than are kept, and lists that are too long. */
static void test_limits(void)
{
    OWN(json) json_t *many = json_object();
    OWN(json) json_t *list = json_array();
    OWN(json) json_t *long_list = json_pack("{s:O,s:O}", "reservations", list, "dhcpOptions", list);
    OWN(faults) struct faults faults = {0}, list_faults = {0};
    struct spec spec;

    for (int i = 0; i < FAULTS_MAX + 10; i++) {
        char key[16];

        snprintf(key, sizeof(key), "key-%d", i);
        json_object_set_new(many, key, json_true());
    }
    CHECK_INT(spec_from_json("lab", many, &places, &spec, &faults), -EINVAL);
    CHECK_INT(faults.count, FAULTS_MAX);
    CHECK_INT(faults.total, FAULTS_MAX + 10);

    for (int i = 0; i <= SPEC_RESERVATIONS_MAX; i++)
        json_array_append_new(list, json_object());
    CHECK_INT(spec_from_json("lab", long_list, &places, &spec, &list_faults), -EINVAL);
    CHECK_INT(list_faults.count, 2);
    CHECK_TEXT(list_faults.items[0].reason, "reservations: 257 entries are too many");
    CHECK_TEXT(list_faults.items[1].hint, "at most 32 are possible");
}

static const struct {
    const char *running, *wanted, *differs;
} differences[] = {
    {"{}", "{}", "[]"},
    {"{}", "{\"mtu\": 1500, \"dhcp\": true, \"linger\": 60}", "[]"},
    {"{}", "{\"mtu\": null}", "[]"},
    {"{\"mtu\": 9000, \"dhcp\": false}", "{}", "[]"},
    {"{\"mtu\": 9000, \"dhcp\": false}", "{\"mtu\": 1500}", "[\"mtu\"]"},
    {"{\"subnet\": \"10.0.0.0/24\"}", "{\"subnet\": \"10.0.0.0/24\"}", "[]"},
    {"{}", "{\"subnet\": \"10.0.0.0/24\"}", "[\"subnet\"]"},
    {"{\"subnet6\": \"fd00::/64\"}", "{\"subnet6\": \"fd00:0::/64\"}", "[]"},
    {"{}",
     "{\"linger\": 0, \"mode\": \"host\", \"nat44\": false, \"subnet\": \"10.0.0.0/24\","
     " \"reservations\": [{\"mac\": \"52:54:00:00:00:01\", \"ip\": \"10.0.0.9\"}],"
     " \"dhcpOptions\": [{\"code\": 42, \"value\": 1}]}",
     "[\"mode\",\"nat44\",\"subnet\",\"reservations\",\"dhcpOptions\",\"linger\"]"},
    {"{}",
     "{\"hostLoopback\": true, \"forwards\": [\"80:web:80\"], \"egress\": {\"deny\": [\"*\"]}}",
     "[\"hostLoopback\",\"forwards\",\"egress\"]"},
    {"{\"forwards\": [\"80:web:80\"], \"egress\": {\"deny\": [\"1.2.3.4\"]}}",
     "{\"forwards\": [{\"to\": \"web:80\", \"listen\": 80}],"
     " \"egress\": {\"deny\": [\"1.2.3.4/32\"], \"default\": \"allow\"}}",
     "[]"},
    {"{\"dhcpOptions\": [{\"code\": 42, \"value\": \"1\"}]}",
     "{\"dhcpOptions\": [{\"value\": 1, \"code\": 42}]}", "[]"},
};

static void test_differs(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(differences); i++) {
        OWN(json) json_t *wanted = json_loads(differences[i].wanted, 0, NULL);
        OWN(json) json_t *differs = NULL;
        OWN(spec) struct spec running = {0};
        OWN(buf) struct buf lines = BUF_NULL;
        OWN(mem) char *text = NULL;

        CHECK_INT(parse(differences[i].running, &running, &lines), 0);
        differs = spec_differs(&running, wanted);
        text = json_dumps(differs, JSON_COMPACT);
        CHECK_TEXT(text, differences[i].differs);
    }
}

/* What is written, and its canonical form; or "" and what is wrong with it. */
static const struct {
    const char *text, *canonical, *wrong;
} forwards[] = {
    {"8080:web:80", "127.0.0.1:8080:web:80/tcp", ""},
    {"1:0:65535/udp", "127.0.0.1:1:0:65535/udp", ""},
    {"0.0.0.0:8000-8010:10.0.0.2:0-10", "", "\"0-10\" is not a port"},
    {"0.0.0.0:8000-8010:10.0.0.2:80-90/tcp", "0.0.0.0:8000-8010:10.0.0.2:80-90/tcp", ""},
    {"127.0.0.5:22:Web-1:22", "127.0.0.5:22:Web-1:22/tcp", ""},
    {"[::1]:80:[FD00:0::9]:80", "[::1]:80:[fd00::9]:80/tcp", ""},
    {"[::]:80-80:web:80", "[::]:80:web:80/tcp", ""},
    {"80:[fd00::9]:80/udp", "127.0.0.1:80:[fd00::9]:80/udp", ""},
    {"", "", "\"\" is not a forward"},
    {"/tcp", "", "\"/tcp\" is not a forward"},
    {"80", "", "\"80\" is not a forward"},
    {"web:80", "", "\"web:80\" is not a forward"},
    {"80:web:", "", "\"\" is not a port"},
    {":80:web:80", "", "\":80\" is not an address and port to listen on"},
    {"80::80", "", "\":80\" is not a guest and port"},
    {"80:80:web", "", "\"web\" is not a port"},
    {"0:web:80", "", "\"0\" is not a port"},
    {"65536:web:80", "", "\"65536\" is not a port"},
    {"080:web:80", "", "\"080\" is not a port"},
    {"9-8:web:9-8", "", "\"9-8\" is not a port"},
    {"8-:web:8", "", "\"8-\" is not a port"},
    {" 80:web:80", "", "\" 80\" is not a port"},
    {"80:web:80/", "", "\"\" is not a protocol"},
    {"80:web:80/TCP", "", "\"TCP\" is not a protocol"},
    {"80:web:80/tcp/udp", "", "\"80/tcp\" is not a port"},
    {"80-81:web:80", "", "80-81 and 80 are not equally many ports"},
    {"1-1025:web:1-1025", "", "\"1-1025\" are too many ports"},
    {"localhost:80:web:80", "", "\"localhost\" is not an IPv4 address"},
    {"[127.0.0.1]:80:web:80", "", "\"127.0.0.1\" is not an IPv6 address"},
    {"::1:80:web:80", "", "\"::1\" is not an IPv4 address"},
    {"[::1:80:web:80", "", "\"[::1:80:web:80\" is not a forward"},
    {"[fe80::1]:80:web:80", "", "\"fe80::1\" is a link-local address"},
    {"[::ffff:127.0.0.1]:80:web:80", "", "\"::ffff:127.0.0.1\" is an IPv4 address in IPv6 form"},
    {"224.0.0.1:80:web:80", "", "\"224.0.0.1\" is a multicast or reserved address"},
    {"[ff02::1]:80:web:80", "", "\"ff02::1\" is a multicast address"},
    {"80:web.lab.internal:80", "",
     "\"web.lab.internal\" is neither a guest's name nor its address"},
    {"80:[web]:80", "", "\"web\" is neither a guest's name nor its address"},
    {"80:-web:80", "", "\"-web\" can't be the name of a guest"},
    {"80:fd00::9:80", "", "\"80:fd00\" is not an IPv4 address"},
};

static void test_forwards(void)
{
    char listen[FORWARD_TEXT_SIZE], to[FORWARD_TEXT_SIZE], text[FORWARD_TEXT_SIZE];
    struct forward forward, again;
    struct error error;

    for (size_t i = 0; i < ARRAY_SIZE(forwards); i++) {
        int r = forward_parse(forwards[i].text, &forward, &error);

        CHECK_TEXT(r < 0 ? error.reason : "", forwards[i].wrong);
        CHECK_TEXT(r < 0 ? "" : forward_text(&forward, text), forwards[i].canonical);
        CHECK(r == 0 || error.hint[0]);
        if (r < 0)
            continue;
        CHECK_INT(forward_parse(text, &again, &error), 0);
        CHECK(memcmp(&forward, &again, sizeof(again)) == 0);
    }
    CHECK_INT(forward_parse("[::1]:80:[fd00::9]:81/udp", &forward, &error), 0);
    CHECK_TEXT(forward_listen_text(&forward, listen), "[::1]:80");
    CHECK_TEXT(forward_to_text(&forward, to), "[fd00::9]:81");
    CHECK(forward.family == AF_INET6 && forward.protocol == IPPROTO_UDP);
    CHECK(forward.ports.first == 80 && forward.guest_ports.last == 81);
    CHECK_TEXT(forward.guest, "fd00::9");
}

static void test_forward_overlaps(void)
{
    static const struct {
        const char *a, *b;
        bool overlap;
    } pairs[] = {
        {"80:web:80", "80:web:80", true},
        {"80:web:80", "81:web:80", false},
        {"80:web:80", "80:web:80/udp", false},
        {"80-90:web:80-90", "127.0.0.1:90-99:b:1-10", true},
        {"80:web:80", "127.0.0.2:80:web:80", false},
        {"0.0.0.0:80:web:80", "127.0.0.2:80:web:80", true},
        {"[::1]:80:web:80", "80:web:80", false},
        {"[::]:80:web:80", "0.0.0.0:80:web:80", false},
        {"[::]:80:web:80", "[::1]:80:web:80", true},
        {"[::2]:80:web:80", "[::1]:80:web:80", false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        struct forward a, b;

        CHECK_INT(forward_parse(pairs[i].a, &a, NULL), 0);
        CHECK_INT(forward_parse(pairs[i].b, &b, NULL), 0);
        CHECK_INT(forward_overlaps(&a, &b), pairs[i].overlap);
        CHECK_INT(forward_overlaps(&b, &a), pairs[i].overlap);
    }
}

static void test_forward_guests(void)
{
    static const struct {
        const char *text;
        bool possible;
    } guests[] = {
        {"80:web:80", true},          {"80:10.7.0.2:80", true},   {"80:10.7.0.254:80", true},
        {"80:10.7.0.0:80", false},    {"80:10.7.0.1:80", false},  {"80:10.7.0.255:80", false},
        {"80:10.7.1.2:80", false},    {"80:127.0.0.1:80", false}, {"80:[fd00:7::9]:80", true},
        {"80:[fd00:8::9]:80", false}, {"80:[::1]:80", false},
    };
    OWN(spec) struct spec spec = {0}, open = {0};
    OWN(buf) struct buf lines = BUF_NULL;

    CHECK_INT(parse("{\"subnet\":\"10.7.0.0/24\",\"subnet6\":\"fd00:7::/64\"}", &spec, &lines), 0);
    CHECK_INT(parse("{}", &open, &lines), 0);
    for (size_t i = 0; i < ARRAY_SIZE(guests); i++) {
        struct forward forward;

        CHECK_INT(forward_parse(guests[i].text, &forward, NULL), 0);
        CHECK_INT(forward_check_guest(&forward, &spec, NULL) == 0, guests[i].possible);
        CHECK_INT(forward_check_guest(&forward, &open, NULL), 0);
    }
}

static void test_egress(void)
{
    OWN(spec) struct spec spec = {0};
    OWN(buf) struct buf lines = BUF_NULL;
    const struct spec_egress_entry *entries;

    CHECK_INT(parse("{\"egress\":{\"default\":\"deny\",\"allow\":[\"*\",\"10.0.0.0/8/udp\","
                    "\"[2001:db8::/32]:1-2/tcp\",\"0.0.0.0/0:443\",\"::/0\",\"[fd00::1]\"]}}",
                    &spec, &lines),
              0);
    CHECK(spec.egress.deny && spec.egress.allowed.count == 6 && spec.egress.denied.count == 0);
    entries = spec.egress.allowed.entries;
    CHECK(entries[0].family == AF_UNSPEC && !entries[0].protocol && !entries[0].ports.first);
    CHECK(entries[1].family == AF_INET && entries[1].protocol == IPPROTO_UDP);
    CHECK(entries[1].subnet.v4.prefix == 8 && !entries[1].ports.first);
    CHECK(entries[2].family == AF_INET6 && entries[2].protocol == IPPROTO_TCP);
    CHECK(entries[2].subnet.v6.prefix == 32 && entries[2].ports.last == 2);
    CHECK(entries[3].subnet.v4.prefix == 0 && entries[3].ports.first == 443);
    CHECK(entries[4].family == AF_INET6 && entries[4].subnet.v6.prefix == 0);
    CHECK_INT(entries[5].subnet.v6.prefix, 128);
}

static void test_names(void)
{
    static const char *const good[] = {"a", "0", "shared", "a-b_c",
                                       "abcdefghijklmnopqrstuvwxyz012345"};
    static const char *const bad[] = {"",
                                      "A",
                                      "-a",
                                      "a-",
                                      "_a",
                                      "a_",
                                      "a b",
                                      "a.b",
                                      "a/b",
                                      "..",
                                      "\xc3\xa4",
                                      "a\n",
                                      "abcdefghijklmnopqrstuvwxyz0123456"};
    static const char *const good_guests[] = {"a", "Web-1", "1"};
    static const char *const bad_guests[] = {"", "a_b", "-a", "a-", "a.b", "\xff"};
    struct error error;
    char label[65];

    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        CHECK_INT(spec_check_name(good[i], NULL), 0);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        CHECK_INT(spec_check_name(bad[i], &error), -EINVAL);
    for (size_t i = 0; i < ARRAY_SIZE(good_guests); i++)
        CHECK_INT(spec_check_guest_name(good_guests[i], NULL), 0);
    for (size_t i = 0; i < ARRAY_SIZE(bad_guests); i++)
        CHECK_INT(spec_check_guest_name(bad_guests[i], &error), -EINVAL);
    memset(label, 'a', sizeof(label));
    label[63] = '\0';
    CHECK_INT(spec_check_guest_name(label, NULL), 0);
    label[63] = 'a';
    label[64] = '\0';
    CHECK_INT(spec_check_guest_name(label, &error), -EINVAL);
}

static void test_subnet(void)
{
    static const char *const bad[] = {"10.0.0.0",     "10.0.0.0/",
                                      "10.0.0.0/33",  "10.0.0.0/08",
                                      "10.0.0.0/-1",  "10.0.0/24",
                                      "10.0.0.1/24",  "10.0.0.0/24 ",
                                      " 10.0.0.0/24", "010.0.0.0/8",
                                      "/24",          "",
                                      "10.0.0.0/2/4", "10.0.0.0/999999999999"};
    struct subnet4 a, b;
    char text[SUBNET4_TEXT_SIZE];
    struct in_addr ip;

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        CHECK_INT(subnet4_parse(bad[i], &a), -EINVAL);
    CHECK_INT(subnet4_parse("255.255.255.255/32", &a), 0);
    CHECK_TEXT(subnet4_text(&a, text), "255.255.255.255/32");
    CHECK_INT(subnet4_parse("0.0.0.0/0", &a), 0);
    CHECK_TEXT(subnet4_text(&a, text), "0.0.0.0/0");
    CHECK_INT(subnet4_parse("10.1.0.0/16", &a), 0);
    CHECK_INT(subnet4_parse("10.1.128.0/17", &b), 0);
    CHECK(subnet4_overlaps(&a, &b) && subnet4_overlaps(&b, &a) && subnet4_overlaps(&a, &a));
    inet_pton(AF_INET, "10.1.127.255", &ip);
    CHECK(subnet4_contains(&a, ip) && !subnet4_contains(&b, ip));
    CHECK_INT(ntohl(subnet4_gateway(&b).s_addr), 0x0a018001);
    CHECK_INT(ntohl(subnet4_broadcast(&b).s_addr), 0x0a01ffff);
    CHECK_INT(subnet4_parse("10.2.0.0/16", &b), 0);
    CHECK(!subnet4_overlaps(&a, &b) && !subnet4_overlaps(&b, &a));
}

static void test_subnet6(void)
{
    static const char *const bad[] = {"fd00::",     "fd00::/63",    "fd00::/65",  "fd00::1/64",
                                      "fd00::/064", "fd00::%lo/64", "10.0.0.0/64"};
    OWN(buf) struct buf lines = BUF_NULL;
    OWN(spec) struct spec spec = {0};
    char json[80], text[SUBNET6_TEXT_SIZE];

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        snprintf(json, sizeof(json), "{\"subnet6\": \"%s\"}", bad[i]);
        CHECK_INT(parse(json, &spec, &lines), -EINVAL);
    }
    CHECK_INT(parse("{\"subnet6\": \"FD00:1:2:ffff:0:0:0:0/64\"}", &spec, &lines), 0);
    CHECK_TEXT(subnet6_text(&spec.subnet6, text), "fd00:1:2:ffff::/64");
}

static void test_mac(void)
{
    static const char *const bad[] = {"",
                                      "52:54:00:12:34",
                                      "52:54:00:12:34:5",
                                      "52:54:00:12:34:567",
                                      "52:54:00:12:34-56",
                                      "525400123456",
                                      "52.54.00.12.34.56",
                                      "g2:54:00:12:34:56",
                                      " 52:54:00:12:34:5"};
    uint8_t mac[6];
    char text[MAC_TEXT_SIZE];

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        CHECK_INT(mac_parse(bad[i], mac), -EINVAL);
    CHECK_INT(mac_parse("00:00:00:00:00:00", mac), -EADDRNOTAVAIL);
    CHECK_INT(mac_parse("01:00:5e:00:00:01", mac), -EADDRNOTAVAIL);
    CHECK_INT(mac_parse("ff:ff:ff:ff:ff:ff", mac), -EADDRNOTAVAIL);
    CHECK_INT(mac_parse("52-54-00-aB-Cd-09", mac), 0);
    CHECK_TEXT(mac_text(mac, text), "52:54:00:ab:cd:09");
}

static const struct test tests[] = {
    {"the canonical form has every key and stays itself", test_canonical},
    {"every key reaches its field", test_fields},
    {"faults of a request carry its fields", test_request_faults},
    {"faults are counted beyond what is kept, lists are limited", test_limits},
    {"only what was asked for and differs is named", test_differs},
    {"forwards, right and wrong", test_forwards},
    {"forwards that can't listen together", test_forward_overlaps},
    {"guests that forwards can lead to", test_forward_guests},
    {"destinations of egress", test_egress},
    {"names of networks and guests", test_names},
    {"IPv4 subnets", test_subnet},
    {"IPv6 subnets", test_subnet6},
    {"MAC addresses", test_mac},
};

TEST_MAIN(tests)
