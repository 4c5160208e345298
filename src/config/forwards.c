/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `forwards`: a list of texts, or of mappings {listen, to, protocol} that say the same; forward.h.
 * Entry i of the list is entry i of the spec even when it is wrong (it then has no ports), so
 * places stay right.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "base/own.h"
#include "config/spec-key.h"

/* `listen` may be a port alone, which is a number in YAML and JSON. */
static int parse_listen(const json_t *value, struct forward *forward, struct error *error)
{
    char port[24];

    if (json_is_string(value))
        return forward_parse_listen(json_string_value(value), forward, error);
    snprintf(port, sizeof(port), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    return forward_parse_listen(port, forward, error);
}

static int parse_to(const json_t *value, struct forward *forward, struct error *error)
{
    return forward_parse_to(json_string_value(value), forward, error);
}

static int parse_protocol(const json_t *value, struct forward *forward, struct error *error)
{
    return forward_parse_protocol(json_string_value(value), forward, error);
}

static const struct forward_key {
    const char *name;
    bool number; /* may be one */
    int (*parse)(const json_t *value, struct forward *forward, struct error *error);
} forward_keys[] = {
    {"listen", true, parse_listen},
    {"to", false, parse_to},
    {"protocol", false, parse_protocol},
};

static void mapping_parse(struct check *check, const json_t *entry, struct forward *forward)
{
    const char *name;
    json_t *value;
    struct error error;

    json_object_foreach((json_t *)entry, name, value) {
        const struct forward_key *key = CHECK_KEY(check, name, forward_keys);
        size_t mark = pointer_push(&check->path, name);

        if (key && !json_is_null(value) &&
            ((key->number && json_is_integer(value)) || check_string(check, value)) &&
            key->parse(value, forward, &error) < 0)
            check_error(check, &error);
        pointer_pop(&check->path, mark);
    }
    check_needs(check, entry, "listen");
    check_needs(check, entry, "to");
}

static void entry_parse(struct check *check, const json_t *entry, void *ret)
{
    struct forward forward = forward_default;
    size_t before = check->faults->total;
    char found[FAULTS_VALUE_SIZE];
    struct error error;
    int r = 0;

    if (json_is_string(entry)) {
        r = forward_parse(json_string_value(entry), &forward, &error);
    } else if (json_is_object(entry)) {
        mapping_parse(check, entry, &forward);
        if (check->faults->total == before)
            r = forward_check(&forward, &error);
    } else {
        error_hint(check_fault(check, "%s is not a forward", faults_value(entry, found)),
                   "write [ADDRESS:]PORT:GUEST:PORT, such as 8080:web:80");
    }
    if (r < 0)
        check_error(check, &error);
    if (check->faults->total == before)
        *(struct forward *)ret = forward;
}

static void check_twice(struct check *check, const struct spec *spec, size_t index)
{
    const struct forward *forward = &spec->forwards[index];
    char place[CHECK_PLACE_SIZE], listen[FORWARD_TEXT_SIZE];

    for (size_t i = 0; i < index; i++) {
        OWN(mem) char *other = NULL;
        size_t mark;

        if (!spec->forwards[i].ports.first || !forward_overlaps(&spec->forwards[i], forward))
            continue;
        other = alloc_printf("%s/%zu", buf_text(&check->path), i);
        mark = pointer_push_index(&check->path, index);
        error_hint(check_fault(check, "%s is taken by the forward at %s",
                               forward_listen_text(forward, listen),
                               check_place(check, other, place)),
                   "listen on another port or address");
        pointer_pop(&check->path, mark);
        return;
    }
}

static void check_together(struct check *check, const struct spec *spec)
{
    size_t ports = 0;

    for (size_t i = 0; i < spec->forward_count; i++) {
        if (!spec->forwards[i].ports.first)
            continue;
        ports += ports_count(spec->forwards[i].ports);
        check_twice(check, spec, i);
    }
    if (ports > FORWARD_PORTS_MAX)
        error_hint(check_fault(check, "%zu ports are too many", ports), "at most %d are possible",
                   FORWARD_PORTS_MAX);
}

static void forwards_parse(struct check *check, const struct spec_key *key, const json_t *value,
                           struct spec *spec)
{
    (void)key;
    spec->forwards = check_entries(check, value, FORWARDS_MAX, sizeof(*spec->forwards), entry_parse,
                                   &spec->forward_count);
    check_together(check, spec);
}

static json_t *forwards_print(const struct spec_key *key, const struct spec *spec)
{
    json_t *list = json_array();
    char text[FORWARD_TEXT_SIZE];

    (void)key;
    for (size_t i = 0; i < spec->forward_count; i++)
        json_array_append_new(list, json_string(forward_text(&spec->forwards[i], text)));
    return list;
}

const struct spec_type spec_forwards = {forwards_parse, forwards_print};

void forwards_check_subnet(struct check *check, const struct spec *spec)
{
    size_t mark = pointer_push(&check->path, "forwards");
    struct error error;

    for (size_t i = 0; i < spec->forward_count; i++) {
        size_t entry = pointer_push_index(&check->path, i);

        if (forward_check_guest(&spec->forwards[i], spec, &error) < 0)
            check_error(check, &error);
        pointer_pop(&check->path, entry);
    }
    pointer_pop(&check->path, mark);
}
