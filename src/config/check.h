/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of one check of a JSON document, and the questions every checker asks: is it a mapping,
 * a list, a whole number in range, a boolean, a string, a key that exists? What is wrong goes to
 * faults with the place of the value and the field in front: "reservations[0].mac: ...".
 */
#pragma once

#include "base/buf.h"
#include "config/faults.h"
#include "config/pointer.h"

struct check {
    const struct spec_places *places; /* borrowed */
    struct faults *faults;            /* borrowed */
    const char *subject;              /* stands for the field of the whole document; or NULL */
    struct buf path;                  /* pointer to the value being checked; pointer_push() it */
};

static inline void own_check(struct check *check)
{
    buf_done(&check->path);
}

/* A fault of the value at check->path; of its key. As faults_add(). */
struct error *check_fault(struct check *check, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
struct error *check_fault_key(struct check *check, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same with the reason and hint of an error that has no place yet. */
void check_error(struct check *check, const struct error *error);

#define CHECK_PLACE_SIZE 256
/* The place of another value, to name it in a message. Returns text. */
char *check_place(const struct check *check, const char *pointer, char text[CHECK_PLACE_SIZE]);

/* Each answers no after adding a fault that says what to write. */
bool check_mapping(struct check *check, const json_t *value);
bool check_list(struct check *check, const json_t *value, size_t max);
bool check_integer(struct check *check, const json_t *value, json_int_t min, json_int_t max,
                   json_int_t *ret);
bool check_boolean(struct check *check, const json_t *value, bool *ret);
/* Borrowed from value; NULL for no. */
const char *check_string(struct check *check, const json_t *value);
bool check_mac(struct check *check, const json_t *value, uint8_t ret_mac[6]);

/* The row of table whose name is key, rows beginning with their name; NULL after a fault that names
 * the nearest. CHECK_KEY() for arrays. */
const void *check_key(struct check *check, const char *key, const void *table, size_t row_size,
                      size_t rows);
#define CHECK_KEY(check, key, table)                                           \
    ((__typeof__(&(table)[0]))check_key(check, key, table, sizeof((table)[0]), \
                                        sizeof(table) / sizeof((table)[0])))

/* A member of a mapping, and what takes its value, which is not null. */
struct check_member {
    const char *name;
    void (*parse)(struct check *check, const json_t *value, void *ret);
};

/* Takes a mapping apart: each member goes to its row, with ret. False after a fault when value is
 * no mapping. CHECK_MEMBERS() for arrays. */
bool check_members(struct check *check, const json_t *value, const struct check_member *table,
                   size_t rows, void *ret);
#define CHECK_MEMBERS(check, value, table, ret) \
    check_members(check, value, table, sizeof(table) / sizeof((table)[0]), ret)

/* Takes a list of at most max entries apart: parse() for each, with its item of the array that is
 * returned. The items begin as zeros; entry i is item i. The caller owns the array; NULL and
 * *ret_count 0 after a fault when value is no such list. */
void *check_entries(struct check *check, const json_t *value, size_t max, size_t item_size,
                    void (*parse)(struct check *check, const json_t *entry, void *item),
                    size_t *ret_count);

/* The name in such a table that key was probably meant to be; NULL: none is near. */
const char *check_nearest(const char *key, const void *table, size_t row_size, size_t rows);

/* The value of a key; NULL where it is missing or null, which both mean: as by default. */
json_t *check_given(const json_t *mapping, const char *key);
/* Adds a fault if a key is not given. */
void check_needs(struct check *check, const json_t *mapping, const char *key);
