/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML (libyaml) to JSON, with the place of every value remembered: the validator speaks JSON alone
 * and file messages still carry line and column. Only what JSON can say is taken: duplicate keys,
 * non-scalar keys and custom tags are faults; anchors, aliases and merge keys work within limits on
 * size and depth (a few kilobytes of aliases must not become gigabytes).
 */
#pragma once

#include "config/spec.h"

struct yaml_document {
    json_t *root;   /* never NULL after success; an empty text is an empty object */
    json_t *places; /* object: JSON pointer -> [line, column, line and column of the key], from 1 */
    char *source;
};

int yaml_parse(const char *text, size_t size, const char *source, struct yaml_document *ret,
               struct faults *faults);
/* Reads a whole file of at most 1 MiB first. */
int yaml_load(const char *path, struct yaml_document *ret, struct faults *faults);
void yaml_done(struct yaml_document *document);
static inline void own_yaml(struct yaml_document *document)
{
    yaml_done(document);
}

/* The places of a part of a document, for a checker. Both are borrowed. */
struct yaml_places {
    struct spec_places places;
    const struct yaml_document *document;
    const char *prefix; /* JSON pointer to the part */
};
struct yaml_places yaml_places(const struct yaml_document *document, const char *prefix);
