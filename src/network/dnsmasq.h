/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process that gives a network its addresses, names and router advertisements: dnsmasq, run in
 * the network's namespace, started again when it ends, and gone with the holder. What it is to do
 * is the text that services.h makes; its leases are a file in the state directory, so they outlive
 * it.
 */
#pragma once

#include "base/child.h"
#include "base/loop.h"
#include "base/paths.h"

struct dnsmasq;
/* It has ended, or runs again: dnsmasq_pid(). */
typedef void dnsmasq_changed_fn(struct dnsmasq *dnsmasq);

struct dnsmasq {
    struct loop *loop;
    dnsmasq_changed_fn *changed;
    struct child child;
    struct timer again;
    struct source output;
    int output_fd;
    char line[512]; /* of its log, not complete yet */
    size_t line_size;
    const char *network; /* borrowed, for log lines */
    char program[PATHS_MAX];
    char configuration[2 * PATHS_MAX];
    uint64_t started_at; /* clock_ms() */
    unsigned failures;   /* in a row */
};

/* Writes text to path (at most 2 * PATHS_MAX bytes) and starts. network and loop are borrowed. */
int dnsmasq_start(struct dnsmasq *dnsmasq, struct loop *loop, const char *network, const char *path,
                  const char *text, dnsmasq_changed_fn *changed, struct error *error);
pid_t dnsmasq_pid(const struct dnsmasq *dnsmasq); /* 0: it does not run */
/* Makes it forget what was removed from its directories of reservations: dnsmasq(8), SIGHUP. */
void dnsmasq_reread(struct dnsmasq *dnsmasq);
void dnsmasq_stop(struct dnsmasq *dnsmasq); /* accepts a zeroed one */
