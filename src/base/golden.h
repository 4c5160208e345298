/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Golden tests: a text that is made against the file that says what it should be. UPDATE_GOLDEN=1
 * rewrites the files; what changed is then seen in the diff. For use in tests only.
 */
#pragma once

#include <stdlib.h>

#include "base/buf.h"
#include "base/own.h"
#include "base/test.h"

static inline void golden_write(const char *path, const char *text)
{
    OWN(file) FILE *file = fopen(path, "we");

    CHECK(file && fputs(text, file) >= 0);
}

static inline void golden_read(const char *path, struct buf *content)
{
    OWN(file) FILE *file = fopen(path, "re");
    size_t got;

    CHECK(file);
    while ((got = fread(buf_reserve(content, 4096), 1, 4096, file)) > 0)
        buf_commit(content, got);
}

/* Fails the test when text is not what the file at path says. */
static inline void golden_check(const char *path, const char *text)
{
    OWN(buf) struct buf expected = BUF_NULL;

    if (getenv("UPDATE_GOLDEN"))
        golden_write(path, text);
    printf("# %s\n", path);
    golden_read(path, &expected);
    CHECK_TEXT(text, buf_text(&expected));
}
