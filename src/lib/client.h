/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of the broker: finds it, starts it when none listens, and asks it. Calls are
 * asynchronous and end in a callback; client_call() and client_stream() ask and wait. The command
 * line uses it as it is, libvmlan (vmlan.c) behind include/vmlan.h.
 *
 * When the broker ends, which it may at any time, a call without an answer is asked again of the
 * next one: an answer that never came was never used, and the descriptors in it are gone. A call
 * that had the first of several answers fails instead (-ECONNRESET), because what happened
 * meanwhile is lost to it. A broker serves the calls of a connection one after the other, so one
 * with many answers gets a connection of its own.
 *
 * Callbacks run from client_turn() only, and may do anything but wait: ask, cancel, free the
 * client.
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "base/json.h"
#include "lib/launch.h"
#include "wire/conn.h"

struct client;
struct client_call; /* under way: until its last callback, or client_cancel() */

/* Does not connect yet. Negative errno. */
int client_new(const struct launch *launch, struct client **ret);
/* Those under way are dropped without a callback. Accepts NULL. */
void client_free(struct client *client);

enum client_start {
    CLIENT_START,        /* start a broker when none listens */
    CLIENT_IF_NETWORKS,  /* only if there are networks to adopt: else -ENOENT */
    CLIENT_IF_LISTENING, /* never: where none listens, -ENOENT */
};

/* For vmlan itself: client_new(), and connects. */
int client_open(enum client_start start, struct client **ret, struct error *error);
static inline void own_client(struct client **client)
{
    client_free(*client);
}

/* Readable when client_turn() has something to do; the same as long as the client lives. */
int client_fd(const struct client *client);
/* Waits at most timeout_ms (-1: without limit) and runs the callbacks of what came. Negative errno:
 * -EDEADLK from within a callback, -ECANCELED when a callback freed the client. */
int client_turn(struct client *client, int timeout_ms);
bool client_turning(const struct client *client); /* a callback runs */

/* Asks "interface.Method", or io.vmlan.Broker's method of that name. parameters: stolen, may be
 * NULL. more: wants several replies. reply: as in conn.h, but never because a broker ended before
 * it answered. ret: may be NULL. Negative errno, and reply is not called. */
int client_ask(struct client *client, const char *method, json_t *parameters, bool more,
               conn_reply_fn *reply, void *context, struct client_call **ret, struct error *error);
/* Its callback is not called any more. The broker may carry it out nevertheless. */
void client_cancel(struct client_call *call);

/* Descriptors that came with a reply; owned. */
struct client_fds {
    int fds[CONN_FDS_MAX];
    size_t count;
};
/* Takes all, from a callback. */
void client_fds_take(struct client_fds *ret_fds, int *fds, size_t count);
void client_fds_done(struct client_fds *fds);
static inline void own_client_fds(struct client_fds *fds)
{
    client_fds_done(fds);
}

/* Asks and waits. parameters: stolen, may be NULL. ret_fds may be NULL. The caller owns *ret.
 * Negative errno with the broker's own message. Callbacks of other calls may run meanwhile. */
int client_call(struct client *client, const char *method, json_t *parameters, json_t **ret,
                struct client_fds *ret_fds, struct error *error);

/* Calls with "more": each reply goes to call, until it returns something else than 0, which is then
 * returned. timeout_ms -1: none, else -ETIMEDOUT. */
typedef int client_more_fn(void *context, const json_t *reply);
int client_stream(struct client *client, const char *method, json_t *parameters, int timeout_ms,
                  client_more_fn *call, void *context, struct error *error);
