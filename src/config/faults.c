/* SPDX-License-Identifier: Apache-2.0 */
/* See faults.h. */
#include "config/faults.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/alloc.h"
#include "base/json.h"
#include "base/own.h"

void faults_done(struct faults *faults)
{
    free(faults->items);
    *faults = (struct faults){0};
}

struct error *faults_add(struct faults *faults, const char *where, const char *format, ...)
{
    struct error *fault;
    va_list args;

    faults->total++;
    if (faults->count == FAULTS_MAX)
        return NULL;
    if (!faults->items)
        faults->items = alloc_zero(FAULTS_MAX, sizeof(*faults->items));
    fault = &faults->items[faults->count++];
    *fault = (struct error){.code = -EINVAL, .id = ERROR_INVALID};
    error_where(fault, "%s", where);
    va_start(args, format);
    vsnprintf(fault->reason, sizeof(fault->reason), format, args);
    va_end(args);
    return fault;
}

static void faults_shorten(char *text, size_t length)
{
    static const char more[] = "...";
    size_t end = FAULTS_VALUE_SIZE - sizeof(more);

    if (length < FAULTS_VALUE_SIZE) {
        text[length] = '\0';
        return;
    }
    while (end > 0 && ((unsigned char)text[end] & 0xc0) == 0x80)
        end--;
    memcpy(text + end, more, sizeof(more));
}

char *faults_value(const json_t *value, char text[FAULTS_VALUE_SIZE])
{
    OWN(mem) char *dump = NULL;
    size_t length;

    if (json_is_object(value))
        return strcpy(text, "a mapping");
    if (json_is_array(value))
        return strcpy(text, "a list");
    dump = json_dumps(value, JSON_ENCODE_ANY);
    if (!dump)
        return strcpy(text, "that value"); /* not UTF-8 */
    length = strlen(dump);
    memcpy(text, dump, length < FAULTS_VALUE_SIZE ? length : FAULTS_VALUE_SIZE);
    faults_shorten(text, length);
    return text;
}

char *faults_quote(const char *value, char text[FAULTS_VALUE_SIZE])
{
    OWN(json) json_t *json = json_string(value);

    return faults_value(json, text);
}
