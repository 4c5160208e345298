/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Varlink interface definitions (https://varlink.org/Interface-Definition): the .varlink text in
 * the tree is the one description of an interface. It is embedded, parsed at start, answers
 * GetInterfaceDescription, and checks what peers send: unknown methods and fields, missing fields,
 * wrong types and enum values each become one error that names the field.
 */
#pragma once

#include <jansson.h>

#include "base/error.h"

struct call;

/* A handler gets a call with checked parameters and must end it, now or later. */
struct method {
    const char *name; /* as in the text, without the interface */
    void (*handle)(struct call *call);
    size_t fds_min, fds_max; /* how many fds a request must and may carry */
};

struct interface;

/* text is borrowed and must stay; methods: ended by an entry with a NULL name, borrowed. Every
 * method of the text needs an entry and every entry a method. Negative errno, with line and column.
 */
int interface_new(const char *text, const struct method *methods, struct interface **ret_interface,
                  struct error *error);
void interface_free(struct interface *interface);

const char *interface_name(const struct interface *interface);
const char *interface_text(const struct interface *interface);
const struct method *interface_method(const struct interface *interface, const char *name);

/* Checks a call's parameters (NULL stands for {}). The error's where is "Method.field.subfield". */
int interface_check(const struct interface *interface, const char *method, const json_t *parameters,
                    struct error *error);
