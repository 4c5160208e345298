/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The forwarders of a network, which the broker starts: a holder can't put a process into the
 * host's network namespace. The holder says when it wants one, on a connection of its own.
 */
#include <string.h>

#include "base/log.h"
#include "base/role.h"
#include "network/network-private.h"

/* How long a forwarder gets to say it is there before another is started: doubled each time, until
 * one was. */
enum { FORWARDER_FIRST_MS = 250, FORWARDER_MAX_MS = 8000 };

static void forwarder_wanted(void *context, json_t *reply, int *fds, size_t fd_count, bool more,
                             const struct error *error)
{
    struct network *network = context;
    int r;

    (void)fds, (void)fd_count, (void)more;
    if (error)
        return; /* the holder is gone: described() asks the next one */
    if (json_is_true(json_object_get(reply, "served")))
        network->forwarder_ms = FORWARDER_FIRST_MS;
    r = role_start(NULL, "forwarder", network->name, -1, -1);
    if (r < 0)
        log_error(network->name, "cannot start a forwarder: %s", strerror(-r));
    timer_set(&network->forwarder, network->forwarder_ms);
    if (network->forwarder_ms < FORWARDER_MAX_MS)
        network->forwarder_ms *= 2;
}

static void watch_lost(struct conn *conn, int error)
{
    struct network *network = conn_owner(conn);

    (void)error;
    conn_free(conn);
    network->watch = NULL;
}

static void holder_ask(struct network *network)
{
    if (!network->watch && network_connect(network, watch_lost, &network->watch, NULL) < 0)
        return;
    conn_call(network->watch, "io.vmlan.Holder.ForwarderWanted", NULL, NULL, 0, false,
              forwarder_wanted, network);
}

/* It needs a moment until it has told the holder that it is there. */
static void forwarder_again(struct timer *timer)
{
    holder_ask(container_of(timer, struct network, forwarder));
}

int network_watch_init(struct network *network)
{
    return timer_init(network->loop, &network->forwarder, forwarder_again);
}

void network_watch(struct network *network)
{
    network->forwarder_ms = FORWARDER_FIRST_MS;
    holder_ask(network);
}
