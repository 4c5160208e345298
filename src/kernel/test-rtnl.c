/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of links that are asked for while links come and go, in a network namespace of their own.
 */
#include "kernel/rtnl.h"

#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/test.h"
#include "kernel/ns.h"

enum { RESTING = 60, DUMPS = 400 };

static void bridge_make(struct rtnl *rtnl, const char *name)
{
    const struct rtnl_link bridge = {.name = name};
    struct error error;

    rtnl_add_bridge(rtnl, &bridge, &error);
}

/* Makes and deletes a link until it is killed. */
static void trouble(void)
{
    OWN(rtnl) struct rtnl *rtnl = NULL;
    struct error error;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (rtnl_open(&rtnl, &error) < 0)
        _exit(1);
    for (;;) {
        bridge_make(rtnl, "trouble");
        rtnl_delete_link(rtnl, (int)if_nametoindex("trouble"), &error);
    }
}

struct seen {
    unsigned char count[RESTING];
};

static void see(void *context, const struct rtnl_link_info *link)
{
    struct seen *seen = context;
    int number;

    if (sscanf(link->name, "rest%d", &number) == 1 && number < RESTING)
        seen->count[number]++;
}

/* How many lists were refused, or had not each resting link once. */
static int lists_wrong(struct rtnl *rtnl)
{
    int wrong = 0;

    for (int i = 0; i < DUMPS; i++) {
        struct seen seen = {0};
        struct error error;
        bool whole = rtnl_dump_links(rtnl, see, &seen, &error) == 0;

        for (int j = 0; j < RESTING; j++)
            whole = whole && seen.count[j] == 1;
        wrong += !whole;
    }
    return wrong;
}

/* In a process of its own: 77: this machine allows no namespaces. */
static int lists_try(void)
{
    OWN(rtnl) struct rtnl *rtnl = NULL;
    struct error error;
    pid_t pid;
    int wrong;

    if (ns_unshare(&error) < 0)
        return 77;
    if (rtnl_open(&rtnl, &error) < 0)
        return 1;
    for (int i = 0; i < RESTING; i++) {
        char name[IFNAMSIZ];

        snprintf(name, sizeof(name), "rest%d", i);
        bridge_make(rtnl, name);
    }
    pid = fork();
    if (pid == 0)
        trouble();
    wrong = lists_wrong(rtnl);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    printf("# %d of %d lists were wrong\n", wrong, DUMPS);
    fflush(stdout);
    return wrong > 0;
}

static int tried(void)
{
    int status = 0;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0)
        _exit(lists_try());
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return 1;
    return WEXITSTATUS(status);
}

static int result;

static void test_lists(void)
{
    CHECK_INT(result, 0);
}

static void test_skipped(void)
{
}

int main(void)
{
    struct test tests[] = {{"lists are whole while links come and go", test_lists}};

    result = tried();
    if (result == 77)
        tests[0] = (struct test){"lists # SKIP no user namespaces", test_skipped};
    return test_main(tests, 1);
}
