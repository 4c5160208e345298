/* SPDX-License-Identifier: Apache-2.0 */
/* See role.h. */
#include "base/role.h"

#include <sys/prctl.h>

#include "base/child.h"
#include "base/log.h"

/* An ordinary user's process may have been given some (setpriv, AmbientCapabilities=). A role needs
 * none, and a broker that had some would look into processes by rights it should not have. */
static void capabilities_leave(void)
{
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

int role_start(const char *program, const char *role, const char *argument, int listener, int out)
{
    const char *argv[] = {"vmlan",
                          "--log-level",
                          log_level_name(log_current_level()),
                          "--log-format",
                          log_format_name(log_current_format()),
                          role,
                          argument,
                          NULL};
    /* Also after an upgrade put another file at our path, this is the one we are. */
    struct child_spec spec = {.program = program ? program : "/proc/self/exe",
                              .argv = argv,
                              .fds = {listener},
                              .fd_count = listener >= 0,
                              .listen = listener >= 0,
                              .out = out > 0 ? out : 0,
                              .prepare = capabilities_leave};

    return child_detach(&spec);
}
