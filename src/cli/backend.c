/* SPDX-License-Identifier: Apache-2.0 */
/* See backend.h. */
#include "cli/backend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"

static const char *const words[][2] = {
    {"tap", "tap"},           {"tap_next", "tap"},
    {"stream", "stream"},     {"socket", "stream"},
    {"datagram", "datagram"}, {"datagram_next", "datagram_next"},
    {"dgram", "datagram"},    {"dgram_next", "datagram_next"},
};

static const char *word_find(const char *word)
{
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (strcmp(word, words[i][0]) == 0)
            return words[i][1];
    return NULL;
}

const char *backend_protocol(const char *word)
{
    const char *found = word_find(word);

    return found ? found : word;
}

int backend_check(const char *word, struct error *error)
{
    if (word_find(word))
        return 0;
    error_set(error, -EINVAL, ERROR_INVALID, "there is no backend \"%s\"", word);
    error_hint(error, "use %s", BACKEND_WORDS);
    return -EINVAL;
}

int backend_from_environment(const char *variable, const char **ret, const char **ret_variable,
                             struct error *error)
{
    const char *const variables[] = {"VMLAN_BACKEND", variable};

    *ret = *ret_variable = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(variables); i++) {
        const char *value = variables[i] ? getenv(variables[i]) : NULL;

        if (!value || !value[0])
            continue;
        if (backend_check(value, error) < 0) {
            error_where(error, "$%s", variables[i]);
            error_hint(error, "use %s, or unset it", BACKEND_WORDS);
            return -EINVAL;
        }
        *ret = value;
        *ret_variable = variables[i];
        return 0;
    }
    return 0;
}
