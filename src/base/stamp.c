/* SPDX-License-Identifier: Apache-2.0 */
/* See stamp.h. */
#include "base/stamp.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

char *stamp_now(char text[STAMP_SIZE])
{
    struct timespec now;
    struct tm utc;
    size_t size;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size = strftime(text, STAMP_SIZE, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + size, STAMP_SIZE - size, ".%03ldZ", now.tv_nsec / 1000000);
    return text;
}
