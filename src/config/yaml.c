/* SPDX-License-Identifier: Apache-2.0 */
/* See yaml.h. Composing is in composer.c; here are files, and where things stand in them. */
#include "config/yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/own.h"
#include "config/composer.h"
#include "config/faults.h"

#define YAML_SIZE_MAX (1024 * 1024)

void yaml_done(struct yaml_document *document)
{
    json_decref(document->root);
    json_decref(document->places);
    free(document->source);
    *document = (struct yaml_document){0};
}

static int yaml_too_large(const char *source, struct faults *faults)
{
    error_hint(faults_add(faults, source, "larger than 1 MiB"), "name a configuration file");
    return -EINVAL;
}

int yaml_parse(const char *text, size_t size, const char *source, struct yaml_document *ret,
               struct faults *faults)
{
    OWN(yaml) struct yaml_document document = {.places = json_object()};
    size_t before = faults->total;
    char place[256];

    if (size > YAML_SIZE_MAX)
        return yaml_too_large(source, faults);
    document.source = alloc_text(source);
    document.root = composer_run(text, size, source, document.places, faults);
    if (faults->total != before)
        return -EINVAL;
    if (json_is_null(document.root))
        document.root = json_object();
    if (!json_is_object(document.root)) {
        error_hint(
            faults_add(faults, composer_place(source, 1, 1, place, sizeof(place)), "not a mapping"),
            "write KEY: VALUE");
        return -EINVAL;
    }
    *ret = document;
    document = (struct yaml_document){0};
    return 0;
}

static int yaml_unreadable(const char *path, int code, struct faults *faults)
{
    static const struct {
        int code;
        const char *cure;
    } cures[] = {
        {-ENOENT, "check the path"},
        {-ENOTDIR, "check the path"},
        {-EISDIR, "name a file in it"},
        {-EACCES, "make it readable: chmod u+r, and u+x on its directories"},
    };
    struct error *fault = faults_add(faults, path, "can't be read: %s", strerror(-code));

    for (size_t i = 0; i < ARRAY_SIZE(cures); i++) {
        if (cures[i].code == code)
            error_hint(fault, "%s", cures[i].cure);
    }
    return -EINVAL;
}

/* Reads until the end or until it is too much; paths may name pipes, so sizes are not asked for. */
static int yaml_read(const char *path, struct buf *text)
{
    OWN(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t count;

    if (fd < 0)
        return -errno;
    do {
        count = read(fd, buf_reserve(text, 16384), 16384);
        if (count < 0 && errno != EINTR)
            return -errno;
        if (count > 0)
            buf_commit(text, (size_t)count);
    } while (count != 0 && text->size <= YAML_SIZE_MAX);
    return 0;
}

int yaml_load(const char *path, struct yaml_document *ret, struct faults *faults)
{
    OWN(buf) struct buf text = BUF_NULL;
    int r = yaml_read(path, &text);

    if (r < 0)
        return yaml_unreadable(path, r, faults);
    return yaml_parse(buf_text(&text), text.size, path, ret, faults);
}

/* -- places ---------------------------------------------------------------------------------- */

/* What has no place of its own (a key that is missing) is where the value around it is. */
static void yaml_place(const struct spec_places *places, const char *path, size_t first, char *text,
                       size_t size)
{
    const struct yaml_places *self = container_of(places, const struct yaml_places, places);
    OWN(mem) char *pointer = alloc_printf("%s%s", self->prefix, path);
    const json_t *place = json_object_get(self->document->places, pointer);
    char *slash;

    while (!place && (slash = strrchr(pointer, '/'))) {
        *slash = '\0';
        place = json_object_get(self->document->places, pointer);
    }
    composer_place(self->document->source,
                   place ? (size_t)json_integer_value(json_array_get(place, first)) : 1,
                   place ? (size_t)json_integer_value(json_array_get(place, first + 1)) : 1, text,
                   size);
}

static void yaml_where(const struct spec_places *places, const char *path, char *text, size_t size)
{
    yaml_place(places, path, 0, text, size);
}

static void yaml_where_key(const struct spec_places *places, const char *path, char *text,
                           size_t size)
{
    yaml_place(places, path, 2, text, size);
}

struct yaml_places yaml_places(const struct yaml_document *document, const char *prefix)
{
    return (struct yaml_places){{yaml_where, yaml_where_key}, document, prefix};
}
