/* SPDX-License-Identifier: Apache-2.0 */
/* See vde.h. The wire is that of vde2's src/vde_switch/datasock.c, version 3. */
#include "vde.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { VERSION = 3, NEW_CONTROL = 0, TRIES = 500 };

#define MAGIC 0xfeedfaceu

struct request {
    uint32_t magic, version, type;
    struct sockaddr_un data;
    char description[128];
} __attribute__((packed));

static char folder[] = "/tmp/vde.XXXXXX";
static pid_t owner;

static void folder_remove(void)
{
    char command[64];

    if (getpid() != owner)
        return;
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    if (system(command) != 0)
        perror(command);
}

void vde_start(void)
{
    char path[64];
    int input[2]; /* it ends when there is none */

    if (!mkdtemp(folder) || pipe(input) < 0)
        exit(1);
    snprintf(path, sizeof(path), "%s/switch", folder);
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(input[1]);
        dup2(input[0], 0);
        if (!freopen("/dev/null", "w", stdout))
            exit(1);
        execlp("vde_switch", "vde_switch", "-s", path, NULL);
        exit(1);
    }
    owner = getpid();
    atexit(folder_remove);
}

static int control_connect(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s/switch/ctl", folder);
    for (int i = 0; i < TRIES; i++) {
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
            return fd;
        usleep(10000);
    }
    close(fd);
    return -errno;
}

int vde_open(int number)
{
    struct request request = {.magic = MAGIC, .version = VERSION, .type = NEW_CONTROL};
    int control = control_connect(), size = 1 << 20;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    snprintf(address.sun_path, sizeof(address.sun_path), "%s/end%d", folder, number);
    request.data = address;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    if (control < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        send(control, &request, sizeof(request), 0) < 0 ||
        recv(control, &address, sizeof(address), 0) <= 0 ||
        connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    return fd; /* the control connection stays open: the port goes with it */
}
