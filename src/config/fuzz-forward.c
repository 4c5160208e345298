/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any text as a forward. What is accepted must hold: its canonical form is accepted again, is the
 * same forward, and both halves alone say the same; what is refused has a reason and a cure.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/own.h"
#include "config/forward.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_refused(const struct error *error)
{
    OWN(json) json_t *reason = json_string(error->reason);
    OWN(json) json_t *hint = json_string(error->hint);

    require(reason && hint && error->reason[0] && error->hint[0]);
}

static bool same(const struct forward *a, const struct forward *b)
{
    char one[FORWARD_TEXT_SIZE], two[FORWARD_TEXT_SIZE];

    return strcmp(forward_text(a, one), forward_text(b, two)) == 0;
}

static void check_accepted(const struct forward *forward)
{
    char text[FORWARD_TEXT_SIZE];
    struct forward again, halves = forward_default;
    struct error error;

    require(forward_parse(forward_text(forward, text), &again, &error) == 0);
    require(same(forward, &again));
    require(forward_overlaps(forward, &again));
    require(forward_parse_listen(forward_listen_text(forward, text), &halves, &error) == 0);
    require(forward_parse_to(forward_to_text(forward, text), &halves, &error) == 0);
    require(forward_check(&halves, &error) == 0);
    halves.protocol = forward->protocol;
    require(same(forward, &halves));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OWN(mem) char *text = malloc(size + 1);
    struct forward forward;
    struct error error;

    require(text);
    memcpy(text, data, size);
    text[size] = '\0';
    if (forward_parse(text, &forward, &error) < 0)
        check_refused(&error);
    else
        check_accepted(&forward);
    return 0;
}
