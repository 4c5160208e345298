/* SPDX-License-Identifier: Apache-2.0 */
/* See child.h. */
#include "base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { FIRST_FD = 3 };

/* Moves the fds to 3, 4, …; through high numbers first, so that none overwrites another. */
static int fds_place(const struct child_spec *spec)
{
    int high[CHILD_FDS_MAX];

    for (int i = 0; i < spec->fd_count; i++) {
        high[i] = fcntl(spec->fds[i], F_DUPFD_CLOEXEC, FIRST_FD + CHILD_FDS_MAX);
        if (high[i] < 0)
            return -errno;
    }
    for (int i = 0; i < spec->fd_count; i++)
        if (dup2(high[i], FIRST_FD + i) < 0)
            return -errno;
    return 0;
}

static int stdio_place(int out)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0 || dup2(null, STDIN_FILENO) < 0)
        return -errno;
    if (out > 0 && (dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0))
        return -errno;
    return 0;
}

static void signals_reset(void)
{
    sigset_t none;

    for (int i = 1; i < NSIG; i++)
        signal(i, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static int child_exec(const struct child_spec *spec, pid_t parent)
{
    char pid[32];
    int r;

    if (spec->die_with_us) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent)
            return -ESRCH; /* the parent ended before it could be watched */
    }
    r = stdio_place(spec->out); /* first: fds_place() may overwrite the number of out */
    if (r >= 0)
        r = fds_place(spec);
    if (r < 0)
        return r;
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDNAMES");
    if (spec->listen) {
        snprintf(pid, sizeof(pid), "%d", (int)getpid());
        setenv("LISTEN_PID", pid, 1);
        setenv("LISTEN_FDS", "1", 1);
    }
    signals_reset();
    if (spec->prepare)
        spec->prepare();
    execv(spec->program ? spec->program : spec->argv[0], (char *const *)spec->argv);
    return -errno;
}

/* Leaves the parent's session through a process in between, which ends at once: what goes on is
 * nobody's child. */
static int child_leave(void)
{
    pid_t pid;

    setsid();
    if (chdir("/") < 0) /* keeps no file system of the caller's busy */
        return -errno;
    pid = fork();
    if (pid > 0)
        _exit(0);
    return pid < 0 ? -errno : 0;
}

static void child_main(const struct child_spec *spec, pid_t parent, int tell)
    __attribute__((noreturn));
static void child_main(const struct child_spec *spec, pid_t parent, int tell)
{
    int r = spec->detach ? child_leave() : 0;

    /* Out of the way of the numbers the child's own fds get. */
    tell = fcntl(tell, F_DUPFD_CLOEXEC, 3 * CHILD_FDS_MAX);
    if (r >= 0)
        r = child_exec(spec, parent);
    (void)!write(tell, &r, sizeof(r));
    _exit(127);
}

/* The pipe closes on a successful exec, and else carries the errno of what failed. */
static int exec_result(int pipe_read)
{
    int code;

    return read(pipe_read, &code, sizeof(code)) == sizeof(code) ? code : 0;
}

static int child_fork(const struct child_spec *spec, pid_t *ret_pid)
{
    OWN(fd) int pipe_read = -1;
    OWN(fd) int pipe_write = -1;
    pid_t pid, parent = getpid();
    int ends[2], r;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    pipe_read = ends[0];
    pipe_write = ends[1];
    pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0)
        child_main(spec, parent, pipe_write);
    fd_close(&pipe_write);
    r = exec_result(pipe_read);
    if (r < 0 || spec->detach)
        waitpid(pid, NULL, 0);
    if (r >= 0)
        *ret_pid = pid;
    return r;
}

static void child_ended(struct source *source, uint32_t events)
{
    struct child *child = container_of(source, struct child, source);
    int status = 0;

    (void)events;
    waitpid(child->pid, &status, 0);
    child->pid = 0;
    child_done(child);
    child->call(child, status);
}

int child_start(struct loop *loop, struct child *child, const struct child_spec *spec,
                child_fn *call)
{
    pid_t pid;
    int r = child_fork(spec, &pid);

    if (r < 0)
        return r;
    *child = (struct child){.pid = pid, .call = call};
    child->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    r = child->pidfd < 0 ? -errno
                         : source_add(loop, &child->source, child->pidfd, EPOLLIN, child_ended);
    if (r < 0)
        child_done(child);
    return r;
}

void child_kill(struct child *child, int signal)
{
    if (child->pid > 0)
        kill(child->pid, signal);
}

void child_done(struct child *child)
{
    source_remove(&child->source);
    if (child->pid > 0) {
        kill(child->pid, SIGKILL);
        waitpid(child->pid, NULL, 0);
        child->pid = 0;
    }
    if (child->pidfd > 0)
        fd_close(&child->pidfd);
}

int child_detach(const struct child_spec *spec)
{
    struct child_spec detached = *spec;
    pid_t pid;

    detached.detach = true;
    return child_fork(&detached, &pid);
}
