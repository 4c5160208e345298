/* SPDX-License-Identifier: Apache-2.0 */
/* Holds a call's parameters against an interface's text, and says in words what does not fit. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/own.h"
#include "wire/idl-private.h"

/* Where in the parameters: a chain through the stack, made to text only for an error. */
struct place {
    const struct place *up;
    const char *name; /* NULL: an array's item */
    size_t index;
};

static void place_print(const struct place *place, struct buf *out)
{
    if (place->up)
        place_print(place->up, out);
    if (place->name)
        buf_printf(out, "%s%s", place->up ? "." : "", place->name);
    else
        buf_printf(out, "[%zu]", place->index);
}

char *idl_found(const json_t *value, char text[IDL_FOUND_SIZE])
{
    static const char *const fixed[] = {
        [JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array", [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",      [JSON_NULL] = "null",
    };

    switch (json_typeof(value)) {
    case JSON_STRING:
        snprintf(text, IDL_FOUND_SIZE, "the string \"%.40s\"", json_string_value(value));
        break;
    case JSON_INTEGER:
        snprintf(text, IDL_FOUND_SIZE, "the integer %lld", (long long)json_integer_value(value));
        break;
    case JSON_REAL:
        snprintf(text, IDL_FOUND_SIZE, "the real number %g", json_real_value(value));
        break;
    case JSON_OBJECT:
    case JSON_ARRAY:
    case JSON_TRUE:
    case JSON_FALSE:
    case JSON_NULL:
        snprintf(text, IDL_FOUND_SIZE, "%s", fixed[json_typeof(value)]);
    }
    return text;
}

static const struct field *field_of(const struct type *type, const char *name)
{
    const struct field *field = type->fields;

    while (field && strcmp(field->name, name) != 0)
        field = field->next;
    return field;
}

static void hint_print(const struct place *place, const struct type *type, struct buf *out)
{
    static const char *const fixed[] = {
        [KIND_BOOL] = "send true or false, without quotes",
        [KIND_INT] = "send a whole number such as 4",
        [KIND_FLOAT] = "send a number such as 1.5",
        [KIND_STRING] = "send a string such as \"name\"",
        [KIND_OBJECT] = "send an object such as {}",
        [KIND_ENUM] = "its values are ",
        [KIND_ARRAY] = "send an array such as []",
        [KIND_MAP] = "send an object such as {}",
    };

    if (type->kind == KIND_STRUCT) {
        place_print(place, out);
        buf_printf(out, "%s", type->fields ? " has the fields " : " has no fields");
    } else {
        buf_printf(out, "%s", fixed[type->kind]);
    }
    for (const struct field *field = type->fields; field; field = field->next)
        buf_printf(out, "%s%s", field == type->fields ? "" : ", ", field->name);
}

/* type: what is expected at hint_place. */
static int check_fail(const struct place *place, const char *reason, const struct place *hint_place,
                      const struct type *type, struct error *error)
{
    OWN(buf) struct buf where = BUF_NULL, hint = BUF_NULL;

    place_print(place, &where);
    hint_print(hint_place, type, &hint);
    error_set(error, -EINVAL, ERROR_INVALID, "%s", reason);
    error_where(error, "%s", buf_text(&where));
    error_hint(error, "%s", buf_text(&hint));
    return -EINVAL;
}

char *interface_methods(const struct interface *interface, char *text, size_t size)
{
    OWN(buf) struct buf names = BUF_NULL;

    for (const struct member *member = interface->members; member; member = member->next)
        if (member->kind == MEMBER_METHOD)
            buf_printf(&names, "%s%s", names.size ? ", " : "", member->name);
    snprintf(text, size, "%s has the methods %s", interface->name, buf_text(&names));
    return text;
}

/* --- one function a kind of type that has an inside --- */

static int check_type(const struct place *place, const struct type *type, const json_t *value,
                      struct error *error);

static int check_enum(const struct place *place, const struct type *type, const json_t *value,
                      struct error *error)
{
    char found[IDL_FOUND_SIZE], reason[128];

    if (field_of(type, json_string_value(value)))
        return 0;
    snprintf(reason, sizeof(reason), "found %s, expected one of its values",
             idl_found(value, found));
    return check_fail(place, reason, place, type, error);
}

static int check_array(const struct place *place, const struct type *type, const json_t *value,
                       struct error *error)
{
    int r = 0;

    for (size_t i = 0; i < json_array_size(value) && r >= 0; i++) {
        const struct place inside = {.up = place, .index = i};

        r = check_type(&inside, type->inner, json_array_get(value, i), error);
    }
    return r;
}

static int check_map(const struct place *place, const struct type *type, const json_t *value,
                     struct error *error)
{
    const char *key;
    json_t *item;
    int r = 0;

    json_object_foreach((json_t *)value, key, item) {
        const struct place inside = {.up = place, .name = key};

        r = check_type(&inside, type->inner, item, error);
        if (r < 0)
            break;
    }
    return r;
}

/* Unknown fields first: a misspelt field is unknown and missing, and the former says more. */
static int check_struct(const struct place *place, const struct type *type, const json_t *value,
                        struct error *error)
{
    const char *key;
    json_t *item;
    int r = 0;

    json_object_foreach((json_t *)value, key, item) {
        const struct place inside = {.up = place, .name = key};

        if (!field_of(type, key))
            return check_fail(&inside, IDL_UNKNOWN_FIELD, place, type, error);
    }
    for (const struct field *field = type->fields; field && r >= 0; field = field->next) {
        const struct place inside = {.up = place, .name = field->name};

        r = check_type(&inside, field->type, json_object_get(value, field->name), error);
    }
    return r;
}

static const struct rule {
    unsigned types;
    const char *expected;
    int (*inside)(const struct place *place, const struct type *type, const json_t *value,
                  struct error *error);
} rules[] = {
    [KIND_BOOL] = {IDL_TYPES_BOOL, "true or false", NULL},
    [KIND_INT] = {IDL_TYPE(JSON_INTEGER), "an integer", NULL},
    [KIND_FLOAT] = {IDL_TYPE(JSON_INTEGER) | IDL_TYPE(JSON_REAL), "a number", NULL},
    [KIND_STRING] = {IDL_TYPE(JSON_STRING), "a string", NULL},
    [KIND_OBJECT] = {IDL_TYPE(JSON_OBJECT), "an object", NULL},
    [KIND_ENUM] = {IDL_TYPE(JSON_STRING), "a string", check_enum},
    [KIND_STRUCT] = {IDL_TYPE(JSON_OBJECT), "an object", check_struct},
    [KIND_ARRAY] = {IDL_TYPE(JSON_ARRAY), "an array", check_array},
    [KIND_MAP] = {IDL_TYPE(JSON_OBJECT), "an object", check_map},
};

/* value: NULL when missing. */
static int check_type(const struct place *place, const struct type *type, const json_t *value,
                      struct error *error)
{
    char found[IDL_FOUND_SIZE], reason[128];
    const struct rule *rule;

    while (type->kind == KIND_NAMED || type->kind == KIND_MAYBE) {
        if (type->kind == KIND_MAYBE && (!value || json_is_null(value)))
            return 0;
        type = type->kind == KIND_NAMED ? type->target->type : type->inner;
    }
    rule = &rules[type->kind];
    if (!value || !(rule->types & IDL_TYPE(json_typeof(value)))) {
        snprintf(reason, sizeof(reason), "found %s, expected %s",
                 value ? idl_found(value, found) : "nothing", rule->expected);
        return check_fail(place, reason, place, type, error);
    }
    return rule->inside ? rule->inside(place, type, value, error) : 0;
}

int interface_check(const struct interface *interface, const char *method, const json_t *parameters,
                    struct error *error)
{
    const struct member *member = interface_member(interface, MEMBER_METHOD, method);
    const struct place place = {.name = method};
    OWN(json) json_t *none = json_object();

    if (!member) {
        char hint[256];

        error_set(error, -ENOSYS, ERROR_INVALID, "found no such method");
        error_where(error, "%s", method);
        error_hint(error, "%s", interface_methods(interface, hint, sizeof(hint)));
        return -ENOSYS;
    }
    return check_type(&place, member->type, parameters ? parameters : none, error);
}
