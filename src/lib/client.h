/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of the broker: finds it, starts it when nothing listens, asks it and waits. Blocking,
 * one request at a time; for programs that do one thing, such as the command line.
 */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "base/json.h"
#include "wire/conn.h"

struct client;

enum client_start {
    CLIENT_START,       /* start a broker when none listens */
    CLIENT_IF_NETWORKS, /* only if there are networks to adopt: else -ENOENT and no message */
};

int client_open(enum client_start start, struct client **ret, struct error *error);
void client_free(struct client *client); /* accepts NULL */
static inline void own_client(struct client **client)
{
    client_free(*client);
}

/* Descriptors that came with a reply; owned. */
struct client_fds {
    int fds[CONN_FDS_MAX];
    size_t count;
};
void client_fds_done(struct client_fds *fds);
static inline void own_client_fds(struct client_fds *fds)
{
    client_fds_done(fds);
}

/* Calls io.vmlan.Broker.<method>. parameters: stolen, may be NULL. ret_fds may be NULL. The caller
 * owns *ret. Negative errno with the broker's own message. */
int client_call(struct client *client, const char *method, json_t *parameters, json_t **ret,
                struct client_fds *ret_fds, struct error *error);

/* Calls with "more": each reply goes to call, until it returns something else than 0, which is then
 * returned. timeout_ms -1: none, else -ETIMEDOUT. */
typedef int client_more_fn(void *context, const json_t *reply);
int client_stream(struct client *client, const char *method, json_t *parameters, int timeout_ms,
                  client_more_fn *call, void *context, struct error *error);
