/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the tests of networks.yaml: a text, called F, and all the lines a person is to read when it
 * is wrong.
 */
#pragma once

#include <errno.h>

#include "base/buf.h"
#include "base/own.h"
#include "base/test.h"
#include "config/networks.h"

/* Appends the lines to lines. */
static inline int parse(const char *yaml, bool lima, struct networks *ret, struct buf *lines)
{
    OWN(faults) struct faults faults = {0};
    int r = networks_parse(yaml, strlen(yaml), "F", lima, ret, &faults);
    char text[ERROR_TEXT_SIZE];

    for (size_t i = 0; i < faults.count; i++)
        buf_printf(lines, "%s\n", error_text(&faults.items[i], text, sizeof(text)));
    return r;
}

struct wrong {
    const char *yaml, *lines;
};

/* Each is refused as a whole, with its lines. */
static inline void check_wrong(const struct wrong *wrong, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        OWN(buf) struct buf lines = BUF_NULL;
        OWN(networks) struct networks networks = {0};

        CHECK_INT(parse(wrong[i].yaml, false, &networks, &lines), -EINVAL);
        CHECK_TEXT(buf_text(&lines), wrong[i].lines);
        CHECK(!networks.vmnet);
    }
}
