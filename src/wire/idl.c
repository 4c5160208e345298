/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parser of interface definitions: recursive descent, one function a rule of the grammar on
 * https://varlink.org/Interface-Definition. Each new node is put where it belongs before it is
 * filled, so the tree is whole at every moment and interface_free() frees all that was read.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/own.h"
#include "wire/idl-private.h"

struct parser {
    struct interface *interface;
    const char *at;
    struct error *error;
};

/* --- errors and tokens --- */

static int parse_fail(struct parser *p, const char *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static int parse_fail(struct parser *p, const char *at, const char *format, ...)
{
    const struct interface *interface = p->interface;
    const char *line = interface->text;
    size_t number = 1;
    char reason[256];
    va_list args;

    for (const char *c = interface->text; c < at; c++)
        if (*c == '\n') {
            number++;
            line = c + 1;
        }
    va_start(args, format);
    vsnprintf(reason, sizeof(reason), format, args);
    va_end(args);
    error_set(p->error, -EINVAL, ERROR_INVALID, "%s", reason);
    error_where(p->error, "%s:%zu:%zu", interface->name ? interface->name : "interface", number,
                (size_t)(at - line) + 1);
    return -EINVAL;
}

static void space_skip(struct parser *p)
{
    for (;;) {
        while (*p->at && strchr(" \t\r\n", *p->at))
            p->at++;
        if (*p->at != '#')
            return;
        p->at += strcspn(p->at, "\n");
    }
}

/* expected: with its article. */
static int parse_expect(struct parser *p, const char *expected)
{
    size_t length = 0;

    while (isalnum((unsigned char)p->at[length]) || p->at[length] == '_')
        length++;
    if (!p->at[0])
        return parse_fail(p, p->at, "found the end, expected %s", expected);
    return parse_fail(p, p->at, "found \"%.*s\", expected %s", (int)(length ? length : 1), p->at,
                      expected);
}

static bool take(struct parser *p, const char *token)
{
    size_t length = strlen(token);

    space_skip(p);
    if (strncmp(p->at, token, length) != 0)
        return false;
    p->at += length;
    return true;
}

static int take_or_fail(struct parser *p, const char *token)
{
    char expected[16];

    if (take(p, token))
        return 0;
    snprintf(expected, sizeof(expected), "\"%s\"", token);
    return parse_expect(p, expected);
}

/* Names: a letter that first() accepts, then letters, digits and, between them, the characters of
 * inner. */
static int take_name(struct parser *p, int (*first)(int), const char *inner, const char *expected,
                     char **ret_name)
{
    const char *begin, *end;

    space_skip(p);
    begin = end = p->at;
    if (!isalpha((unsigned char)*end) || !first((unsigned char)*end))
        return parse_expect(p, expected);
    while (isalnum((unsigned char)*end) ||
           (*end && strchr(inner, *end) && isalnum((unsigned char)end[1])))
        end++;
    *ret_name = alloc_printf("%.*s", (int)(end - begin), begin);
    p->at = end;
    return 0;
}

/* --- types --- */

static const struct word {
    const char *text;
    enum kind kind;
} words[] = {
    {"bool", KIND_BOOL},     {"int", KIND_INT},       {"float", KIND_FLOAT},
    {"string", KIND_STRING}, {"object", KIND_OBJECT},
};

static const struct word prefixes[] = {
    {"?", KIND_MAYBE},
    {"[]", KIND_ARRAY},
    {"[string]", KIND_MAP},
};

static int parse_type(struct parser *p, struct type **slot);

static const struct field *field_find(const struct field *fields, const char *name)
{
    while (fields && strcmp(fields->name, name) != 0)
        fields = fields->next;
    return fields;
}

/* The inside of parentheses: "name: type, …" is a struct, "name, …" an enum. The first name
 * decides which, and the others follow it. */
static int parse_fields(struct parser *p, struct type *type)
{
    struct field **next = &type->fields;
    bool again = true;
    int r = 0;

    if (take(p, ")"))
        return 0;
    while (r >= 0 && again) {
        OWN(mem) char *name = NULL;
        const char *at;

        space_skip(p);
        at = p->at;
        r = take_name(p, isalpha, "_", "the name of a field", &name);
        if (r < 0)
            return r;
        if (field_find(type->fields, name))
            return parse_fail(p, at, "\"%s\" is there twice", name);
        *next = alloc_new(struct field);
        (*next)->name = take_ptr(name);
        if (next == &type->fields) {
            space_skip(p);
            type->kind = *p->at == ':' ? KIND_STRUCT : KIND_ENUM;
        }
        if (type->kind == KIND_STRUCT) {
            r = take_or_fail(p, ":");
            if (r >= 0)
                r = parse_type(p, &(*next)->type);
        }
        next = &(*next)->next;
        again = take(p, ",");
    }
    return r < 0 ? r : take_or_fail(p, ")");
}

static int parse_word(struct parser *p, struct type *type)
{
    OWN(mem) char *name = NULL;
    int r = take_name(p, isalpha, "", "a type", &name);

    if (r < 0)
        return r;
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (strcmp(name, words[i].text) == 0) {
            type->kind = words[i].kind;
            return 0;
        }
    if (!isupper((unsigned char)name[0])) {
        p->at = type->at;
        return parse_expect(p, "a type");
    }
    type->kind = KIND_NAMED;
    type->name = take_ptr(name);
    return 0;
}

static int parse_type(struct parser *p, struct type **slot)
{
    struct type *type = *slot = alloc_new(struct type);

    space_skip(p);
    type->at = p->at;
    for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
        if (take(p, prefixes[i].text)) {
            type->kind = prefixes[i].kind;
            return parse_type(p, &type->inner);
        }
    if (take(p, "(")) {
        type->kind = KIND_STRUCT;
        return parse_fields(p, type);
    }
    return parse_word(p, type);
}

static int parse_struct(struct parser *p, struct type **slot)
{
    int r;

    space_skip(p);
    if (*p->at != '(')
        return parse_expect(p, "\"(\"");
    r = parse_type(p, slot);
    if (r >= 0 && (*slot)->kind != KIND_STRUCT)
        return parse_fail(p, (*slot)->at, "found an enum, expected fields with types");
    return r;
}

/* --- members --- */

static const struct member *member_find(const struct interface *interface, const char *name)
{
    const struct member *member = interface->members;

    while (member && strcmp(member->name, name) != 0)
        member = member->next;
    return member;
}

/* The kind, or negative errno. */
static int parse_member_kind(struct parser *p)
{
    static const char *const keywords[] = {
        [MEMBER_TYPE] = "type ", [MEMBER_METHOD] = "method ", [MEMBER_ERROR] = "error "};

    for (size_t i = 0; i < ARRAY_SIZE(keywords); i++)
        if (take(p, keywords[i]))
            return (int)i;
    return parse_expect(p, "\"type\", \"method\" or \"error\"");
}

static int parse_member(struct parser *p, struct member **slot)
{
    OWN(mem) char *name = NULL;
    struct member *member;
    const char *at;
    int r, kind = parse_member_kind(p);

    if (kind < 0)
        return kind;
    space_skip(p);
    at = p->at;
    r = take_name(p, isupper, "", "a name that begins with a capital letter", &name);
    if (r < 0)
        return r;
    if (member_find(p->interface, name))
        return parse_fail(p, at, "\"%s\" is there twice", name);
    *slot = member = alloc_new(struct member);
    member->kind = (enum member_kind)kind;
    member->name = take_ptr(name);
    if (kind == MEMBER_TYPE) {
        space_skip(p);
        return *p->at == '(' ? parse_type(p, &member->type) : parse_expect(p, "\"(\"");
    }
    r = parse_struct(p, &member->type);
    if (r >= 0 && kind == MEMBER_METHOD) {
        r = take_or_fail(p, "->");
        if (r >= 0)
            r = parse_struct(p, &member->reply);
    }
    return r;
}

static int parse_interface(struct parser *p)
{
    struct member **next = &p->interface->members;
    OWN(mem) char *name = NULL;
    int r = take_or_fail(p, "interface ");

    if (r >= 0)
        r = take_name(p, isalpha, "-.", "the name of the interface", &name);
    if (r < 0)
        return r;
    if (!strchr(name, '.'))
        return parse_fail(p, p->at, "the name of an interface has at least one dot");
    p->interface->name = take_ptr(name);
    for (space_skip(p); *p->at; space_skip(p)) {
        r = parse_member(p, next);
        if (r < 0)
            return r;
        next = &(*next)->next;
    }
    return 0;
}

/* --- what the grammar can't say --- */

static int resolve_type(struct parser *p, struct type *type)
{
    int r = 0;

    if (!type)
        return 0;
    if (type->kind == KIND_NAMED) {
        type->target = interface_member(p->interface, MEMBER_TYPE, type->name);
        if (!type->target)
            return parse_fail(p, type->at, "there is no type \"%s\"", type->name);
    }
    for (struct field *field = type->fields; field && r >= 0; field = field->next)
        r = resolve_type(p, field->type);
    return r < 0 ? r : resolve_type(p, type->inner);
}

static int resolve_members(struct parser *p, const struct method *methods)
{
    int r = 0;

    for (struct member *member = p->interface->members; member && r >= 0; member = member->next) {
        r = resolve_type(p, member->type);
        if (r >= 0)
            r = resolve_type(p, member->reply);
        if (r < 0 || member->kind != MEMBER_METHOD)
            continue;
        for (const struct method *method = methods; method->name; method++)
            if (strcmp(method->name, member->name) == 0)
                member->method = method;
        if (!member->method)
            r = parse_fail(p, member->type->at, "method %s has no handler", member->name);
    }
    return r;
}

static int methods_check(struct parser *p, const struct method *methods)
{
    for (const struct method *method = methods; method->name; method++)
        if (!interface_member(p->interface, MEMBER_METHOD, method->name))
            return parse_fail(p, p->interface->text, "there is no method %s for its handler",
                              method->name);
    return 0;
}

int interface_new(const char *text, const struct method *methods, struct interface **ret_interface,
                  struct error *error)
{
    struct interface *interface = alloc_new(struct interface);
    struct parser parser = {.interface = interface, .at = text, .error = error};
    int r;

    interface->text = text;
    r = parse_interface(&parser);
    if (r >= 0)
        r = resolve_members(&parser, methods);
    if (r >= 0)
        r = methods_check(&parser, methods);
    if (r < 0)
        interface_free(interface);
    else
        *ret_interface = interface;
    return r;
}

/* --- the tree --- */

static void type_free(struct type *type)
{
    struct field *next;

    if (!type)
        return;
    for (struct field *field = type->fields; field; field = next) {
        next = field->next;
        type_free(field->type);
        free(field->name);
        free(field);
    }
    type_free(type->inner);
    free(type->name);
    free(type);
}

void interface_free(struct interface *interface)
{
    struct member *next;

    if (!interface)
        return;
    for (struct member *member = interface->members; member; member = next) {
        next = member->next;
        type_free(member->type);
        type_free(member->reply);
        free(member->name);
        free(member);
    }
    free(interface->name);
    free(interface);
}

const char *interface_name(const struct interface *interface)
{
    return interface->name;
}

const char *interface_text(const struct interface *interface)
{
    return interface->text;
}

const struct member *interface_member(const struct interface *interface, enum member_kind kind,
                                      const char *name)
{
    const struct member *member = member_find(interface, name);

    return member && member->kind == kind ? member : NULL;
}

const struct method *interface_method(const struct interface *interface, const char *name)
{
    const struct member *member = interface_member(interface, MEMBER_METHOD, name);

    return member ? member->method : NULL;
}
