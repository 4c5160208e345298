/* SPDX-License-Identifier: Apache-2.0 */
/* See tap.h. */
#include "kernel/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "base/own.h"

static int device_refused(int code, struct error *error)
{
    error_system(error, code, "cannot open /dev/net/tun");
    error->id = ERROR_UNAVAILABLE;
    if (code == -EACCES || code == -EPERM)
        error_hint(error, "as root: chmod 0666 /dev/net/tun (the mode distributions ship it with)");
    else
        error_hint(error, "as root: modprobe tun");
    return code;
}

/* index: the number of the device; 0: any. */
static int queue_open(const char *name, short flags, unsigned index, int *ret_fd,
                      struct error *error)
{
    struct error local;
    struct ifreq request = {.ifr_flags = flags};
    OWN(fd) int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return device_refused(-errno, error ? error : &local);
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
    if ((index && ioctl(fd, TUNSETIFINDEX, &index) < 0) || ioctl(fd, TUNSETIFF, &request) < 0)
        return error_system(error, -errno, "cannot make device %s", name);
    *ret_fd = take_fd(&fd);
    return 0;
}

static void fds_close(int *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        fd_close(&fds[i]);
}

int tap_open(const char *name, unsigned queues, int *ret_fds, struct error *error)
{
    short flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;

    if (queues > 1)
        flags |= IFF_MULTI_QUEUE;
    for (unsigned i = 0; i < queues; i++) {
        int r = queue_open(name, flags, 0, &ret_fds[i], error);

        if (r < 0) {
            fds_close(ret_fds, i);
            return r;
        }
    }
    return 0;
}

int tap_persist(int fd)
{
    return ioctl(fd, TUNSETPERSIST, 1) < 0 ? -errno : 0;
}

unsigned tap_open_vhost(unsigned count, int *ret_fds)
{
    for (unsigned i = 0; i < count; i++) {
        ret_fds[i] = open("/dev/vhost-net", O_RDWR | O_CLOEXEC);
        if (ret_fds[i] < 0) {
            fds_close(ret_fds, i);
            return 0;
        }
    }
    return count;
}

int tun_open(const char *name, unsigned index, int *ret_fd, struct error *error)
{
    return queue_open(name, IFF_TUN | IFF_NO_PI | IFF_VNET_HDR, index, ret_fd, error);
}
