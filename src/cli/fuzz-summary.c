/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of vmlan capture: guests make the frames. Each must become a text that ends, of
 * characters that do nothing to a terminal. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cli/summary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *frame = malloc(size ? size : 1); /* of this size, for the sanitizer to see more */
    char text[SUMMARY_SIZE];

    if (size)
        memcpy(frame, data, size);
    summary_text(frame, size, text);
    assert(strlen(text) > 0);
    for (const char *c = text; *c; c++)
        assert(*c >= 0x20 && *c < 0x7f);
    free(frame);
    return 0;
}
