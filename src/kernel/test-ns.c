/* SPDX-License-Identifier: Apache-2.0 */
/* Namespaces that are made: nothing is left of a process that is killed over it. */
#include "kernel/ns.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/own.h"
#include "base/test.h"

enum { KILLS = 20, WITHIN_MS = 5000 };

static void make_for_ever(void)
{
    for (;;) {
        OWN(ns) struct ns ns = NS_NULL;

        if (ns_make(&ns, NULL) < 0)
            _exit(1);
    }
}

/* Whoever still has the other end of the pipe is what it has left. */
static void kill_one(int after_ms)
{
    struct timespec pause = {.tv_nsec = after_ms * 1000000L};
    struct pollfd left = {.events = POLLIN};
    int ends[2], status;
    pid_t pid;

    CHECK(pipe(ends) == 0);
    pid = fork();
    if (pid == 0)
        make_for_ever();
    close(ends[1]);
    nanosleep(&pause, NULL);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    CHECK(WIFSIGNALED(status));
    left.fd = ends[0];
    CHECK_INT(poll(&left, 1, WITHIN_MS), 1);
    close(ends[0]);
}

static void test_killed(void)
{
    for (int i = 0; i < KILLS; i++)
        kill_one(3 + i % 7);
}

static const struct test tests[] = {{"its maker killed", test_killed}};

int main(void)
{
    OWN(ns) struct ns ns = NS_NULL;

    if (ns_make(&ns, NULL) < 0) {
        printf("1..0 # SKIP user namespaces are not allowed here\n");
        return 0;
    }
    return test_main(tests, ARRAY_SIZE(tests));
}
