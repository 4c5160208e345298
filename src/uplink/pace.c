/* SPDX-License-Identifier: Apache-2.0 */
/* See pace.h. */
#include "uplink/pace.h"

#include <sys/epoll.h>

enum {
    BURST = 4,      /* so many at once, and the next are fetched together … */
    MOMENT_US = 100 /* … after this time; the queues hold many times as much */
};

void paced_init(struct paced *paced, struct pace *pace, struct source *source,
                unsigned (*fetch)(struct paced *paced))
{
    *paced = (struct paced){.pace = pace, .source = source, .fetch = fetch};
    list_init(&paced->link);
}

void paced_done(struct paced *paced)
{
    list_remove(&paced->link);
}

void paced_ready(struct paced *paced)
{
    struct pace *pace = paced->pace;
    unsigned count;

    list_remove(&paced->link);
    count = paced->fetch(paced);
    if (count < BURST || count >= PACE_BATCH || source_want(paced->source, 0) < 0) {
        source_want(paced->source, EPOLLIN);
        return;
    }
    if (list_empty(&pace->due))
        timer_set_us(&pace->timer, MOMENT_US);
    list_append(&pace->due, &paced->link);
}

static void moment_over(struct timer *timer)
{
    struct pace *pace = container_of(timer, struct pace, timer);
    struct list now;
    struct paced *paced;

    list_init(&now);
    list_splice(&now, &pace->due);
    while ((paced = list_first(&now, struct paced, link)))
        paced_ready(paced); /* takes it off the list */
}

int pace_init(struct pace *pace, struct loop *loop)
{
    list_init(&pace->due);
    return timer_init(loop, &pace->timer, moment_over);
}

void pace_done(struct pace *pace)
{
    timer_done(&pace->timer);
}
