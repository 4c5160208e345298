/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ownership: a variable declared with OWN(kind) gives its resource back when it goes out of scope;
 * take_fd() and take_ptr() pass the resource on instead. There is no other way to free on error
 * paths in this tree, so a function has one exit per outcome and no cleanup labels.
 */
#pragma once

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define OWN(kind) __attribute__((cleanup(own_##kind)))

static inline void own_fd(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static inline void own_mem(void *pointer)
{
    free(*(void **)pointer);
}

static inline void own_file(FILE **file)
{
    if (*file)
        fclose(*file);
}

static inline void own_dir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

/* The caller of take_fd() owns the returned fd; the variable no longer does. */
static inline int take_fd(int *fd)
{
    int taken = *fd;

    *fd = -1;
    return taken;
}

#define take_ptr(pointer)                            \
    __extension__({                                  \
        __typeof__(pointer) *take_from = &(pointer); \
        __typeof__(pointer) taken = *take_from;      \
        *take_from = NULL;                           \
        taken;                                       \
    })

/* Closes *fd if it is open and marks it closed. */
static inline void fd_close(int *fd)
{
    own_fd(fd);
    *fd = -1;
}

#define ARRAY_SIZE(array)                   (sizeof(array) / sizeof((array)[0]))
#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))
