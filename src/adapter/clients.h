/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clients of a listening datagram path. All of them send to its one socket, each from a path of
 * its own, which tells them apart; each gets an adapter and a tap.
 *
 * A client that is connected to the socket (libkrun, vfkit) takes datagrams from no other
 * (unix_may_send() in net/unix/af_unix.c), so all of those are answered by it, too. One that is not
 * (QEMU) gets a socket of its own.
 *
 * Only clients whose path is in the file system and belongs to this user (or root) are answered.
 */
#pragma once

#include "adapter/adapter.h"

struct clients;

/* A client that has no tap yet has sent its greeting or its first frame, which is kept. address:
 * its path; borrowed. Then one of clients_join() and clients_refuse() is expected, but not from
 * within; negative errno when that can't be now: asked again soon. */
typedef int clients_asked_fn(void *context, const char *address);

/* fd: the path's socket; borrowed, and must stay open until clients_free(). Negative errno. */
int clients_new(struct loop *loop, int fd, clients_asked_fn *asked, void *context,
                struct clients **ret);
/* Accepts NULL. The adapters must be gone. */
void clients_free(struct clients *clients);

/* As adapter_new(), for the client at that path; config's kind is not looked at. tap is taken, on
 * failure too. ended is called as well when nobody is at the path any more. -ECONNREFUSED or the
 * like: there is nobody now. */
int clients_join(struct clients *clients, const char *address, const struct adapter_config *config,
                 int tap, void (*ended)(void *context), void *context, struct adapter **ret);
/* What the client sends is dropped until it has gone. */
void clients_refuse(struct clients *clients, const char *address);
/* Asks again for those clients that have no answer: it was lost. Accepts NULL. */
void clients_ask_again(struct clients *clients);
