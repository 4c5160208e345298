/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interface definitions: what parses and what does not, with line and column; and that the
 * project's own definitions parse. They are found from the project's root, where tests run. What is
 * said of parameters that do not fit is in test-call.c.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/json.h"
#include "base/own.h"
#include "base/test.h"
#include "wire/idl-private.h"

#define HEAD "interface a.b\n"

static void no_handler(struct call *call)
{
    (void)call;
    abort();
}

static const struct method no_methods[] = {{0}};

static const struct wrong {
    const char *text, *error;
} wrong[] = {
    {"", "interface:1:1: found the end, expected \"interface \""},
    {"# only a comment", "interface:1:17: found the end, expected \"interface \""},
    {"interfaces a.b", "interface:1:1: found \"interfaces\", expected \"interface \""},
    {"interface", "interface:1:1: found \"interface\", expected \"interface \""},
    {"interface ", "interface:1:11: found the end, expected the name of the interface"},
    {"interface 1.b", "interface:1:11: found \"1\", expected the name of the interface"},
    {"interface a\n", "interface:1:12: the name of an interface has at least one dot"},
    {"interface a..b\n", "interface:1:12: the name of an interface has at least one dot"},
    {"interface a.b.\n", "a.b:1:14: found \".\", expected \"type\", \"method\" or \"error\""},
    {HEAD "typ A ()", "a.b:2:1: found \"typ\", expected \"type\", \"method\" or \"error\""},
    {HEAD "type", "a.b:2:1: found \"type\", expected \"type\", \"method\" or \"error\""},
    {HEAD "type a ()", "a.b:2:6: found \"a\", expected a name that begins with a capital letter"},
    {HEAD "type A", "a.b:2:7: found the end, expected \"(\""},
    {HEAD "type A int", "a.b:2:8: found \"int\", expected \"(\""},
    {HEAD "type A ()\ntype A ()", "a.b:3:6: \"A\" is there twice"},
    {HEAD "type A ()\nerror A ()", "a.b:3:7: \"A\" is there twice"},
    {HEAD "type A (", "a.b:2:9: found the end, expected the name of a field"},
    {HEAD "type A (a", "a.b:2:10: found the end, expected \")\""},
    {HEAD "type A (a,)", "a.b:2:11: found \")\", expected the name of a field"},
    {HEAD "type A (a, a)", "a.b:2:12: \"a\" is there twice"},
    {HEAD "type A (a, b: int)", "a.b:2:13: found \":\", expected \")\""},
    {HEAD "type A (a: int, b)", "a.b:2:18: found \")\", expected \":\""},
    {HEAD "type A (a:)", "a.b:2:11: found \")\", expected a type"},
    {HEAD "type A (a: text)", "a.b:2:12: found \"text\", expected a type"},
    {HEAD "type A (a: [int]string)", "a.b:2:12: found \"[\", expected a type"},
    {HEAD "type A (a: int b: int)", "a.b:2:16: found \"b\", expected \")\""},
    {HEAD "type A (_a: int)", "a.b:2:9: found \"_a\", expected the name of a field"},
    {HEAD "type A (a_: int)", "a.b:2:10: found \"_\", expected \")\""},
    {HEAD "type A (a: B)", "a.b:2:12: there is no type \"B\""},
    {HEAD "type A (a: []?[string](c: B))", "a.b:2:27: there is no type \"B\""},
    {HEAD "error B ()\ntype A (a: B)", "a.b:3:12: there is no type \"B\""},
    {HEAD "method A", "a.b:2:9: found the end, expected \"(\""},
    {HEAD "method A()", "a.b:2:11: found the end, expected \"->\""},
    {HEAD "method A() -> int", "a.b:2:15: found \"int\", expected \"(\""},
    {HEAD "method A(a, b) -> ()", "a.b:2:9: found an enum, expected fields with types"},
    {HEAD "method A() -> (a)", "a.b:2:15: found an enum, expected fields with types"},
    {HEAD "method A() -> ()", "a.b:2:9: method A has no handler"},
    {HEAD "error A", "a.b:2:8: found the end, expected \"(\""},
    {HEAD "\n  # c\n  method  A ( )  ->  ( x : \n zz )", "a.b:5:2: found \"zz\", expected a type"},
};

static void test_wrong(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct interface *interface = NULL;
        char text[ERROR_TEXT_SIZE];
        struct error error;

        CHECK_INT(interface_new(wrong[i].text, no_methods, &interface, &error), -EINVAL);
        CHECK(!interface);
        CHECK_TEXT(error_text(&error, text, sizeof(text)), wrong[i].error);
    }
}

static void test_handler_without_method(void)
{
    static const struct method methods[] = {{.name = "B", .handle = no_handler}, {0}};
    struct interface *interface = NULL;
    struct error error;

    CHECK_INT(interface_new(HEAD "type B ()", methods, &interface, &error), -EINVAL);
    CHECK_TEXT(error.reason, "there is no method B for its handler");
    CHECK(!interface);
}

/* Every construct once, spaces and comments at odd places, and recursion. */
static void test_right(void)
{
    static const char text[] =
        "# a\n\tinterface a-b.c1.d # b\r\n"
        "type Color(red,green)type Empty()\n"
        "type Tree (leaf: ?int, in: ? Tree, all: [][]Tree, at: [string]Tree,\n"
        "  one_two: (x: float, y: bool), kind: (a, b), any: object)#c\n"
        "method Go(tree: Tree, c:Color)->(s:string)\n"
        "error Bad()";
    static const struct method methods[] = {{.name = "Go", .handle = no_handler}, {0}};
    struct interface *interface = NULL;
    struct error error = {0};

    interface_new(text, methods, &interface, &error);
    CHECK_TEXT(error.reason, "");
    CHECK_TEXT(interface_name(interface), "a-b.c1.d");
    CHECK(interface_text(interface) == text);
    CHECK(interface_method(interface, "Go") == &methods[0]);
    CHECK(!interface_method(interface, "Bad"));
    CHECK(!interface_method(interface, "Tree"));
    CHECK(!interface_method(interface, "go"));
    interface_free(interface);
    interface_free(NULL);
}

#define TREE(inside)                                                                          \
    "{\"one_two\":{\"x\":1,\"y\":true},\"kind\":\"a\",\"any\":{\"z\":[]},\"all\":[],\"at\":{" \
    "}" inside "}"

static void test_check(void)
{
    static const char text[] = HEAD "type Tree (in: ?Tree, all: [][]Tree, at: [string]Tree,\n"
                                    "  one_two: (x: float, y: bool), kind: (a, b), any: object)\n"
                                    "method Go(tree: ?Tree) -> ()";
    static const struct method methods[] = {{.name = "Go", .handle = no_handler}, {0}};
    static const struct wrong values[] = {
        {"{}", ""},
        {"{\"tree\":null}", ""},
        {"{\"tree\":" TREE("") "}", ""},
        {"{\"tree\":" TREE(",\"in\":" TREE("")) "}", ""},
        {"{\"tree\":" TREE(",\"in\":" TREE(",\"in\":5")) "}",
         "Go.tree.in.in: found the integer 5, expected an object; Go.tree.in.in has the fields in, "
         "all, at, one_two, kind, any"},
        {"{\"tree\":" TREE(",\"in\":{}") "}",
         "Go.tree.in.all: found nothing, expected an array; send an array such as []"},
        {"{\"tree\":{\"all\":[[],[1]]}}",
         "Go.tree.all[1][0]: found the integer 1, expected an object; Go.tree.all[1][0] has the "
         "fields in, all, at, one_two, kind, any"},
        {"{\"tree\":{\"all\":[],\"at\":{\"k\":false}}}",
         "Go.tree.at.k: found false, expected an object; Go.tree.at.k has the fields in, all, at, "
         "one_two, kind, any"},
        {"{\"tree\":{\"all\":[],\"at\":{},\"one_two\":{\"x\":1e2,\"y\":1}}}",
         "Go.tree.one_two.y: found the integer 1, expected true or false; send true or false, "
         "without quotes"},
        {"{\"tree\":{\"all\":[],\"at\":{},\"one_two\":{\"x\":1,\"y\":true},\"kind\":\"\"}}",
         "Go.tree.kind: found the string \"\", expected one of its values; its values are a, b"},
        {"{\"\":1}", "Go.: found a field that is not known; Go has the fields tree"},
    };
    struct interface *interface = NULL;
    struct error error = {0};
    char found[ERROR_TEXT_SIZE];

    interface_new(text, methods, &interface, &error);
    CHECK_TEXT(error.reason, "");
    CHECK_INT(interface_check(interface, "Go", NULL, NULL), 0);
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        OWN(json) json_t *json = json_loads(values[i].text, 0, NULL);

        error = (struct error){0};
        CHECK(json);
        CHECK_INT(interface_check(interface, "Go", json, &error), values[i].error[0] ? -EINVAL : 0);
        CHECK_TEXT(error_text(&error, found, sizeof(found)), values[i].error);
    }
    CHECK_INT(interface_check(interface, "Tree", NULL, &error), -ENOSYS);
    CHECK_TEXT(error.hint, "a.b has the methods Go");
    interface_free(interface);
}

/* A value nested as deep as a message can be. */
static void test_deep(void)
{
    static const char text[] = HEAD "type T (t: ?T) method Go(t: T) -> ()";
    static const struct method methods[] = {{.name = "Go", .handle = no_handler}, {0}};
    struct interface *interface = NULL;
    json_t *json = json_object();

    CHECK_INT(interface_new(text, methods, &interface, NULL), 0);
    for (int depth = 1; depth < JSON_PARSER_MAX_DEPTH; depth++)
        json = json_pack("{s:o}", "t", json);
    CHECK_INT(interface_check(interface, "Go", json, NULL), 0);
    json_decref(json);
    interface_free(interface);
}

/* Entries for all methods a text seems to have: lines that begin with "method ". */
static size_t methods_find(const char *text, struct method *methods, size_t count)
{
    size_t found = 0;

    for (const char *at = text; (at = strstr(at, "\nmethod ")); at++) {
        CHECK(found + 1 < count);
        methods[found].name = alloc_printf("%.*s", (int)strcspn(at + 8, "( "), at + 8);
        methods[found++].handle = no_handler;
    }
    return found;
}

static void definition_check(const char *path)
{
    OWN(file) FILE *file = fopen(path, "re");
    struct interface *interface = NULL;
    struct method methods[32] = {0};
    struct error error = {0};
    char text[16384] = {0};
    size_t count;

    if (!file)
        printf("# no %s: run this in the project's root\n", path);
    CHECK(file);
    CHECK(fread(text, 1, sizeof(text) - 1, file) > 0);
    count = methods_find(text, methods, ARRAY_SIZE(methods));
    CHECK(count > 0);
    interface_new(text, methods, &interface, &error);
    CHECK_TEXT(error.where, "");
    CHECK_TEXT(error.reason, "");
    for (size_t i = 0; i < count; i++) {
        CHECK(interface_method(interface, methods[i].name) == &methods[i]);
        free((char *)methods[i].name);
    }
    interface_free(interface);
}

static void test_definitions(void)
{
    definition_check("src/wire/io.vmlan.Broker.varlink");
    definition_check("src/network/io.vmlan.Holder.varlink");
}

static const struct test tests[] = {
    {"what is wrong in a definition is told with its place", test_wrong},
    {"a handler without a method is told", test_handler_without_method},
    {"every construct of the language", test_right},
    {"parameters are checked through every kind of type", test_check},
    {"parameters as deep as JSON may be", test_deep},
    {"the project's own definitions", test_definitions},
};

TEST_MAIN(tests)
