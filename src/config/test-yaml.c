/* SPDX-License-Identifier: Apache-2.0 */
/* YAML to JSON: the core schema, aliases and their limits, and where things stand. */
#include "config/yaml.h"

#include <errno.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/own.h"
#include "base/test.h"

static int parse(const char *text, size_t size, struct yaml_document *ret, struct buf *lines)
{
    OWN(faults) struct faults faults = {0};
    char line[ERROR_TEXT_SIZE];
    int r = yaml_parse(text, size, "F", ret, &faults);

    for (size_t i = 0; i < faults.count; i++)
        buf_printf(lines, "%s\n", error_text(&faults.items[i], line, sizeof(line)));
    return r;
}

static const struct {
    const char *yaml, *json;
} good[] = {
    {"", "{}"},
    {"--- {}\n...\n", "{}"},
    {"a: [null, Null, NULL, ~, , nULL, 'null']", NULL},
    {"a: [null, Null, NULL, ~, nULL, 'null', \"\"]",
     "{\"a\":[null,null,null,null,\"nULL\",\"null\",\"\"]}"},
    {"a: [true, True, TRUE, false, False, FALSE]", "{\"a\":[true,true,true,false,false,false]}"},
    {"a: [yes, no, on, off, y, n, tRUE, 'true']",
     "{\"a\":[\"yes\",\"no\",\"on\",\"off\",\"y\",\"n\",\"tRUE\",\"true\"]}"},
    {"a: [0, 00, 010, +1, -1, 0x1F, 0o17]", "{\"a\":[0,0,10,1,-1,31,15]}"},
    {"a: [9223372036854775807, -9223372036854775808]",
     "{\"a\":[9223372036854775807,-9223372036854775808]}"},
    {"a: [9223372036854775808, 0x, 0o8, -0x1, 1_0, 0b1, '1', +, -]",
     "{\"a\":[\"9223372036854775808\",\"0x\",\"0o8\",\"-0x1\",\"1_0\",\"0b1\",\"1\",\"+\",\"-\"]}"},
    {"a: [1.5, -1.5, .5, 1., 1e3, 1.0E-2, +2.5]", "{\"a\":[1.5,-1.5,0.5,1.0,1000.0,0.01,2.5]}"},
    {"a: [.inf, -.Inf, .NaN, 1e999, ., 1e, e1, 1.2.3, 12:30]",
     "{\"a\":[\".inf\",\"-.Inf\",\".NaN\",\"1e999\",\".\",\"1e\",\"e1\",\"1.2.3\",\"12:30\"]}"},
    {"a: 52:54:00:12:34:56\nb: 10.0.0.0/24\nc: 2001-01-01",
     "{\"a\":\"52:54:00:12:34:56\",\"b\":\"10.0.0.0/24\",\"c\":\"2001-01-01\"}"},
    {"a: !!str 5\nb: !!int '5'\nc: !!float 5\nd: !!bool 'true'\ne: !!null ''\nf: !!map {}\ng: "
     "!!seq []",
     "{\"a\":\"5\",\"b\":5,\"c\":5,\"d\":true,\"e\":null,\"f\":{},\"g\":[]}"},
    {"a: |\n  x\n  y\nb: >-\n  x\n  y\n", "{\"a\":\"x\\ny\\n\",\"b\":\"x y\"}"},
    {"1: a\ntrue: b\n~: c\n: d\n\"\": e", NULL},
    {"1: a\ntrue: b\n~: c\n", "{\"1\":\"a\",\"true\":\"b\",\"~\":\"c\"}"},
    {"a: &x 5\nb: *x\nc: &x 6\nd: *x\n", "{\"a\":5,\"b\":5,\"c\":6,\"d\":6}"},
    {"a: &x {k: [1, {l: 2}]}\nb: [*x, *x]\n",
     "{\"a\":{\"k\":[1,{\"l\":2}]},\"b\":[{\"k\":[1,{\"l\":2}]},{\"k\":[1,{\"l\":2}]}]}"},
    {"a: &a {x: 1, y: 2}\nb: &b {x: 3, z: 4}\nc: {z: 5, <<: [*a, *b]}\n",
     "{\"a\":{\"x\":1,\"y\":2},\"b\":{\"x\":3,\"z\":4},\"c\":{\"z\":5,\"x\":1,\"y\":2}}"},
    {"a: {'<<': 1}\n", "{\"a\":{\"<<\":1}}"},
    {"\xef\xbb\xbf"
     "a: \"\\u00e9\"\n",
     "{\"a\":\"\xc3\xa9\"}"},
};

static void test_values(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        OWN(yaml) struct yaml_document document = {0};
        OWN(buf) struct buf lines = BUF_NULL;
        OWN(mem) char *text = NULL;
        int r = parse(good[i].yaml, strlen(good[i].yaml), &document, &lines);

        if (!good[i].json) {
            CHECK_INT(r, -EINVAL);
            continue;
        }
        CHECK_TEXT(buf_text(&lines), "");
        CHECK_INT(r, 0);
        text = json_dumps(document.root, JSON_COMPACT);
        CHECK_TEXT(text, good[i].json);
    }
}

static const struct {
    const char *yaml, *lines;
} bad[] = {
    {"a: 1\nb: 2\na: 3\na: 4\n",
     "F:3:1: the key \"a\" stands here again; the first is at F:1:1; keep one of them\n"
     "F:4:1: the key \"a\" stands here again; the first is at F:1:1; keep one of them\n"},
    {"{a: 1, *x : 2}\n", "F:1:8: a key that is not plain text; write KEY: VALUE\n"
                         "F:1:8: *x names no complete value above; "
                         "mark the value with &x before it is used\n"},
    {"? {a: 1}\n: 2\n", "F:1:3: a key that is not plain text; write KEY: VALUE\n"},
    {"a: !Thing {x: !!str [1]}\n",
     "F:1:15: the tag \"tag:yaml.org,2002:str\" does not fit here; write the value without a tag\n"
     "F:1:4: the tag \"!Thing\" does not fit here; write the value without a tag\n"},
    {"a: &x [*x]\n", "F:1:8: *x names no complete value above; "
                     "mark the value with &x before it is used\n"},
    {"a: {<<: [5]}\n",
     "F:1:5: << merges mappings only; write <<: *NAME, with &NAME at a mapping above\n"},
    {"a: {<<: {x: 1}, <<: {y: 1}}\n",
     "F:1:17: the key \"<<\" stands here again; the first is at F:1:5; keep one of them\n"},
    {"a: \"\\0\"\n", "F:1:4: a NUL in a string; leave out \\0\n"},
    {"5\n", "F:1:1: not a mapping; write KEY: VALUE\n"},
    {"a: b\n\xc3(\n", "F:2:2: not YAML: invalid trailing UTF-8 octet; save the file as UTF-8\n"},
    {"a: [\n", "F:2:1: not YAML: while parsing a flow node, did not find expected node content; "
               "check the indentation, brackets and quotes there\n"},
    {"a:5\nb: 6\n", "F:2:2: not YAML: mapping values are not allowed in this context; "
                    "check the indentation; put a value that contains \": \" in quotes\n"},
    {"a: 'x\n", "F:2:1: not YAML: while scanning a quoted scalar, found unexpected end of stream; "
                "check the indentation, brackets and quotes there\n"},
    {"a: 1\n---\nb: 2\n", "F:2:1: a second document; keep one, and no --- behind it\n"},
};

static void test_faults(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        OWN(yaml) struct yaml_document document = {0};
        OWN(buf) struct buf lines = BUF_NULL;

        CHECK_INT(parse(bad[i].yaml, strlen(bad[i].yaml), &document, &lines), -EINVAL);
        CHECK_TEXT(buf_text(&lines), bad[i].lines);
        CHECK(!document.root);
    }
}

static void check_refused(const struct buf *text, const char *line)
{
    OWN(yaml) struct yaml_document document = {0};
    OWN(buf) struct buf lines = BUF_NULL;

    CHECK_INT(parse(buf_text(text), text->size, &document, &lines), -EINVAL);
    CHECK_TEXT(buf_text(&lines), line);
}

/* Ten lists of ten aliases each: 10^10 values in 500 bytes. */
static void test_alias_bomb(void)
{
    OWN(buf) struct buf text = BUF_NULL;

    buf_printf(&text, "a0: &a0 [x]\n");
    for (int i = 1; i <= 10; i++) {
        buf_printf(&text, "a%d: &a%d [", i, i);
        for (int j = 0; j < 10; j++)
            buf_printf(&text, "%s*a%d", j ? ", " : "", i - 1);
        buf_printf(&text, "]\n");
    }
    check_refused(&text, "F:5:25: more than 10000 values, aliases counted each time they are used; "
                         "use fewer aliases, or write a smaller file\n");
}

static void nest(struct buf *text, int levels)
{
    buf_printf(text, "a: &x ");
    for (int i = 0; i < levels; i++)
        buf_printf(text, "[");
    for (int i = 0; i < levels; i++)
        buf_printf(text, "]");
    buf_printf(text, "\n");
}

static void test_depth(void)
{
    OWN(buf) struct buf flat = BUF_NULL, deep = BUF_NULL, alias = BUF_NULL, lines = BUF_NULL;
    OWN(yaml) struct yaml_document document = {0};

    nest(&flat, 32);
    CHECK_INT(parse(buf_text(&flat), flat.size, &document, &lines), 0);
    nest(&deep, 33);
    check_refused(&deep, "F:1:39: more than 32 levels of nesting; nest less deeply\n");
    nest(&alias, 20);
    buf_printf(&alias, "b: &b [[[[[[[[[[*x]]]]]]]]]]\nc: [[[*b]]]\n");
    check_refused(&alias, "F:3:7: more than 32 levels of nesting; nest less deeply\n");
}

static void test_count(void)
{
    OWN(buf) struct buf text = BUF_NULL, lines = BUF_NULL;
    OWN(yaml) struct yaml_document document = {0};

    buf_printf(&text, "a: [");
    for (int i = 0; i < 9998; i++)
        buf_printf(&text, "1,");
    buf_printf(&text, "]\n");
    CHECK_INT(parse(buf_text(&text), text.size, &document, &lines), 0);
    text.size -= 2;
    buf_printf(&text, "1]\n");
    check_refused(&text,
                  "F:1:20001: more than 10000 values, aliases counted each time they are used; "
                  "use fewer aliases, or write a smaller file\n");
}

static const struct {
    const char *pointer, *value, *key;
} places[] = {
    {"", "F:1:1", "F:1:1"},           {"/a", "F:1:4", "F:1:1"},
    {"/b", "F:2:4", "F:2:1"},         {"/b/c~1d~0", "F:3:9", "F:3:3"},
    {"/b/l/1", "F:6:5", "F:6:5"},     {"/b/l/1/x", "F:6:8", "F:6:5"},
    {"/e", "F:7:4", "F:7:1"},     /* an alias stands where it was written, */
    {"/e/1/x", "F:6:8", "F:6:5"}, /* what it brings where that was written */
    {"/f/c~1d~0", "F:3:9", "F:3:3"},  {"/f/g", "F:8:16", "F:8:13"},
    {"/b/missing", "F:2:4", "F:2:1"}, /* the place around it */
    {"/b/l/1/y/z", "F:6:5", "F:6:5"},
};

static void test_places(void)
{
    static const char text[] = "a: 1\n"
                               "b: &b\n"
                               "  c/d~: 2\n"
                               "  l: &l\n"
                               "  - 3\n"
                               "  - x: 4\n"
                               "e: *l\n"
                               "f: {<<: *b, g: 5}\n";
    OWN(yaml) struct yaml_document document = {0};
    OWN(buf) struct buf lines = BUF_NULL;
    struct yaml_places whole, part;
    char place[256];

    CHECK_INT(parse(text, strlen(text), &document, &lines), 0);
    whole = yaml_places(&document, "");
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        whole.places.where(&whole.places, places[i].pointer, place, sizeof(place));
        CHECK_TEXT(place, places[i].value);
        whole.places.where_key(&whole.places, places[i].pointer, place, sizeof(place));
        CHECK_TEXT(place, places[i].key);
    }
    part = yaml_places(&document, "/b");
    part.places.where(&part.places, "/l", place, sizeof(place));
    CHECK_TEXT(place, "F:4:6");
}

/* A long path loses its front, never its line and column; and no half of a character is left. */
static void test_long_source(void)
{
    OWN(yaml) struct yaml_document document = {0};
    OWN(faults) struct faults faults = {0};
    char source[600] = "";

    for (size_t i = 0; i < 299; i++)
        strcat(source, "\xc3\xa4");
    strcat(source, "b");
    CHECK_INT(yaml_parse("a: [", 4, source, &document, &faults), -EINVAL);
    CHECK_INT(faults.count, 1);
    CHECK_INT(strlen(faults.items[0].where), 3 + 199 + 4);
    CHECK_TEXT(faults.items[0].where + 3 + 198, "b:2:1");
}

static const struct test tests[] = {
    {"scalars follow the core schema; aliases and merge keys work", test_values},
    {"what JSON can't say is refused with its place", test_faults},
    {"a bomb of aliases is refused", test_alias_bomb},
    {"32 levels, those behind aliases included", test_depth},
    {"10000 values", test_count},
    {"values and keys are found where they stand", test_places},
    {"a long file name leaves room for line and column", test_long_source},
};

TEST_MAIN(tests)
