/* SPDX-License-Identifier: Apache-2.0 */
/* See stock.h. */
#include "network/stock.h"

#include <errno.h>
#include <sys/socket.h>

void stock_init(struct stock *stock, void (*filled)(void *context), void *context)
{
    *stock = (struct stock){.filled = filled, .context = context};
    for (size_t i = 0; i < STOCK_KINDS; i++) {
        stock->kinds[i].stock = stock;
        stock->kinds[i].ipv6 = i & 1;
        stock->kinds[i].stream = i & 2;
    }
}

void stock_done(struct stock *stock)
{
    for (size_t i = 0; i < STOCK_KINDS; i++)
        while (stock->kinds[i].count > 0)
            fd_close(&stock->kinds[i].fds[--stock->kinds[i].count]);
}

static void kind_filled(void *context, json_t *reply, int *fds, size_t fd_count, bool more,
                        const struct error *error)
{
    struct stock_kind *kind = context;

    (void)reply, (void)more;
    kind->asking = false;
    if (error)
        return; /* asked again when one is taken, or when there is a holder again */
    for (size_t i = 0; i < fd_count && kind->count < STOCK_SIZE; i++)
        kind->fds[kind->count++] = take_fd(&fds[i]);
    kind->stock->filled(kind->stock->context);
}

static void kind_fill(struct stock_kind *kind)
{
    if (kind->asking || !kind->stock->holder || kind->count > STOCK_SIZE / 2)
        return;
    kind->asking = conn_call(kind->stock->holder, "io.vmlan.Holder.Sockets",
                             json_pack("{sb sb si}", "ipv6", kind->ipv6, "stream", kind->stream,
                                       "count", (int)(STOCK_SIZE - kind->count)),
                             NULL, 0, false, kind_filled, kind) >= 0;
}

void stock_set_holder(struct stock *stock, struct conn *holder)
{
    if (!stock->filled)
        return; /* not in use yet */
    stock->holder = holder;
    for (size_t i = 0; i < STOCK_KINDS; i++) {
        stock->kinds[i].asking = false; /* an answer that was due died with its connection */
        kind_fill(&stock->kinds[i]);
    }
}

int stock_take(void *context, int family, int type)
{
    struct stock *stock = context;
    size_t index = (family == AF_INET6 ? 1 : 0) | (type == SOCK_STREAM ? 2 : 0);
    struct stock_kind *kind = &stock->kinds[index];
    int fd = kind->count > 0 ? kind->fds[--kind->count] : -EAGAIN;

    kind_fill(kind);
    return fd;
}
