/* SPDX-License-Identifier: Apache-2.0 */
/* A user and network namespace of a test's own, with nothing but a loopback that is up. */
#pragma once

#include <stdlib.h>

#include "base/test.h"
#include "kernel/ns.h"
#include "kernel/rtnl.h"

/* Enters it, for good; before anything else is printed. The caller owns the result. Where there is
 * no such namespace the program ends: skipped. */
static inline struct rtnl *loopback_enter(void)
{
    const struct rtnl_link up = {.up = 1};
    struct error error = {0};
    char text[ERROR_TEXT_SIZE];
    struct rtnl *rtnl;

    if (ns_unshare(&error) < 0) {
        printf("1..0 # SKIP %s\n", error_text(&error, text, sizeof(text)));
        exit(0);
    }
    if (rtnl_open(&rtnl, &error) < 0 || rtnl_set_link(rtnl, 1, &up, &error) < 0) {
        printf("Bail out! %s\n", error_text(&error, text, sizeof(text)));
        exit(1);
    }
    return rtnl;
}
