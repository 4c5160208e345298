/* SPDX-License-Identifier: Apache-2.0 */
/* See loop.h for how events and lifetimes fit together. */
#include "base/loop.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>

int loop_init(struct loop *loop)
{
    *loop = (struct loop){.epoll = epoll_create1(EPOLL_CLOEXEC)};
    list_init(&loop->ready);
    return loop->epoll < 0 ? -errno : 0;
}

void loop_done(struct loop *loop)
{
    fd_close(&loop->epoll);
}

void loop_stop(struct loop *loop)
{
    loop->stop = true;
}

static void loop_merge(struct loop *loop, const struct epoll_event *events, int count)
{
    for (int i = 0; i < count; i++) {
        struct source *source = events[i].data.ptr;

        source->ready |= events[i].events;
        list_remove(&source->link);
        list_append(&loop->ready, &source->link);
    }
}

int loop_turn(struct loop *loop, int timeout_ms)
{
    struct epoll_event events[64];
    struct source *source;
    int count = epoll_wait(loop->epoll, events, ARRAY_SIZE(events), timeout_ms);

    if (count < 0)
        return errno == EINTR ? 0 : -errno;
    loop_merge(loop, events, count);
    while (!loop->stop && (source = list_first(&loop->ready, struct source, link))) {
        uint32_t ready = source->ready;

        list_remove(&source->link);
        source->ready = 0;
        source->call(source, ready);
    }
    return 0;
}

int loop_run(struct loop *loop)
{
    int r = 0;

    while (!loop->stop && r >= 0)
        r = loop_turn(loop, -1);
    return r;
}

int source_add(struct loop *loop, struct source *source, int fd, uint32_t events, source_fn *call)
{
    struct epoll_event event = {.events = events, .data.ptr = source};

    *source = (struct source){.loop = loop, .fd = fd, .wanted = events, .call = call};
    list_init(&source->link);
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
        source->loop = NULL;
        return -errno;
    }
    return 0;
}

int source_want(struct source *source, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = source};

    if (!source->loop || source->wanted == events)
        return 0;
    if (epoll_ctl(source->loop->epoll, EPOLL_CTL_MOD, source->fd, &event) < 0)
        return -errno;
    source->wanted = events;
    return 0;
}

void source_remove(struct source *source)
{
    if (!source->loop)
        return;
    epoll_ctl(source->loop->epoll, EPOLL_CTL_DEL, source->fd, NULL);
    list_remove(&source->link);
    source->loop = NULL;
}

static void timer_fired(struct source *source, uint32_t events)
{
    struct timer *timer = container_of(source, struct timer, source);
    uint64_t expirations;

    (void)events;
    if (read(timer->fd, &expirations, sizeof(expirations)) == sizeof(expirations))
        timer->call(timer);
}

int timer_init(struct loop *loop, struct timer *timer, timer_fn *call)
{
    int r;

    *timer = (struct timer){.call = call};
    timer->fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (timer->fd < 0)
        return -errno;
    timer->made = true;
    r = source_add(loop, &timer->source, timer->fd, EPOLLIN, timer_fired);
    if (r < 0)
        timer_done(timer);
    return r;
}

static void timer_arm(struct timer *timer, uint64_t microseconds)
{
    struct itimerspec when = {
        .it_value = {.tv_sec = (time_t)(microseconds / 1000000),
                     .tv_nsec = (long)(microseconds % 1000000) * 1000},
    };

    if (timer->made)
        timerfd_settime(timer->fd, 0, &when, NULL);
}

void timer_set(struct timer *timer, uint64_t milliseconds)
{
    timer_arm(timer, milliseconds ? milliseconds * 1000 : 1); /* 0 would disarm */
}

void timer_set_us(struct timer *timer, unsigned microseconds)
{
    timer_arm(timer, microseconds);
}

void timer_stop(struct timer *timer)
{
    timer_arm(timer, 0);
}

bool timer_is_set(const struct timer *timer)
{
    struct itimerspec left;

    return timer->made && timerfd_gettime(timer->fd, &left) == 0 &&
           (left.it_value.tv_sec || left.it_value.tv_nsec);
}

void timer_done(struct timer *timer)
{
    if (!timer->made)
        return;
    source_remove(&timer->source);
    fd_close(&timer->fd);
    timer->made = false;
}

uint64_t clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void signals_ready(struct source *source, uint32_t events)
{
    struct signals *signals = container_of(source, struct signals, source);
    struct signalfd_siginfo info;

    (void)events;
    if (read(signals->fd, &info, sizeof(info)) == sizeof(info))
        signals->call(signals, (int)info.ssi_signo);
}

int signals_init(struct loop *loop, struct signals *signals, signals_fn *call)
{
    sigset_t set;
    int r;

    *signals = (struct signals){.call = call};
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signals->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals->fd < 0)
        return -errno;
    signals->made = true;
    r = source_add(loop, &signals->source, signals->fd, EPOLLIN, signals_ready);
    if (r < 0)
        signals_done(signals);
    return r;
}

void signals_done(struct signals *signals)
{
    if (!signals->made)
        return;
    source_remove(&signals->source);
    fd_close(&signals->fd);
    signals->made = false;
}
