/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded by test_switches.py: sockets and settings as with a kernel that was started with
 * ipv6.disable=1.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

int socket(int family, int type, int protocol)
{
    int (*real)(int, int, int);

    *(void **)&real = dlsym(RTLD_NEXT, "socket");
    if (family != AF_INET6)
        return real(family, type, protocol);
    errno = EAFNOSUPPORT;
    return -1;
}

int open(const char *path, int flags, ...)
{
    int (*real)(const char *, int, ...);
    va_list rest;
    mode_t mode;

    va_start(rest, flags);
    mode = va_arg(rest, mode_t);
    va_end(rest);
    *(void **)&real = dlsym(RTLD_NEXT, "open");
    if (!strstr(path, "/proc/sys/net/ipv6"))
        return real(path, flags, mode);
    errno = ENOENT;
    return -1;
}
