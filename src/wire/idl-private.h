/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A parsed interface definition: a tree that struct interface owns. idl.c makes it from the text,
 * idl-check.c holds messages against it.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "wire/idl.h"

/* The reason of a request with one; from a peer of an earlier version it means that it is older. */
#define IDL_UNKNOWN_FIELD "found a field that is not known"

enum kind {
    KIND_BOOL,
    KIND_INT,
    KIND_FLOAT,
    KIND_STRING,
    KIND_OBJECT,
    KIND_ENUM,
    KIND_STRUCT,
    KIND_ARRAY,
    KIND_MAP,
    KIND_MAYBE,
    KIND_NAMED,
};

struct type {
    enum kind kind;
    struct type *inner;          /* of an array, a map, a maybe */
    struct field *fields;        /* of a struct; of an enum: its values */
    const struct member *target; /* of a named type */
    char *name;                  /* of a named type */
    const char *at;              /* in the interface's text */
};

struct field {
    struct field *next;
    char *name;
    struct type *type; /* NULL in an enum */
};

enum member_kind { MEMBER_TYPE, MEMBER_METHOD, MEMBER_ERROR };

struct member {
    struct member *next;
    enum member_kind kind;
    char *name;
    struct type *type;  /* the type; a method's or an error's parameters */
    struct type *reply; /* a method's */
    const struct method *method;
};

struct interface {
    const char *text;
    char *name;
    struct member *members;
};

const struct member *interface_member(const struct interface *interface, enum member_kind kind,
                                      const char *name);
/* "X has the methods A, B": a hint. Returns text. */
char *interface_methods(const struct interface *interface, char *text, size_t size);

/* A set of JSON types as bits. */
#define IDL_TYPE(type) (1U << (type))
#define IDL_TYPES_BOOL (IDL_TYPE(JSON_TRUE) | IDL_TYPE(JSON_FALSE))

/* What value is, in words: "an array", "the integer 12". Returns text. */
#define IDL_FOUND_SIZE 80
char *idl_found(const json_t *value, char text[IDL_FOUND_SIZE]);
