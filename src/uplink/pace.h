/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fetching by the clock. A sender that is slower than this process would wake it for every few
 * packets, which costs both more than the packets do. So what arrives in bursts is left alone for a
 * moment and then fetched together; one packet at a time is fetched at once.
 */
#pragma once

#include "base/list.h"
#include "base/loop.h"

enum { PACE_BATCH = 64 }; /* packets in a turn at most, so that others get theirs */

/* All that is to be fetched at the same moment. */
struct pace {
    struct timer timer;
    struct list due; /* struct paced */
};

int pace_init(struct pace *pace, struct loop *loop); /* negative errno */
void pace_done(struct pace *pace);                   /* accepts a zeroed one */

/* Something to be fetched from. */
struct paced {
    struct list link;
    struct pace *pace;
    struct source *source; /* readable when there is something; watched or not by turns */
    unsigned (*fetch)(struct paced *paced); /* at most PACE_BATCH packets; how many there were */
};

/* Both outlive it. */
void paced_init(struct paced *paced, struct pace *pace, struct source *source,
                unsigned (*fetch)(struct paced *paced));
/* The source is readable. */
void paced_ready(struct paced *paced);
void paced_done(struct paced *paced);
