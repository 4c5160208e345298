/* SPDX-License-Identifier: Apache-2.0 */
/* What the sandbox lets a process do and what ends it, each in a process of its own. */
#include "kernel/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test.h"

static int memory(int protection)
{
    void *at = mmap(NULL, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return at == MAP_FAILED ? -1 : 0;
}

static int map_data(void)
{
    return memory(PROT_READ | PROT_WRITE);
}

static int map_code(void)
{
    return memory(PROT_READ | PROT_WRITE | PROT_EXEC);
}

static int copy_fd(void)
{
    return fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3) < 0 ? -1 : 0;
}

static int own_signals(void)
{
    return fcntl(STDOUT_FILENO, F_SETOWN, getpid());
}

static int read_file(void)
{
    return open("/proc/self/status", O_RDONLY | O_CLOEXEC) < 0 ? -1 : 0;
}

static int write_file(void)
{
    return open("/dev/null", O_WRONLY | O_CLOEXEC);
}

static int run_program(void)
{
    char *none[] = {NULL};

    return execve("/bin/true", none, none);
}

static const struct deed {
    const char *what;
    int (*run)(void);
    bool allowed;
} deeds[] = {
    {"map data", map_data, true},          {"map code", map_code, false},
    {"copy a descriptor", copy_fd, true},  {"send signals of a descriptor", own_signals, false},
    {"read a file", read_file, true},      {"write a file", write_file, false},
    {"run a program", run_program, false},
};

static void test_deeds(void)
{
    for (size_t i = 0; i < sizeof(deeds) / sizeof(*deeds); i++) {
        int status = 0;
        pid_t pid;

        printf("# %s\n", deeds[i].what);
        fflush(stdout);
        pid = fork();
        if (pid == 0)
            syscall(SYS_exit_group, /* _exit() of the sanitizers does more */
                    sandbox_enter(NULL) < 0 ? 2 : deeds[i].run() < 0);
        CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
        if (deeds[i].allowed)
            CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        else
            CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
    }
}

int main(void)
{
    const struct test tests[] = {{"what is allowed, and nothing else", test_deeds}};

    return test_main(tests, 1);
}
