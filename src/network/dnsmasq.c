/* SPDX-License-Identifier: Apache-2.0 */
/* See dnsmasq.h. */
#include "network/dnsmasq.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/program.h"

enum { AGAIN_FIRST_MS = 50, AGAIN_MAX_MS = 5000, STEADY_MS = 10000 };

static int dnsmasq_find(char *path, struct error *error)
{
    return program_find("dnsmasq", "VMLAN_DNSMASQ",
                        "install it (Debian, Ubuntu: apt-get install dnsmasq-base), or set dhcp, "
                        "dnsProxy and routerAdvertisement of the network to false",
                        path, error);
}

/* Runs between fork and exec: keeps the rights that dnsmasq needs and no others. It is root of a
 * namespace only, but reads packets that guests make. And until it handles SIGHUP
 * (dnsmasq_reread()) by itself, which is before it reads anything, one must not end it. */
static void rights_reduce(void)
{
    signal(SIGHUP, SIG_IGN);
    for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
        if (cap != CAP_NET_ADMIN && cap != CAP_NET_RAW && cap != CAP_NET_BIND_SERVICE)
            prctl(PR_CAPBSET_DROP, cap);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static void output_line(struct dnsmasq *dnsmasq)
{
    const char *text = dnsmasq->line;

    dnsmasq->line[dnsmasq->line_size] = '\0';
    dnsmasq->line_size = 0;
    if (strncmp(text, "dnsmasq", 7) == 0 && strchr(text, ' '))
        text = strchr(text, ' ') + 1; /* its own name and pid */
    log_debug(dnsmasq->network, "dnsmasq: %s", text);
}

static void output_ready(struct source *source, uint32_t events)
{
    struct dnsmasq *dnsmasq = container_of(source, struct dnsmasq, output);
    char bytes[512];
    ssize_t got = read(dnsmasq->output_fd, bytes, sizeof(bytes));

    (void)events;
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN)
            source_remove(source);
        return;
    }
    for (ssize_t i = 0; i < got; i++) {
        if (bytes[i] == '\n' || dnsmasq->line_size == sizeof(dnsmasq->line) - 1)
            output_line(dnsmasq);
        if (bytes[i] != '\n')
            dnsmasq->line[dnsmasq->line_size++] = bytes[i];
    }
}

static int dnsmasq_run(struct dnsmasq *dnsmasq);

static void dnsmasq_ended(struct child *child, int status)
{
    struct dnsmasq *dnsmasq = container_of(child, struct dnsmasq, child);
    uint64_t wait = AGAIN_FIRST_MS;

    if (clock_ms() - dnsmasq->started_at > STEADY_MS)
        dnsmasq->failures = 0;
    for (unsigned i = 0; i < dnsmasq->failures && wait < AGAIN_MAX_MS; i++)
        wait *= 2;
    dnsmasq->failures++;
    log_warn(dnsmasq->network, "dnsmasq ended (%s %d); starting it again in %llu ms",
             WIFSIGNALED(status) ? "signal" : "status",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
             (unsigned long long)wait);
    timer_set(&dnsmasq->again, wait);
    dnsmasq->changed(dnsmasq);
}

static void dnsmasq_again(struct timer *timer)
{
    struct dnsmasq *dnsmasq = container_of(timer, struct dnsmasq, again);
    int r = dnsmasq_run(dnsmasq);

    if (r < 0) {
        log_error(dnsmasq->network, "cannot start %s: %s", dnsmasq->program, strerror(-r));
        timer_set(timer, AGAIN_MAX_MS);
    }
    dnsmasq->changed(dnsmasq);
}

static int dnsmasq_run(struct dnsmasq *dnsmasq)
{
    OWN(mem) char *file = alloc_printf("--conf-file=%s", dnsmasq->configuration);
    const char *argv[] = {dnsmasq->program, "--keep-in-foreground", file, NULL};
    struct child_spec spec = {.argv = argv, .die_with_us = true, .prepare = rights_reduce};
    OWN(fd) int write_end = -1;
    int ends[2], r;

    source_remove(&dnsmasq->output);
    fd_close(&dnsmasq->output_fd);
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    dnsmasq->output_fd = ends[0];
    write_end = spec.out = ends[1];
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    dnsmasq->started_at = clock_ms();
    r = source_add(dnsmasq->loop, &dnsmasq->output, dnsmasq->output_fd, EPOLLIN, output_ready);
    return r < 0 ? r : child_start(dnsmasq->loop, &dnsmasq->child, &spec, dnsmasq_ended);
}

int dnsmasq_start(struct dnsmasq *dnsmasq, struct loop *loop, const char *network, const char *path,
                  const char *text, dnsmasq_changed_fn *changed, struct error *error)
{
    int r;

    *dnsmasq =
        (struct dnsmasq){.loop = loop, .changed = changed, .network = network, .output_fd = -1};
    snprintf(dnsmasq->configuration, sizeof(dnsmasq->configuration), "%s", path);
    r = dnsmasq_find(dnsmasq->program, error);
    if (r >= 0)
        r = paths_write(path, text, error);
    if (r < 0)
        return r;
    r = timer_init(loop, &dnsmasq->again, dnsmasq_again);
    if (r >= 0)
        r = dnsmasq_run(dnsmasq);
    if (r >= 0) {
        changed(dnsmasq);
        return 0;
    }
    dnsmasq_stop(dnsmasq);
    return error_system(error, r, "cannot start %s", dnsmasq->program);
}

pid_t dnsmasq_pid(const struct dnsmasq *dnsmasq)
{
    return dnsmasq->child.pid;
}

void dnsmasq_reread(struct dnsmasq *dnsmasq)
{
    child_kill(&dnsmasq->child, SIGHUP);
}

void dnsmasq_stop(struct dnsmasq *dnsmasq)
{
    if (!dnsmasq->loop)
        return;
    timer_done(&dnsmasq->again);
    child_done(&dnsmasq->child);
    source_remove(&dnsmasq->output);
    fd_close(&dnsmasq->output_fd);
    dnsmasq->loop = NULL;
}
