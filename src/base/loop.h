/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop of every role: epoll over sources that are embedded in their owners.
 *
 * The one trap of epoll loops is the stale event: a callback destroys an object for which an event
 * of the same batch is still to be delivered. So a batch is first merged into the sources (no
 * callback runs meanwhile), which queue themselves on a ready list; callbacks then run from that
 * list, and a source that is removed leaves it. A source may remove or free any source, itself
 * included, from its callback.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"

struct loop {
    int epoll;
    bool stop;
    struct list ready; /* sources with events to deliver */
};

int loop_init(struct loop *loop);
void loop_done(struct loop *loop);

/* Runs until loop_stop(). Returns 0 or negative errno. */
int loop_run(struct loop *loop);
/* No callback runs any more, also of what is ready already: who asks an ending process something is
 * to see it end, not to get an answer. */
void loop_stop(struct loop *loop);

/* Waits once, at most timeout_ms (-1: for ever), and delivers what came. Negative errno on failure.
 */
int loop_turn(struct loop *loop, int timeout_ms);

struct source;
typedef void source_fn(struct source *source, uint32_t events);

struct source {
    struct loop *loop; /* NULL while not added */
    int fd;            /* borrowed */
    uint32_t wanted, ready;
    source_fn *call;
    struct list link;
};

/* Level-triggered. The fd stays the caller's and must stay open until source_remove(). */
int source_add(struct loop *loop, struct source *source, int fd, uint32_t events, source_fn *call);
int source_want(struct source *source, uint32_t events);
/* Accepts a zeroed source and one that was removed already. */
void source_remove(struct source *source);

/* A one-shot timer on CLOCK_BOOTTIME: time asleep counts. */
struct timer;
typedef void timer_fn(struct timer *timer);

struct timer {
    struct source source;
    int fd;
    bool made;
    timer_fn *call;
};

int timer_init(struct loop *loop, struct timer *timer, timer_fn *call);
void timer_set(struct timer *timer, uint64_t milliseconds);    /* replaces what was set */
void timer_set_us(struct timer *timer, unsigned microseconds); /* more than 0 */
void timer_stop(struct timer *timer);
bool timer_is_set(const struct timer *timer);
void timer_done(struct timer *timer); /* accepts a zeroed timer */

/* Milliseconds on CLOCK_BOOTTIME. */
uint64_t clock_ms(void);

/* SIGTERM and SIGINT as events; they are blocked from here on, children get them back. */
struct signals;
typedef void signals_fn(struct signals *signals, int number);

struct signals {
    struct source source;
    int fd;
    bool made;
    signals_fn *call;
};

int signals_init(struct loop *loop, struct signals *signals, signals_fn *call);
void signals_done(struct signals *signals);
