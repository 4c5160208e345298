/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests: how many descriptors this process has, to compare before and after, and leave for more
 * than the 1024 that a login usually has.
 */
#pragma once

#include <sys/resource.h>

#include "base/own.h"

static inline int fds_open(void)
{
    OWN(dir) DIR *dir = opendir("/proc/self/fd");
    int count = 0;

    while (readdir(dir))
        count++;
    return count;
}

/* Allows up to most of them, as far as this user may. */
static inline void fds_allow(rlim_t most)
{
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max < most ? limit.rlim_max : most;
    setrlimit(RLIMIT_NOFILE, &limit);
}
