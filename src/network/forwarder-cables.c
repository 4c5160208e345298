/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The forwarder's part of ports whose guest has a socket: an adapter for each. The holder hands
 * them over one by one; a copy of both descriptors is kept, for the next holder.
 */
#include <fcntl.h>
#include <string.h>

#include "adapter/adapter.h"
#include "base/alloc.h"
#include "base/log.h"
#include "network/forwarder-private.h"

struct cable {
    struct list link;
    struct forwarder *forwarder;
    struct adapter *adapter;
    char *port;
    int fds[2]; /* tap and socket, owned */
};

static const struct {
    const char *backend;
    enum adapter_kind kind;
} kinds[] = {
    {"stream", ADAPTER_STREAM},
    {"datagram", ADAPTER_DATAGRAM},
    {"datagram_next", ADAPTER_DATAGRAM_NEXT},
};

static void cable_free(struct cable *cable)
{
    list_remove(&cable->link);
    adapter_free(cable->adapter);
    fd_close(&cable->fds[0]);
    fd_close(&cable->fds[1]);
    free(cable->port);
    free(cable);
}

static void cable_ended(void *context)
{
    struct cable *cable = context;
    struct forwarder *forwarder = cable->forwarder;

    log_debug(forwarder->name, "the guest of port %s has closed its socket", cable->port);
    if (forwarder->holder)
        conn_call(forwarder->holder, "io.vmlan.Holder.CableEnded",
                  json_pack("{ss}", "port", cable->port), NULL, 0, false, NULL, NULL);
    cable_free(cable);
}

static enum adapter_kind kind_of(const char *backend)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (strcmp(kinds[i].backend, backend) == 0)
            return kinds[i].kind;
    return ADAPTER_STREAM;
}

static int cable_join(struct cable *cable, const json_t *reply)
{
    struct adapter_config config = {
        .kind = kind_of(json_string_value(json_object_get(reply, "backend"))),
        .mtu = (unsigned)json_integer_value(json_object_get(reply, "mtu")),
        .tso = json_is_true(json_object_get(reply, "tso")),
        .checksum_offload = json_is_true(json_object_get(reply, "checksumOffload")),
        .name = cable->port,
    };
    int tap = fcntl(cable->fds[0], F_DUPFD_CLOEXEC, 0);
    int peer = fcntl(cable->fds[1], F_DUPFD_CLOEXEC, 0);

    return adapter_new(&cable->forwarder->loop, &config, tap, peer, cable_ended, cable,
                       &cable->adapter);
}

static void cable_handed(void *context, json_t *reply, int *fds, size_t fd_count, bool more,
                         const struct error *error)
{
    struct forwarder *forwarder = context;
    struct cable *cable;
    int r;

    (void)more;
    if (error)
        return; /* asked again of the next holder */
    if (fd_count == 2) {
        cable = alloc_new(struct cable);
        cable->forwarder = forwarder;
        cable->port = alloc_text(json_string_value(json_object_get(reply, "port")));
        cable->fds[0] = take_fd(&fds[0]);
        cable->fds[1] = take_fd(&fds[1]);
        list_append(&forwarder->cables, &cable->link);
        r = cable_join(cable, reply);
        if (r < 0) {
            log_error(forwarder->name, "port %s: %s", cable->port, strerror(-r));
            cable_ended(cable);
        }
    }
    conn_call(forwarder->cabling, "io.vmlan.Holder.NextCable", NULL, NULL, 0, false, cable_handed,
              forwarder);
}

static void cabling_lost(struct conn *conn, int error)
{
    struct forwarder *forwarder = conn_owner(conn);

    (void)error;
    conn_free(conn);
    forwarder->cabling = NULL;
}

void forwarder_cables_follow(struct forwarder *forwarder)
{
    struct cable *cable;

    list_each(cable, &forwarder->cables, link)
        conn_call(forwarder->holder, "io.vmlan.Holder.CableKept",
                  json_pack("{ss}", "port", cable->port), cable->fds, 2, false, NULL, NULL);
    conn_free(take_ptr(forwarder->cabling));
    if (forwarder_connect(forwarder, cabling_lost, &forwarder->cabling) >= 0)
        conn_call(forwarder->cabling, "io.vmlan.Holder.NextCable", NULL, NULL, 0, false,
                  cable_handed, forwarder);
}

void forwarder_cables_done(struct forwarder *forwarder)
{
    struct cable *cable;

    conn_free(forwarder->cabling);
    while ((cable = list_first(&forwarder->cables, struct cable, link)))
        cable_free(cable);
}
