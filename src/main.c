/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmlan is one executable: the command line, and the roles that it runs behind it. A role is a
 * hidden verb; docs/architecture.md says which may die when.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>

#include "base/log.h"
#include "base/own.h"
#include "broker/broker.h"
#include "cli/bench.h"
#include "cli/capture.h"
#include "cli/completion.h"
#include "cli/connect.h"
#include "cli/counters.h"
#include "cli/doctor.h"
#include "cli/events.h"
#include "cli/forward.h"
#include "cli/join.h"
#include "cli/manage.h"
#include "cli/run.h"
#include "cli/service.h"
#include "cli/show.h"
#include "cli/top.h"
#include "network/forwarder.h"
#include "network/holder.h"

const struct verb *const verbs[] = {
    &verb_run,     &verb_join,   &verb_connect_fd, &verb_exec, &verb_ls,
    &verb_inspect, &verb_leases, &verb_events,     &verb_top,  &verb_capture,
    &verb_metrics, &verb_up,     &verb_forward,    &verb_down, &verb_check,
    &verb_doctor,  &verb_bench,  &verb_service,    NULL,
};

static const struct role {
    const char *name, *process;
    int (*main)(int argc, char **argv);
} roles[] = {
    {"broker", "vmlan-broker", broker_main},
    {"holder", "vmlan-holder", holder_main},
    {"forwarder", "vmlan-forward", forwarder_main},
};

/* A role is started by vmlan itself: vmlan --log-level L --log-format F ROLE [argument]. */
enum { ROLE_AT = 5 };

static const struct role *role_find(int argc, char **argv)
{
    for (size_t i = 0; argc > ROLE_AT && i < ARRAY_SIZE(roles); i++)
        if (strcmp(argv[1], "--log-level") == 0 && strcmp(argv[3], "--log-format") == 0 &&
            strcmp(argv[ROLE_AT], roles[i].name) == 0)
            return &roles[i];
    return NULL;
}

static int role_run(const struct role *role, int argc, char **argv)
{
    enum log_level level = LOG_INFO;
    enum log_format format = LOG_TEXT;

    log_level_parse(argv[2], &level);
    log_format_parse(argv[4], &format);
    log_init(role->name, level, format);
    prctl(PR_SET_NAME, role->process); /* what ps and top show */
    return role->main(argc - ROLE_AT - 1, argv + ROLE_AT + 1);
}

/* Descriptors 0 to 2 that the caller closed would be given to our next files, and take what is
 * printed. Not writable: who prints is told that there is nowhere to. */
static void stdio_hold(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDONLY);
    while (fd >= 0 && fd <= STDERR_FILENO);
    fd_close(&fd);
}

int main(int argc, char **argv)
{
    const struct role *role = role_find(argc, argv);

    stdio_hold();
    if (role)
        return role_run(role, argc, argv);
    if (argc == 2 && strcmp(argv[1], "--manual") == 0) { /* the source of vmlan(1) */
        help_print_manual();
        return 0;
    }
    if (argc >= 3 && strcmp(argv[1], "--complete") == 0) { /* asked by share/completions */
        completion_print(argc - 3, argv + 3);
        return 0;
    }
    return cli_main(argc, argv);
}
