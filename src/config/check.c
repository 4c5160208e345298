/* SPDX-License-Identifier: Apache-2.0 */
/* See check.h. */
#include "config/check.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/json.h"
#include "base/own.h"
#include "config/scalar.h"

/* The place of the key that leads to the current value, where keys have places of their own. */
static char *check_place_key(const struct check *check, char text[CHECK_PLACE_SIZE])
{
    const struct spec_places *places = check->places;

    text[0] = '\0';
    (places->where_key ? places->where_key : places->where)(places, buf_text(&check->path), text,
                                                            CHECK_PLACE_SIZE);
    return text;
}

__attribute__((format(printf, 3, 0))) static struct error *check_report(struct check *check,
                                                                        const char *place,
                                                                        const char *format,
                                                                        va_list args)
{
    char reason[sizeof(((struct error *)NULL)->reason)];
    OWN(buf) struct buf field = BUF_NULL;

    vsnprintf(reason, sizeof(reason), format, args);
    pointer_field(buf_text(&check->path), &field);
    if (field.size == 0 && check->subject)
        buf_printf(&field, "%s", check->subject);
    return faults_add(check->faults, place, "%s%s%s", buf_text(&field), field.size ? ": " : "",
                      reason);
}

struct error *check_fault(struct check *check, const char *format, ...)
{
    char place[CHECK_PLACE_SIZE];
    struct error *fault;
    va_list args;

    va_start(args, format);
    fault = check_report(check, check_place(check, buf_text(&check->path), place), format, args);
    va_end(args);
    return fault;
}

struct error *check_fault_key(struct check *check, const char *format, ...)
{
    char place[CHECK_PLACE_SIZE];
    struct error *fault;
    va_list args;

    va_start(args, format);
    fault = check_report(check, check_place_key(check, place), format, args);
    va_end(args);
    return fault;
}

void check_error(struct check *check, const struct error *error)
{
    error_hint(check_fault(check, "%s", error->reason), "%s", error->hint);
}

char *check_place(const struct check *check, const char *pointer, char text[CHECK_PLACE_SIZE])
{
    text[0] = '\0';
    check->places->where(check->places, pointer, text, CHECK_PLACE_SIZE);
    return text;
}

bool check_mapping(struct check *check, const json_t *value)
{
    char found[FAULTS_VALUE_SIZE];

    if (json_is_object(value))
        return true;
    error_hint(check_fault(check, "%s is not a mapping", faults_value(value, found)),
               "write the settings below it, as KEY: VALUE");
    return false;
}

bool check_list(struct check *check, const json_t *value, size_t max)
{
    char found[FAULTS_VALUE_SIZE];

    if (!json_is_array(value)) {
        error_hint(check_fault(check, "%s is not a list", faults_value(value, found)),
                   "begin each entry with \"- \"");
        return false;
    }
    if (json_array_size(value) > max) {
        error_hint(check_fault(check, "%zu entries are too many", json_array_size(value)),
                   "at most %zu are possible", max);
        return false;
    }
    return true;
}

/* Whether text, written without its quotes, would be a number in range. */
static bool check_quoted(const char *text, json_int_t min, json_int_t max)
{
    OWN(json) json_t *plain = text ? scalar_resolve(text) : NULL;

    return json_is_integer(plain) && json_integer_value(plain) >= min &&
           json_integer_value(plain) <= max;
}

bool check_integer(struct check *check, const json_t *value, json_int_t min, json_int_t max,
                   json_int_t *ret)
{
    char found[FAULTS_VALUE_SIZE];
    const char *wrong = "is not a whole number";
    json_int_t number = json_integer_value(value);
    struct error *fault;

    if (json_is_integer(value)) {
        if (number >= min && number <= max) {
            *ret = number;
            return true;
        }
        wrong = number < min ? "is too small" : "is too large";
    }
    fault = check_fault(check, "%s %s", faults_value(value, found), wrong);
    if (check_quoted(json_string_value(value), min, max))
        error_hint(fault, "write %s without quotes", json_string_value(value));
    else
        error_hint(fault, "use %" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT, min, max);
    return false;
}

/* What people write for a boolean that YAML 1.2 doesn't take for one. */
static const char *check_boolean_meant(const json_t *value)
{
    static const struct {
        const char *word, *cure;
    } words[] = {
        {"true", "write true without quotes"},
        {"false", "write false without quotes"},
        {"yes", "write true"},
        {"on", "write true"},
        {"1", "write true"},
        {"no", "write false"},
        {"off", "write false"},
        {"0", "write false"},
    };
    char number[24];
    const char *word = json_string_value(value);

    if (json_is_integer(value)) {
        snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        word = number;
    }
    for (size_t i = 0; word && i < ARRAY_SIZE(words); i++) {
        if (strcasecmp(word, words[i].word) == 0)
            return words[i].cure;
    }
    return "write true or false";
}

bool check_boolean(struct check *check, const json_t *value, bool *ret)
{
    char found[FAULTS_VALUE_SIZE];

    if (json_is_boolean(value)) {
        *ret = json_is_true(value);
        return true;
    }
    error_hint(check_fault(check, "%s is not a boolean", faults_value(value, found)), "%s",
               check_boolean_meant(value));
    return false;
}

const char *check_string(struct check *check, const json_t *value)
{
    char found[FAULTS_VALUE_SIZE];
    struct error *fault;

    if (json_is_string(value))
        return json_string_value(value);
    fault = check_fault(check, "%s is not a string", faults_value(value, found));
    if (!json_is_object(value) && !json_is_array(value))
        error_hint(fault, "write it in quotes: \"%s\"", found);
    else
        error_hint(fault, "write a single value");
    return NULL;
}

bool check_mac(struct check *check, const json_t *value, uint8_t ret_mac[6])
{
    const char *text = json_string_value(value);
    char found[FAULTS_VALUE_SIZE];
    int r = text ? mac_parse(text, ret_mac) : -EINVAL;

    if (r == -EINVAL)
        error_hint(check_fault(check, "%s is not a MAC address", faults_value(value, found)),
                   "write six bytes, such as 52:54:00:12:34:56");
    if (r == -EADDRNOTAVAIL)
        error_hint(check_fault(check, "%s is no single guest's", faults_value(value, found)),
                   "the first byte must be even, and not all may be zero");
    return r == 0;
}

#define CHECK_KEY_MAX 32 /* longer keys resemble none of ours */

/* Levenshtein distance without regard to case; both texts shorter than CHECK_KEY_MAX. */
static size_t check_distance(const char *a, const char *b)
{
    size_t row[CHECK_KEY_MAX], width = strlen(b);

    for (size_t j = 0; j <= width; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= width; j++) {
            size_t best = diagonal + (strncasecmp(&a[i - 1], &b[j - 1], 1) != 0);

            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[width];
}

/* Names are the first members of the rows of a table. */
static const char *check_row(const void *table, size_t row_size, size_t row)
{
    return *(const char *const *)((const char *)table + row * row_size);
}

const char *check_nearest(const char *key, const void *table, size_t row_size, size_t rows)
{
    size_t limit = 1 + strlen(key) / 4, nearest = limit + 1;
    const char *found = NULL;

    if (strlen(key) >= CHECK_KEY_MAX)
        return NULL;
    for (size_t i = 0; i < rows; i++) {
        const char *name = check_row(table, row_size, i);
        size_t distance = check_distance(key, name);

        if (distance < nearest && distance < strlen(name)) {
            nearest = distance;
            found = name;
        }
    }
    return found;
}

const void *check_key(struct check *check, const char *key, const void *table, size_t row_size,
                      size_t rows)
{
    const char *nearest = check_nearest(key, table, row_size, rows);
    OWN(buf) struct buf known = BUF_NULL;
    char found[FAULTS_VALUE_SIZE], place[CHECK_PLACE_SIZE];
    struct error *fault;
    size_t mark;

    for (size_t i = 0; i < rows; i++) {
        if (strcmp(key, check_row(table, row_size, i)) == 0)
            return (const char *)table + i * row_size;
        buf_printf(&known, "%s%s", i ? ", " : "", check_row(table, row_size, i));
    }
    mark = pointer_push(&check->path, key);
    check_place_key(check, place);
    pointer_pop(&check->path, mark);
    fault = check_fault(check, "unknown key %s", faults_quote(key, found));
    error_where(fault, "%s", place);
    if (nearest)
        error_hint(fault, "did you mean %s? Known keys: %s", nearest, buf_text(&known));
    else
        error_hint(fault, "known keys: %s", buf_text(&known));
    return NULL;
}

bool check_members(struct check *check, const json_t *value, const struct check_member *table,
                   size_t rows, void *ret)
{
    const char *name;
    json_t *member;

    if (!check_mapping(check, value))
        return false;
    json_object_foreach((json_t *)value, name, member) {
        const struct check_member *row = check_key(check, name, table, sizeof(*table), rows);
        size_t mark = pointer_push(&check->path, name);

        if (row && !json_is_null(member))
            row->parse(check, member, ret);
        pointer_pop(&check->path, mark);
    }
    return true;
}

void *check_entries(struct check *check, const json_t *value, size_t max, size_t item_size,
                    void (*parse)(struct check *check, const json_t *entry, void *item),
                    size_t *ret_count)
{
    size_t count = json_array_size(value);
    char *items;

    *ret_count = 0;
    if (!check_list(check, value, max))
        return NULL;
    items = alloc_zero(count, item_size);
    for (size_t i = 0; i < count; i++) {
        size_t mark = pointer_push_index(&check->path, i);

        parse(check, json_array_get(value, i), items + i * item_size);
        pointer_pop(&check->path, mark);
    }
    *ret_count = count;
    return items;
}

json_t *check_given(const json_t *mapping, const char *key)
{
    json_t *value = json_object_get(mapping, key);

    return json_is_null(value) ? NULL : value;
}

void check_needs(struct check *check, const json_t *mapping, const char *key)
{
    if (!check_given(mapping, key))
        error_hint(check_fault(check, "%s is missing", key), "add %s: VALUE", key);
}
