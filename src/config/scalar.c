/* SPDX-License-Identifier: Apache-2.0 */
/* See scalar.h. */
#include "config/scalar.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"

#define DIGITS "0123456789"

/* Each returns NULL when text is of another kind. */
static json_t *scalar_word(const char *text)
{
    static const struct {
        const char *word;
        json_type type;
    } words[] = {
        {"", JSON_NULL},       {"~", JSON_NULL},      {"null", JSON_NULL},   {"Null", JSON_NULL},
        {"NULL", JSON_NULL},   {"true", JSON_TRUE},   {"True", JSON_TRUE},   {"TRUE", JSON_TRUE},
        {"false", JSON_FALSE}, {"False", JSON_FALSE}, {"FALSE", JSON_FALSE},
    };

    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        if (strcmp(text, words[i].word) == 0)
            return words[i].type == JSON_NULL ? json_null()
                                              : json_boolean(words[i].type == JSON_TRUE);
    }
    return NULL;
}

static json_t *scalar_integer(const char *text)
{
    static const struct {
        const char *prefix, *digits;
        int base;
    } forms[] = {
        {"0o", "01234567", 8}, {"0x", DIGITS "abcdefABCDEF", 16},
        {"+", DIGITS, 10},     {"-", DIGITS, 10},
        {"", DIGITS, 10},
    };

    for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
        size_t skip = strlen(forms[i].prefix);
        const char *digits = text + skip;
        long long number;

        if (strncmp(text, forms[i].prefix, skip) != 0 || !*digits ||
            digits[strspn(digits, forms[i].digits)])
            continue;
        errno = 0;
        number = strtoll(forms[i].base == 10 ? text : digits, NULL, forms[i].base);
        return errno ? json_string(text) : json_integer(number);
    }
    return NULL;
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? */
static json_t *scalar_float(const char *text)
{
    const char *p = text + (*text == '+' || *text == '-');
    size_t whole = strspn(p, DIGITS), part = 0;
    double number;

    p += whole;
    if (*p == '.') {
        part = strspn(p + 1, DIGITS);
        p += 1 + part;
    }
    if (whole + part == 0)
        return NULL;
    if (*p == 'e' || *p == 'E') {
        p++;
        p += *p == '+' || *p == '-';
        if (!strspn(p, DIGITS))
            return NULL;
        p += strspn(p, DIGITS);
    }
    if (*p)
        return NULL;
    number = strtod(text, NULL);
    return isfinite(number) ? json_real(number) : json_string(text);
}

json_t *scalar_resolve(const char *text)
{
    json_t *value = scalar_word(text);

    if (!value)
        value = scalar_integer(text);
    if (!value)
        value = scalar_float(text);
    return value ? value : json_string(text);
}
