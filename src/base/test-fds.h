/* SPDX-License-Identifier: Apache-2.0 */
/* How many descriptors this process has, for tests that compare before and after. */
#pragma once

#include "base/own.h"

static inline int fds_open(void)
{
    OWN(dir) DIR *dir = opendir("/proc/self/fd");
    int count = 0;

    while (readdir(dir))
        count++;
    return count;
}
