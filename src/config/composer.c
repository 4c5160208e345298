/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See composer.h. Values are shared, not copied, where an alias repeats them; only places are
 * repeated, and counting them is what keeps a few kilobytes of aliases from becoming gigabytes.
 */
#include "config/composer.h"

#include <string.h>
#include <yaml.h>

#include "base/json.h"
#include "base/own.h"
#include "config/faults.h"
#include "config/pointer.h"
#include "config/scalar.h"

struct composer {
    yaml_parser_t parser;
    const char *text, *source;
    json_t *places;
    json_t *anchors; /* name -> [value, pointer to where it stands] */
    struct faults *faults;
    struct buf path;  /* pointer to the value being composed */
    yaml_mark_t mark; /* where the last event began */
    size_t nodes;
    unsigned depth;
};

static inline void own_event(yaml_event_t *event)
{
    yaml_event_delete(event);
}

char *composer_place(const char *source, size_t line, size_t column, char *text, size_t size)
{
    enum { ROOM = 200 };
    size_t length = strlen(source), cut = length > ROOM ? length - ROOM : 0;

    while (cut && ((unsigned char)source[cut] & 0xc0) == 0x80)
        cut++;
    snprintf(text, size, "%s%s:%zu:%zu", cut ? "..." : "", source + cut, line, column);
    return text;
}

#define PLACE_SIZE 256

static const char *mark_text(const struct composer *c, const yaml_mark_t *mark,
                             char text[PLACE_SIZE])
{
    return composer_place(c->source, mark->line + 1, mark->column + 1, text, PLACE_SIZE);
}

/* -- events ---------------------------------------------------------------------------------- */

/* The reader, which looks at bytes, knows an offset only. */
static yaml_mark_t offset_mark(const char *text, size_t offset)
{
    yaml_mark_t mark = {.index = offset};

    for (size_t i = 0; i < offset; i++) {
        mark.column = text[i] == '\n' ? 0 : mark.column + 1;
        mark.line += text[i] == '\n';
    }
    return mark;
}

static const char *problem_cure(const char *problem)
{
    static const struct {
        const char *problem, *cure;
    } cures[] = {
        {"cannot start any token", "indent with spaces, not tabs; put @ and ` in quotes"},
        {"mapping values are not allowed",
         "check the indentation; put a value that contains \": \" in quotes"},
        {"could not find expected ':'", "write KEY: VALUE, with a blank behind the colon"},
        {"UTF-8", "save the file as UTF-8"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cures); i++) {
        if (strstr(problem, cures[i].problem))
            return cures[i].cure;
    }
    return "check the indentation, brackets and quotes there";
}

static void composer_syntax(struct composer *c)
{
    const yaml_parser_t *parser = &c->parser;
    bool reader = parser->error == YAML_READER_ERROR;
    yaml_mark_t mark = reader ? offset_mark(c->text, parser->problem_offset) : parser->problem_mark;
    const char *problem = parser->problem ? parser->problem : "out of memory";
    const char *context = parser->context ? parser->context : "";
    char place[PLACE_SIZE];

    error_hint(faults_add(c->faults, mark_text(c, &mark, place), "not YAML: %s%s%s", context,
                          *context ? ", " : "", problem),
               "%s", problem_cure(problem));
}

static bool composer_next(struct composer *c, yaml_event_t *ret)
{
    if (!yaml_parser_parse(&c->parser, ret)) {
        composer_syntax(c);
        return false;
    }
    c->mark = ret->start_mark;
    return true;
}

/* -- places ---------------------------------------------------------------------------------- */

/* The first place stays: of a key that stands twice, and of an alias itself. */
static void place_set(struct composer *c, json_t *place)
{
    OWN(json) json_t *owned = place;

    if (!json_object_get(c->places, buf_text(&c->path)))
        json_object_set(c->places, buf_text(&c->path), owned);
}

/* Counts a value, and whether there may be one more here. */
static bool composer_count(struct composer *c)
{
    char place[PLACE_SIZE];

    if (++c->nodes > COMPOSER_NODES_MAX) {
        error_hint(faults_add(c->faults, mark_text(c, &c->mark, place),
                              "more than %d values, aliases counted each time they are used",
                              COMPOSER_NODES_MAX),
                   "use fewer aliases, or write a smaller file");
        return false;
    }
    if (c->depth > COMPOSER_DEPTH_MAX) {
        error_hint(faults_add(c->faults, mark_text(c, &c->mark, place),
                              "more than %d levels of nesting", COMPOSER_DEPTH_MAX),
                   "nest less deeply");
        return false;
    }
    return true;
}

static bool places_repeat(struct composer *c, json_t *value, struct buf *from);

static bool places_repeat_child(struct composer *c, json_t *child, struct buf *from,
                                const char *key, size_t index)
{
    size_t old = key ? pointer_push(from, key) : pointer_push_index(from, index);
    size_t new = key ? pointer_push(&c->path, key) : pointer_push_index(&c->path, index);
    bool went;

    c->depth++;
    went = places_repeat(c, child, from);
    c->depth--;
    pointer_pop(from, old);
    pointer_pop(&c->path, new);
    return went;
}

/* Gives value, which stands at from, the same places below c->path; counts as if it stood there. */
static bool places_repeat(struct composer *c, json_t *value, struct buf *from)
{
    const char *key;
    json_t *child;
    size_t index;

    if (!composer_count(c))
        return false;
    place_set(c, json_incref(json_object_get(c->places, buf_text(from))));
    json_object_foreach(value, key, child) {
        if (!places_repeat_child(c, child, from, key, 0))
            return false;
    }
    json_array_foreach(value, index, child) {
        if (!places_repeat_child(c, child, from, NULL, index))
            return false;
    }
    return true;
}

/* -- scalars, tags, aliases ------------------------------------------------------------------ */

static json_t *compose_scalar(struct composer *c, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    const char *tag = (const char *)event->data.scalar.tag;
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    char place[PLACE_SIZE];

    if (strlen(text) != event->data.scalar.length) {
        error_hint(faults_add(c->faults, mark_text(c, &c->mark, place), "a NUL in a string"),
                   "leave out \\0");
        return json_null();
    }
    if (tag ? strcmp(tag, YAML_STR_TAG) == 0 : !plain)
        return json_string(text);
    return scalar_resolve(text);
}

/* Tags of the core schema may say what a value is anyway; others mean nothing to JSON. */
static void check_tag(struct composer *c, const yaml_mark_t *mark, const char *tag,
                      const json_t *value)
{
#define KIND(type) (1u << (type))
    static const struct {
        const char *tag;
        unsigned kinds;
    } tags[] = {
        {YAML_STR_TAG, KIND(JSON_STRING)},
        {YAML_INT_TAG, KIND(JSON_INTEGER)},
        {YAML_FLOAT_TAG, KIND(JSON_REAL) | KIND(JSON_INTEGER)},
        {YAML_BOOL_TAG, KIND(JSON_TRUE) | KIND(JSON_FALSE)},
        {YAML_NULL_TAG, KIND(JSON_NULL)},
        {YAML_MAP_TAG, KIND(JSON_OBJECT)},
        {YAML_SEQ_TAG, KIND(JSON_ARRAY)},
    };
    char place[PLACE_SIZE], quoted[FAULTS_VALUE_SIZE];

    for (size_t i = 0; tag && i < ARRAY_SIZE(tags); i++) {
        if (strcmp(tag, tags[i].tag) == 0 && (tags[i].kinds & KIND(json_typeof(value))))
            return;
    }
    if (tag)
        error_hint(faults_add(c->faults, mark_text(c, mark, place), "the tag %s does not fit here",
                              faults_quote(tag, quoted)),
                   "write the value without a tag");
#undef KIND
}

static json_t *compose_alias(struct composer *c, const yaml_event_t *event)
{
    const char *name = (const char *)event->data.alias.anchor;
    const json_t *anchor = json_object_get(c->anchors, name);
    OWN(buf) struct buf from = BUF_NULL;
    char place[PLACE_SIZE];

    if (!anchor) {
        error_hint(faults_add(c->faults, mark_text(c, &c->mark, place),
                              "*%.64s names no complete value above", name),
                   "mark the value with &%.64s before it is used", name);
        return json_null();
    }
    buf_printf(&from, "%s", json_string_value(json_array_get(anchor, 1)));
    c->nodes--; /* the alias and the first of the values it stands for are one */
    if (!places_repeat(c, json_array_get(anchor, 0), &from))
        return NULL;
    return json_incref(json_array_get(anchor, 0));
}

static void anchor_set(struct composer *c, const char *name, json_t *value)
{
    if (name)
        json_object_set_new(c->anchors, name, json_pack("[Os]", value, buf_text(&c->path)));
}

/* -- collections ----------------------------------------------------------------------------- */

static json_t *compose(struct composer *c, const yaml_event_t *event, const yaml_mark_t *key);

static json_t *compose_next(struct composer *c, const yaml_mark_t *key)
{
    OWN(event) yaml_event_t event = {0};

    return composer_next(c, &event) ? compose(c, &event, key) : NULL;
}

static json_t *compose_list(struct composer *c)
{
    OWN(json) json_t *list = json_array();

    for (;;) {
        OWN(event) yaml_event_t event = {0};
        json_t *value;
        size_t mark;

        if (!composer_next(c, &event))
            return NULL;
        if (event.type == YAML_SEQUENCE_END_EVENT)
            return take_ptr(list);
        mark = pointer_push_index(&c->path, json_array_size(list));
        value = compose(c, &event, &event.start_mark);
        pointer_pop(&c->path, mark);
        if (!value)
            return NULL;
        json_array_append_new(list, value);
    }
}

static void key_twice(struct composer *c, const char *key, const yaml_mark_t *mark)
{
    char place[PLACE_SIZE], first[PLACE_SIZE], quoted[FAULTS_VALUE_SIZE];
    json_t *known = json_object_get(c->places, buf_text(&c->path));
    size_t line = (size_t)json_integer_value(json_array_get(known, 2));
    size_t column = (size_t)json_integer_value(json_array_get(known, 3));

    composer_place(c->source, line, column, first, sizeof(first));
    error_hint(faults_add(c->faults, mark_text(c, mark, place), "the key %s stands here again",
                          faults_quote(key, quoted)),
               "the first is at %s; keep one of them", first);
}

/* Composes the value of a key into map; of a key that stood before, only to get past it. */
static bool compose_member(struct composer *c, json_t *map, const char *key, const yaml_mark_t *at)
{
    size_t mark = pointer_push(&c->path, key);
    bool twice = json_object_get(map, key) != NULL;
    json_t *value;

    if (twice)
        key_twice(c, key, at);
    value = compose_next(c, at);
    pointer_pop(&c->path, mark);
    if (!value)
        return false;
    if (twice)
        json_decref(value);
    else
        json_object_set_new(map, key, value);
    return true;
}

/* A key that JSON can't have: says so, and composes both key and value to get past them. */
static bool skip_member(struct composer *c, const yaml_event_t *event)
{
    size_t mark = pointer_push(&c->path, "?");
    OWN(json) json_t *key = NULL;
    OWN(json) json_t *value = NULL;
    char place[PLACE_SIZE];

    error_hint(faults_add(c->faults, mark_text(c, &c->mark, place), "a key that is not plain text"),
               "write KEY: VALUE");
    key = compose(c, event, &event->start_mark);
    value = key ? compose_next(c, &event->start_mark) : NULL;
    pointer_pop(&c->path, mark);
    return value != NULL;
}

/* The members of from, which stands at pointer, unless map has them itself. */
static bool merge_one(struct composer *c, json_t *map, json_t *from, struct buf *pointer)
{
    const char *key;
    json_t *value;

    json_object_foreach(from, key, value) {
        if (json_object_get(map, key))
            continue;
        if (!places_repeat_child(c, value, pointer, key, 0))
            return false;
        json_object_set(map, key, value);
    }
    return true;
}

/* `<<`: https://yaml.org/type/merge.html; a mapping, or a list of them, the first wins. */
static bool merge(struct composer *c, json_t *map, const yaml_mark_t *at)
{
    OWN(json) json_t *source = json_incref(json_object_get(map, "<<"));
    OWN(json) json_t *single = json_is_array(source) ? NULL : json_pack("[O]", source);
    OWN(buf) struct buf pointer = BUF_NULL;
    char place[PLACE_SIZE];
    json_t *from;
    size_t index;

    json_object_del(map, "<<");
    buf_append(&pointer, buf_text(&c->path), c->path.size);
    pointer_push(&pointer, "<<");
    json_array_foreach(single ? single : source, index, from) {
        size_t mark = pointer.size;

        if (!json_is_object(from)) {
            error_hint(faults_add(c->faults, mark_text(c, at, place), "<< merges mappings only"),
                       "write <<: *NAME, with &NAME at a mapping above");
            return true;
        }
        if (!single)
            pointer_push_index(&pointer, index);
        if (!merge_one(c, map, from, &pointer))
            return false;
        pointer_pop(&pointer, mark);
    }
    return true;
}

static json_t *compose_map(struct composer *c)
{
    OWN(json) json_t *map = json_object();
    yaml_mark_t merge_mark = {0};
    bool merges = false;

    for (;;) {
        OWN(event) yaml_event_t event = {0};
        const char *key;

        if (!composer_next(c, &event))
            return NULL;
        if (event.type == YAML_MAPPING_END_EVENT)
            return !merges || merge(c, map, &merge_mark) ? take_ptr(map) : NULL;
        key = (const char *)event.data.scalar.value;
        if (event.type != YAML_SCALAR_EVENT || strlen(key) != event.data.scalar.length) {
            if (!skip_member(c, &event))
                return NULL;
            continue;
        }
        if (event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE && strcmp(key, "<<") == 0) {
            merges = true;
            merge_mark = event.start_mark;
        }
        if (!compose_member(c, map, key, &event.start_mark))
            return NULL;
    }
}

static json_t *compose_kind(struct composer *c, const yaml_event_t *event, const char **ret_anchor,
                            const char **ret_tag)
{
    if (event->type == YAML_ALIAS_EVENT)
        return compose_alias(c, event);
    if (event->type == YAML_SEQUENCE_START_EVENT) {
        *ret_anchor = (const char *)event->data.sequence_start.anchor;
        *ret_tag = (const char *)event->data.sequence_start.tag;
        return compose_list(c);
    }
    if (event->type == YAML_MAPPING_START_EVENT) {
        *ret_anchor = (const char *)event->data.mapping_start.anchor;
        *ret_tag = (const char *)event->data.mapping_start.tag;
        return compose_map(c);
    }
    *ret_anchor = (const char *)event->data.scalar.anchor;
    *ret_tag = (const char *)event->data.scalar.tag;
    return compose_scalar(c, event);
}

/* The value that begins with event, a new reference; NULL: composing has ended. */
static json_t *compose(struct composer *c, const yaml_event_t *event, const yaml_mark_t *key)
{
    const yaml_mark_t *at = &event->start_mark;
    const char *anchor = NULL, *tag = NULL;
    json_t *value;

    place_set(c, json_pack("[IIII]", (json_int_t)at->line + 1, (json_int_t)at->column + 1,
                           (json_int_t)key->line + 1, (json_int_t)key->column + 1));
    if (!composer_count(c))
        return NULL;
    c->depth++;
    value = compose_kind(c, event, &anchor, &tag);
    c->depth--;
    if (value) {
        check_tag(c, at, tag, value);
        anchor_set(c, anchor, value);
    }
    return value;
}

/* -- the document ---------------------------------------------------------------------------- */

static json_t *compose_document(struct composer *c)
{
    static const yaml_mark_t top = {0};
    OWN(event) yaml_event_t begin = {0}, end = {0}, more = {0};
    OWN(json) json_t *root = NULL;
    char place[PLACE_SIZE];

    if (!composer_next(c, &begin))
        return NULL;
    if (begin.type == YAML_STREAM_END_EVENT)
        return json_null();
    root = compose_next(c, &top);
    if (!root || !composer_next(c, &end) || !composer_next(c, &more))
        return NULL;
    if (more.type != YAML_STREAM_END_EVENT)
        error_hint(faults_add(c->faults, mark_text(c, &c->mark, place), "a second document"),
                   "keep one, and no --- behind it");
    return take_ptr(root);
}

json_t *composer_run(const char *text, size_t size, const char *source, json_t *places,
                     struct faults *faults)
{
    struct composer c = {.text = text, .source = source, .places = places, .faults = faults};
    OWN(event) yaml_event_t start = {0};
    json_t *root;

    yaml_parser_initialize(&c.parser);
    yaml_parser_set_input_string(&c.parser, (const unsigned char *)text, size);
    c.anchors = json_object();
    root = composer_next(&c, &start) ? compose_document(&c) : NULL;
    yaml_parser_delete(&c.parser);
    json_decref(c.anchors);
    buf_done(&c.path);
    return root;
}
