/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is answered to requests: to wrong ones word for word, and to those of org.varlink.service.
 * An answer is compared as "error | the standard's field | field | reason | hint".
 */
#include "base/alloc.h"
#include "base/buf.h"
#include "made/version.h"
#include "wire/test-peer.h"

#define PARAMETER  "org.varlink.service.InvalidParameter | parameter | "
#define METHOD     "org.varlink.service.MethodNotFound | method | method | "
#define INTERFACE  "org.varlink.service.InterfaceNotFound | interface | "
#define MESSAGE    PARAMETER "message | "
#define UNREADABLE MESSAGE "not readable as a JSON object: "
#define FIELD      "org.example.test.InvalidParameter | - | "
#define OBJECT_HINT \
    "send one JSON object such as {\"method\": \"org.varlink.service.GetInfo\"} and a NUL byte"
#define NAME_HINT       "send a method's full name such as \"org.varlink.service.GetInfo\""
#define KEYS_HINT       "the fields of a request are method, parameters, oneway, more, upgrade"
#define INTERFACES_HINT "the interfaces are org.varlink.service, org.example.test"
#define METHODS_HINT \
    "org.example.test has the methods Echo, Types, Need, Hold, Swap, Fail, Finish, Free"
#define CALL(method, parameters) \
    "{\"method\":\"org.example.test." method "\",\"parameters\":" parameters "}"

struct wrong {
    const char *request, *reply;
};

/* After these nobody knows where the next message begins: the connection ends. */
static const struct wrong broken[] = {
    {"", UNREADABLE "line 1, column 0: '[' or '{' expected near end of file | " OBJECT_HINT},
    {"x", UNREADABLE "line 1, column 1: '[' or '{' expected near 'x' | " OBJECT_HINT},
    {"17", UNREADABLE "line 1, column 2: '[' or '{' expected near '17' | " OBJECT_HINT},
    {"[]", MESSAGE "found a JSON array, expected a JSON object | " OBJECT_HINT},
    {"[{\"method\":\"a.b\"}]", MESSAGE "found a JSON array, expected a JSON object | " OBJECT_HINT},
    {"{", UNREADABLE "line 1, column 1: string or '}' expected near end of file | " OBJECT_HINT},
    {"{\"method\":\"a.b\",\"method\":\"a.b\"}",
     UNREADABLE "line 1, column 24: duplicate object key near '\"method\"' | " OBJECT_HINT},
    {"{\"method\":\"a\\u0000b\"}", UNREADABLE "line 1, column 20: \\u0000 is not allowed without "
                                              "JSON_ALLOW_NUL near '\"a\\u0000b\"' | " OBJECT_HINT},
    {"{\"method\":\"a.b\"} x",
     UNREADABLE "line 1, column 18: end of file expected near 'x' | " OBJECT_HINT},
    {"\"a\"", UNREADABLE "line 1, column 3: '[' or '{' expected near '\"a\"' | " OBJECT_HINT},
    {"{\"method\":\"\xff\"}",
     UNREADABLE "line 1, column 11: unable to decode byte 0xff near '\"' | " OBJECT_HINT},
    {CALL("Types", "{\"number\":99999999999999999999}"),
     UNREADABLE "line 1, column 78: too big integer near '99999999999999999999' | " OBJECT_HINT},
};

/* After these the connection goes on. */
static const struct wrong wrong[] = {
    {"{}", PARAMETER "method | found nothing, expected a string | " NAME_HINT},
    {"{\"parameters\":{}}", PARAMETER "method | found nothing, expected a string | " NAME_HINT},
    {"{\"method\":5}", PARAMETER "method | found the integer 5, expected a string | " NAME_HINT},
    {"{\"method\":null}", PARAMETER "method | found null, expected a string | " NAME_HINT},
    {CALL("Echo", "[]"), PARAMETER "parameters | found an array, expected an object | send an "
                                   "object of the method's parameters such as {}"},
    {CALL("Echo", "null"), PARAMETER "parameters | found null, expected an object | send an object "
                                     "of the method's parameters such as {}"},
    {"{\"method\":\"org.example.test.Echo\",\"oneway\":1}",
     PARAMETER "oneway | found the integer 1, expected true or false | send true for a request "
               "without a reply"},
    {"{\"method\":\"org.example.test.Echo\",\"more\":\"yes\"}",
     PARAMETER "more | found the string \"yes\", expected true or false | send true for a request "
               "with several replies"},
    {"{\"method\":\"org.example.test.Echo\",\"upgrade\":0.5}",
     PARAMETER "upgrade | found the real number 0.5, expected true or false | leave it out: "
               "upgrades are not supported"},
    {"{\"method\":\"org.example.test.Echo\",\"upgrade\":true}", PARAMETER
     "upgrade | found true, expected false or nothing | leave it out: upgrades are not supported"},
    {"{\"method\":\"org.example.test.Echo\",\"Parameters\":{}}",
     PARAMETER "Parameters | found a field that no request has | " KEYS_HINT},
    {"{\"method\":\"org.example.test.Echo\",\"continues\":true}",
     PARAMETER "continues | found a field that no request has | " KEYS_HINT},
    {"{\"method\":\"Echo\"}",
     METHOD "found no interface in \"Echo\" | send interface, dot, method"},
    {"{\"method\":\"\"}", METHOD "found no interface in \"\" | send interface, dot, method"},
    {"{\"method\":\".\"}", INTERFACE "method | found no interface \"\" | " INTERFACES_HINT},
    {"{\"method\":\"org.example.test.\"}",
     METHOD "found no method \"org.example.test.\" | " METHODS_HINT},
    {"{\"method\":\"org.example.test.Ech\"}",
     METHOD "found no method \"org.example.test.Ech\" | " METHODS_HINT},
    {"{\"method\":\"org.example.test.Mode\"}",
     METHOD "found no method \"org.example.test.Mode\" | " METHODS_HINT},
    {"{\"method\":\"org.example.tes.Echo\"}",
     INTERFACE "method | found no interface \"org.example.tes\" | " INTERFACES_HINT},
    {"{\"method\":\"org.varlink.service.Get\"}",
     METHOD "found no method \"org.varlink.service.Get\" | org.varlink.service has the methods "
            "GetInfo, GetInterfaceDescription"},
    {"{\"method\":\"org.varlink.service.GetInfo\",\"parameters\":{\"a\":1}}",
     PARAMETER "GetInfo.a | found a field that is not known | GetInfo has no fields"},
    {"{\"method\":\"org.varlink.service.GetInterfaceDescription\"}",
     PARAMETER "GetInterfaceDescription.interface | found nothing, expected a string | send a "
               "string such as \"name\""},
    {"{\"method\":\"org.varlink.service.GetInterfaceDescription\",\"parameters\":{\"interface\":1}"
     "}",
     PARAMETER "GetInterfaceDescription.interface | found the integer 1, expected a string | send "
               "a string such as \"name\""},
    {"{\"method\":\"org.varlink.service.GetInterfaceDescription\",\"parameters\":{\"interface\":"
     "\"a.b\"}}",
     INTERFACE "GetInterfaceDescription.interface | found no interface \"a.b\" | " INTERFACES_HINT},
    {CALL("Echo", "{\"test\":1}"),
     FIELD "Echo.test | found a field that is not known | Echo has the fields text"},
    {CALL("Echo", "{\"text\":1}"),
     FIELD "Echo.text | found the integer 1, expected a string | send a string such as \"name\""},
    {CALL("Hold", "{\"text\":1}"),
     FIELD "Hold.text | found a field that is not known | Hold has no fields"},
    {"{\"method\":\"org.example.test.Need\"}",
     FIELD "Need.text | found nothing, expected a string | send a string such as \"name\""},
    {CALL("Need", "{\"text\":null}"),
     FIELD "Need.text | found null, expected a string | send a string such as \"name\""},
    {CALL("Types", "{\"flag\":\"true\"}"),
     FIELD "Types.flag | found the string \"true\", expected true or false | send true or false, "
           "without quotes"},
    {CALL("Types", "{\"number\":1.0}"), FIELD
     "Types.number | found the real number 1, expected an integer | send a whole number such as 4"},
    {CALL("Types", "{\"real\":\"1\"}"),
     FIELD "Types.real | found the string \"1\", expected a number | send a number such as 1.5"},
    {CALL("Types", "{\"mode\":1}"),
     FIELD "Types.mode | found the integer 1, expected a string | its values are one, two"},
    {CALL("Types", "{\"mode\":\"three\"}"),
     FIELD "Types.mode | found the string \"three\", expected one of its values | its values are "
           "one, two"},
    {CALL("Types", "{\"box\":\"one\"}"), FIELD "Types.box | found the string \"one\", expected an "
                                               "object | Types.box has the fields mode, size"},
    {CALL("Types", "{\"box\":{}}"),
     FIELD "Types.box.mode | found nothing, expected a string | its values are one, two"},
    {CALL("Types", "{\"box\":{\"mode\":\"one\",\"weight\":1}}"), FIELD
     "Types.box.weight | found a field that is not known | Types.box has the fields mode, size"},
    {CALL("Types", "{\"list\":{}}"),
     FIELD "Types.list | found an object, expected an array | send an array such as []"},
    {CALL("Types", "{\"list\":[{\"mode\":\"one\"},{\"mode\":\"x\"}]}"),
     FIELD "Types.list[1].mode | found the string \"x\", expected one of its values | its values "
           "are one, two"},
    {CALL("Types", "{\"list\":[null]}"), FIELD
     "Types.list[0] | found null, expected an object | Types.list[0] has the fields mode, size"},
    {CALL("Types", "{\"map\":{\"a\":1,\"b\":\"c\"}}"), FIELD
     "Types.map.b | found the string \"c\", expected an integer | send a whole number such as 4"},
    {CALL("Types", "{\"map\":[]}"),
     FIELD "Types.map | found an array, expected an object | send an object such as {}"},
    {CALL("Types", "{\"any\":[]}"),
     FIELD "Types.any | found an array, expected an object | send an object such as {}"},
    {"{\"method\":\"org.example.test.Swap\"}",
     FIELD "Swap.fds | found 0, expected 1 to 40 | send as many file descriptors beside the "
           "request (SCM_RIGHTS)"},
    {CALL("Fail", "{\"hint\":\"\"}"), "org.example.test.Conflict | - | Fail.hint | taken | (null)"},
    {CALL("Fail", "{\"hint\":\"wait\"}"),
     "org.example.test.Conflict | - | Fail.hint | taken | wait"},
    {"{\"method\":\"org.example.test.Echo\",\"more\":0,\"oneway\":true}", ""},
    {"{\"method\":\"org.example.test.Echo\",\"more\":true,\"oneway\":true}", ""},
    {"{\"method\":\"org.example.test.Nothing\",\"oneway\":true}", ""},
};

static const char *text_or_null(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));

    return text ? text : "(null)";
}

static void error_check(const char *reply, const char *expected)
{
    static const char *const names[] = {"parameter", "method", "interface"};
    OWN(json) json_t *json = json_loads(reply, 0, NULL);
    json_t *parameters = json_object_get(json, "parameters");
    OWN(mem) char *flat = NULL;
    const char *standard = "-";

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (json_object_get(parameters, names[i]))
            standard = names[i];
    flat = alloc_printf("%s | %s | %s | %s | %s", text_or_null(json, "error"), standard,
                        text_or_null(parameters, "field"), text_or_null(parameters, "reason"),
                        text_or_null(parameters, "hint"));
    CHECK_TEXT(reply[0] ? flat : "", expected);
}

static void test_broken(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
        peer_start();
        peer_send(broken[i].request);
        error_check(peer_receive(), broken[i].reply);
        CHECK_TEXT(peer_receive(), "EOF");
        CHECK_INT(peer.closed, 1);
        CHECK_INT(peer.error, 0);
        CHECK_INT(peer.handled, 0);
        peer_stop();
    }
}

static void test_wrong(void)
{
    peer_start();
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        peer_send(wrong[i].request);
        error_check(peer_receive(), wrong[i].reply);
    }
    peer_send(CALL("Echo", "{\"text\":\"on\"}"));
    CHECK_TEXT(peer_receive(), "{\"parameters\":{\"text\":\"on\"}}");
    CHECK_INT(peer.handled, 3); /* Fail twice and Echo */
    peer_stop();
}

/* One byte below the limit is no fault; at the limit the error names it and the connection ends. */
static void test_length(void)
{
    OWN(mem) char *text = alloc_zero(1, CONN_MESSAGE_MAX + 1);

    peer_start();
    memset(text, ' ', CONN_MESSAGE_MAX);
    memcpy(text, "{\"method\":\"org.example.test.Echo\"}", 34);
    for (size_t done = 0; done < CONN_MESSAGE_MAX; done += 4096) {
        text[CONN_MESSAGE_MAX - 1] = '\0';
        peer_send_bytes(text + done, 4096, NULL);
        peer_turn();
    }
    CHECK_TEXT(peer_receive(), "{\"parameters\":{}}");
    text[CONN_MESSAGE_MAX - 1] = ' ';
    for (size_t done = 0; done < CONN_MESSAGE_MAX; done += 4096) {
        peer_send_bytes(text + done, 4096, NULL);
        peer_turn();
    }
    error_check(peer_receive(), "org.example.test.LimitReached | - | message | found no end of the "
                                "message | send at most 262144 bytes, NUL included, in a message");
    CHECK_TEXT(peer_receive(), "EOF");
    peer_stop();
}

#define FDS_ERROR                                                                            \
    "org.example.test.LimitReached | - | message | found more file descriptors than can be " \
    "received | send at most 40 file descriptors in a message"

/* Few enough in each piece, too many in all. */
static void test_fds_in_pieces(void)
{
    struct fds fds = {.count = CONN_FDS_MAX};

    peer_start();
    peer_send_bytes("{", 1, &fds);
    fds.count = 1;
    peer_turn();
    peer_send_bytes("}", 2, &fds);
    error_check(peer_receive(), FDS_ERROR);
    CHECK_TEXT(peer_receive(), "EOF");
    peer_stop();
}

/* More than the control buffer takes: the kernel closes some, the connection the others. */
static void test_fds_at_once(void)
{
    char control[CMSG_SPACE(sizeof(int) * (CONN_FDS_MAX + 2))] __attribute__((aligned(8))) = {0};
    struct cmsghdr *rights = (struct cmsghdr *)control;
    struct iovec bytes = {.iov_base = "{\"method\":\"org.example.test.Swap\"}", .iov_len = 35};
    struct msghdr message = {.msg_iov = &bytes,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};

    /* All of them are fd 0. */
    *rights = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    rights->cmsg_len = CMSG_LEN(sizeof(int) * (CONN_FDS_MAX + 2));
    peer_start();
    CHECK_INT(sendmsg(peer.fd, &message, 0), 35);
    error_check(peer_receive(), FDS_ERROR);
    CHECK_TEXT(peer_receive(), "EOF");
    CHECK_INT(peer.handled, 0);
    peer_stop();
}

static void test_fd_count(void)
{
    struct fds fds = {.count = 1, .fd = {0}};

    peer_start();
    peer_send_bytes(CALL("Echo", "{}"), sizeof(CALL("Echo", "{}")), &fds);
    error_check(peer_receive(),
                FIELD "Echo.fds | found 1, expected 0 to 0 | send no file descriptors beside the "
                      "request");
    CHECK_INT(peer.handled, 0);
    peer_stop();
}

static void test_service(void)
{
    OWN(json) json_t *json = NULL;
    json_t *parameters;

    peer_start();
    peer_send("{\"method\":\"org.varlink.service.GetInfo\"}");
    CHECK_TEXT(
        peer_receive(),
        "{\"parameters\":{\"vendor\":\"vmlan\",\"product\":\"vmlan\",\"version\":\"" VMLAN_VERSION
        "\",\"url\":\"\",\"interfaces\":[\"org.varlink.service\",\"org.example.test\"]}}");
    peer_send("{\"method\":\"org.varlink.service.GetInterfaceDescription\","
              "\"parameters\":{\"interface\":\"org.example.test\"}}");
    json = json_loads(peer_receive(), 0, NULL);
    parameters = json_object_get(json, "parameters");
    CHECK_TEXT(text_or_null(parameters, "description"), peer_interface_text);
    peer_send("{\"method\":\"org.varlink.service.GetInterfaceDescription\","
              "\"parameters\":{\"interface\":\"org.varlink.service\"}}");
    CHECK(strstr(peer_receive(), "interface org.varlink.service\\n"));
    peer_stop();
}

static const struct test tests[] = {
    {"what is no message is answered and ends the connection", test_broken},
    {"a wrong request is answered with field, reason and hint", test_wrong},
    {"a message may be so long and no longer", test_length},
    {"too many descriptors for a message, in pieces", test_fds_in_pieces},
    {"too many descriptors for a message, at once", test_fds_at_once},
    {"descriptors beside a method that takes none are refused and closed", test_fd_count},
    {"org.varlink.service tells what there is", test_service},
};

TEST_MAIN(tests)
