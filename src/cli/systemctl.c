/* SPDX-License-Identifier: Apache-2.0 */
/* See systemctl.h. */
#include "cli/systemctl.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/child.h"
#include "base/own.h"
#include "base/paths.h"
#include "base/program.h"

enum { WORDS_MAX = 600 };

struct run {
    struct loop loop;
    struct child child;
    int status;
};

static void ended(struct child *child, int status)
{
    struct run *run = container_of(child, struct run, child);

    run->status = status;
    loop_stop(&run->loop);
}

static int output_read(int fd, struct buf *output)
{
    ssize_t got;

    do {
        got = read(fd, buf_reserve(output, 4096), 4096);
        if (got > 0)
            buf_commit(output, (size_t)got);
    } while (got > 0 || (got < 0 && errno == EINTR));
    return got < 0 ? -errno : 0;
}

/* Its exit status as waitpid(2) has it, or negative errno. */
static int program_run(const char *const *argv, struct buf *output)
{
    struct run run = {.loop.epoll = -1};
    OWN(fd) int from = -1;
    OWN(fd) int to = -1;
    int ends[2], r;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    from = ends[0];
    to = ends[1];
    r = loop_init(&run.loop);
    if (r >= 0)
        r = child_start(&run.loop, &run.child,
                        &(struct child_spec){.argv = argv, .out = to, .die_with_us = true}, ended);
    fd_close(&to);
    if (r >= 0)
        r = output_read(from, output);
    if (r >= 0)
        r = loop_run(&run.loop);
    child_done(&run.child);
    loop_done(&run.loop);
    return r < 0 ? r : run.status;
}

int systemctl_run(const char *const *words, struct buf *output, struct error *error)
{
    OWN(buf) struct buf own = BUF_NULL;
    const char *argv[WORDS_MAX + 5], **next = argv;
    char path[PATHS_MAX];
    int r = program_find("systemctl", "VMLAN_SYSTEMCTL",
                         "on a system without systemd vmlan needs no service: any vmlan command "
                         "starts the broker",
                         path, error);

    if (r < 0)
        return r;
    output = output ? output : &own;
    *next++ = path;
    if (geteuid() != 0)
        *next++ = "--user";
    *next++ = "--no-ask-password";
    for (size_t i = 0; i < WORDS_MAX && words[i]; i++)
        *next++ = words[i];
    *next = NULL;
    r = program_run(argv, output);
    if (r == 0)
        return 0;
    if (r < 0)
        return error_system(error, r, "cannot run %s", path);
    error_set(error, -EIO, ERROR_UNAVAILABLE, "systemctl %s: %.*s", words[0],
              (int)strcspn(buf_text(output), "\n"), buf_text(output));
    return -EIO;
}

int systemctl_reach(struct error *error)
{
    OWN(buf) struct buf output = BUF_NULL;
    int r =
        systemctl_run((const char *const[]){"show", "--property=Version", NULL}, &output, error);

    if (r != -EIO)
        return r;
    error_set(error, -EIO, ERROR_UNAVAILABLE, "systemd can't be reached: %.*s",
              (int)strcspn(buf_text(&output), "\n"), buf_text(&output));
    error_hint(error,
               geteuid() == 0 ? "%s"
                              : "log in as this user (ssh, machinectl shell), so "
                                "that it has a service manager; %s",
               "without systemd any vmlan command starts the broker");
    return r;
}

int systemctl_units(const char *const *words, const json_t *names, bool all, struct buf *output,
                    struct error *error)
{
    const char *list[WORDS_MAX] = {NULL};
    size_t count = 0, index;
    json_t *name;
    bool any = false;

    while (words[count]) {
        list[count] = words[count];
        count++;
    }
    json_array_foreach((json_t *)names, index, name)
        if (count + 1 < WORDS_MAX && (all || strstr(json_string_value(name), ".socket"))) {
            list[count++] = json_string_value(name);
            any = true;
        }
    return any ? systemctl_run(list, output, error) : 0;
}
