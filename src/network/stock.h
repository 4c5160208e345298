/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stock of sockets made inside the network, for the forwarder to reach guests with: it lives
 * outside and can't make them itself. The holder is asked for more before the stock is empty.
 */
#pragma once

#include "wire/conn.h"

enum { STOCK_KINDS = 4, STOCK_SIZE = 32 };

struct stock {
    struct conn *holder; /* borrowed; NULL while there is none */
    void (*filled)(void *context);
    void *context;
    struct stock_kind {
        struct stock *stock;
        bool ipv6, stream, asking;
        int fds[STOCK_SIZE]; /* owned */
        size_t count;
    } kinds[STOCK_KINDS];
};

/* filled is called when there are new ones. */
void stock_init(struct stock *stock, void (*filled)(void *context), void *context);
void stock_done(struct stock *stock); /* accepts a zeroed one */
/* A holder to ask, or NULL: it is gone. Fills what is short. */
void stock_set_holder(struct stock *stock, struct conn *holder);
/* A fresh non-blocking socket, owned by the caller; -EAGAIN when there is none just now. family:
 * AF_INET, AF_INET6; type: SOCK_STREAM, SOCK_DGRAM. context: the stock. */
int stock_take(void *context, int family, int type);
