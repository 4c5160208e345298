/* SPDX-License-Identifier: Apache-2.0 */
/* See pipes.h for why there is one pool and why its pipes differ in size. */
#include "uplink/pipes.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/alloc.h"

/* 16 and 16 MiB, half of what a user has by default; then a page each. */
static struct kind {
    const size_t size;
    const unsigned most;
    unsigned made;
    struct list free;
} kinds[] = {
    {1 << 20, 16, 0, {&kinds[0].free, &kinds[0].free}},
    {1 << 16, 256, 0, {&kinds[1].free, &kinds[1].free}},
    {1 << 12, ~0u, 0, {&kinds[2].free, &kinds[2].free}},
};

/* Kept for the next borrower, of each kind. */
enum { FREE_MOST = 64 };

static unsigned pipes_free[ARRAY_SIZE(kinds)];

static struct pipe *pipes_make(size_t kind)
{
    struct pipe *pipe;
    int fds[2], size;

    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
        return NULL;
    size = fcntl(fds[1], F_SETPIPE_SZ, kinds[kind].size);
    if (size < 0)
        size = fcntl(fds[1], F_GETPIPE_SZ);
    pipe = alloc_new(struct pipe);
    *pipe = (struct pipe){.in = fds[1], .out = fds[0], .kind = kind, .capacity = 4096};
    if (size > 0)
        pipe->capacity = (size_t)size;
    list_init(&pipe->link);
    kinds[kind].made++;
    return pipe;
}

struct pipe *pipes_borrow(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct pipe *pipe = list_first(&kinds[i].free, struct pipe, link);

        if (pipe) {
            list_remove(&pipe->link);
            pipes_free[i]--;
            return pipe;
        }
        if (kinds[i].made < kinds[i].most)
            return pipes_make(i);
    }
    errno = EMFILE;
    return NULL;
}

void pipes_discard(struct pipe *pipe)
{
    kinds[pipe->kind].made--;
    close(pipe->in);
    close(pipe->out);
    free(pipe);
}

void pipes_return(struct pipe *pipe)
{
    if (pipes_free[pipe->kind] >= FREE_MOST) {
        pipes_discard(pipe);
        return;
    }
    pipes_free[pipe->kind]++;
    /* In front: the one used last is still in the processor's cache. */
    list_append(kinds[pipe->kind].free.next, &pipe->link);
}

void pipes_close(void)
{
    struct pipe *pipe;

    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        while ((pipe = list_first(&kinds[i].free, struct pipe, link))) {
            list_remove(&pipe->link);
            pipes_discard(pipe);
        }
        pipes_free[i] = 0;
    }
}
