/* SPDX-License-Identifier: Apache-2.0 */
/* See child.h. */
#include "base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/alloc.h"

enum { FIRST_FD = 3 };

/* What the child needs and can't make: it may be a copy of a program with threads, one of which
 * held the allocator's or the environment's lock when it was copied (signal-safety(7)). */
struct prepared {
    pid_t parent;
    char **environment; /* the caller's, with listen_pid in the place of its LISTEN_… */
    char listen_pid[32];
};

/* What a service manager said to us (manager.h) is not meant for them. */
static bool inherited(const char *variable)
{
    static const char *const ours[] = {
        "LISTEN_FDS=", "LISTEN_PID=", "LISTEN_FDNAMES=", "NOTIFY_SOCKET="};

    for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
        if (strncmp(variable, ours[i], strlen(ours[i])) == 0)
            return false;
    return true;
}

static void prepared_make(const struct child_spec *spec, struct prepared *ret)
{
    size_t size = 0, used = 0;

    while (environ && environ[size])
        size++;
    *ret = (struct prepared){.parent = getpid()};
    ret->environment = alloc_zero(size + 3, sizeof(char *));
    for (size_t i = 0; i < size; i++)
        if (inherited(environ[i]))
            ret->environment[used++] = environ[i];
    if (spec->listen) {
        ret->environment[used++] = (char *)"LISTEN_FDS=1";
        ret->environment[used++] = ret->listen_pid;
    }
}

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

static int child_exec(const struct child_spec *spec, struct prepared *prepared)
{
    int r;

    if (spec->die_with_us) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != prepared->parent)
            return -ESRCH; /* the parent ended before it could be watched */
    }
    r = stdio_place(spec->out); /* first: fds_place() may overwrite the number of out */
    if (r >= 0)
        r = fds_place(spec);
    if (r < 0)
        return r;
    /* Those of a program that uses the library need not be close-on-exec. Linux 5.11. */
    syscall(SYS_close_range, FIRST_FD + spec->fd_count, ~0U, CLOSE_RANGE_CLOEXEC);
    snprintf(prepared->listen_pid, sizeof(prepared->listen_pid), "LISTEN_PID=%d", (int)getpid());
    signals_reset();
    if (spec->prepare)
        spec->prepare();
    execve(spec->program ? spec->program : spec->argv[0], (char *const *)spec->argv,
           prepared->environment);
    return -errno;
}

/* As fork(2), but who shares the process does not notice: no SIGCHLD comes, and a wait(2) for any
 * child does not find this one (__WCLONE in wait(2)). Handlers of pthread_atfork(3) do not run. */
static pid_t fork_unnoticed(void)
{
    return (pid_t)syscall(SYS_clone, 0, NULL, NULL, NULL, NULL);
}

/* Leaves the parent's session through a process in between, which ends at once: what goes on is
 * nobody's child. */
static int child_leave(void)
{
    pid_t pid;

    setsid();
    if (chdir("/") < 0) /* keeps no file system of the caller's busy */
        return -errno;
    pid = fork_unnoticed();
    if (pid > 0)
        _exit(0);
    return pid < 0 ? -errno : 0;
}

static void child_main(const struct child_spec *spec, struct prepared *prepared, int tell)
    __attribute__((noreturn));
static void child_main(const struct child_spec *spec, struct prepared *prepared, int tell)
{
    int r = spec->detach ? child_leave() : 0;

    /* Out of the way of the numbers the child's own fds get. */
    tell = fcntl(tell, F_DUPFD_CLOEXEC, 3 * CHILD_FDS_MAX);
    if (r >= 0)
        r = child_exec(spec, prepared);
    (void)!write(tell, &r, sizeof(r));
    _exit(127);
}

/* The pipe closes on a successful exec, and else carries the errno of what failed. */
static int exec_result(int pipe_read)
{
    ssize_t size;
    int code;

    do
        size = read(pipe_read, &code, sizeof(code));
    while (size < 0 && errno == EINTR);
    return size == sizeof(code) ? code : 0;
}

/* Handlers of the caller's must not run in the child: signals wait until it has reset them. */
static pid_t child_split(const struct child_spec *spec, int pipe_write)
{
    struct prepared prepared;
    sigset_t all, mask;
    pid_t pid;

    prepared_make(spec, &prepared);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &mask);
    pid = spec->detach ? fork_unnoticed() : fork();
    if (pid == 0)
        child_main(spec, &prepared, pipe_write);
    pid = pid < 0 ? -errno : pid;
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    free(prepared.environment);
    return pid;
}

static int child_fork(const struct child_spec *spec, pid_t *ret_pid)
{
    OWN(fd) int pipe_read = -1;
    OWN(fd) int pipe_write = -1;
    int ends[2], r;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    pipe_read = ends[0];
    pipe_write = ends[1];
    pid = child_split(spec, pipe_write);
    if (pid < 0)
        return pid;
    fd_close(&pipe_write);
    r = exec_result(pipe_read);
    if (r < 0 || spec->detach)
        while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
            ;
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
