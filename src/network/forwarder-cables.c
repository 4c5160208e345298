/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The forwarder's part of ports whose guest has a socket: an adapter for each. The holder hands
 * them over one by one; a copy of both descriptors is kept, for the next holder.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "adapter/clients.h"
#include "adapter/journal.h"
#include "base/alloc.h"
#include "base/credentials.h"
#include "base/log.h"
#include "network/forwarder-private.h"

struct cable {
    struct list link;
    struct forwarder *forwarder;
    struct adapter *adapter;
    char *port;
    int ifindex;    /* the tap's index, by which the holder knows the port; 0: an older holder's */
    char *address;  /* of a client of datagram.sock, which has no socket; NULL: none */
    int fds[2];     /* tap and socket, owned */
    uint8_t mac[6]; /* of the guest, when it had to be learnt */
    /* The holder has not said yet whether it is welcome; that was asked of the one of now. */
    bool asking, asked;
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
    free(cable->address);
    free(cable);
}

/* What messages to the holder begin with. */
static json_t *cable_to_json(const struct cable *cable)
{
    json_t *parameters = json_pack("{ss}", "port", cable->port);

    if (cable->ifindex)
        json_object_set_new(parameters, "link", json_integer(cable->ifindex));
    return parameters;
}

static void cable_ended(void *context)
{
    struct cable *cable = context;
    struct forwarder *forwarder = cable->forwarder;

    log_debug(forwarder->name, "the guest of port %s has closed its socket", cable->port);
    if (forwarder->holder)
        conn_call(forwarder->holder, "io.vmlan.Holder.CableEnded", cable_to_json(cable), NULL, 0,
                  false, NULL, NULL);
    cable_free(cable);
}

static struct cable *cable_named(struct forwarder *forwarder, const char *port)
{
    struct cable *cable;

    list_each(cable, &forwarder->cables, link)
        if (strcmp(cable->port, port) == 0)
            return cable;
    return NULL;
}

static void cable_known(void *context, json_t *reply, int *fds, size_t fd_count, bool more,
                        const struct error *error);

/* Those of whom there was no room to ask so far (CONN_PENDING_MAX). */
static void cables_ask(struct forwarder *forwarder)
{
    struct cable *cable;
    char mac[MAC_TEXT_SIZE];

    list_each(cable, &forwarder->cables, link) {
        json_t *parameters;

        if (!forwarder->holder || !cable->asking || cable->asked)
            continue;
        parameters = cable_to_json(cable);
        json_object_set_new(parameters, "mac", json_string(mac_text(cable->mac, mac)));
        cable->asked = conn_call(forwarder->holder, "io.vmlan.Holder.CableMet", parameters, NULL, 0,
                                 false, cable_known, forwarder) >= 0;
    }
}

static void cable_known(void *context, json_t *reply, int *fds, size_t fd_count, bool more,
                        const struct error *error)
{
    struct cable *cable;
    char mac[MAC_TEXT_SIZE];

    (void)fds, (void)fd_count, (void)more;
    if (error)
        return; /* asked again of the next holder */
    cables_ask(context);
    cable = cable_named(context, json_string_value(json_object_get(reply, "port")));
    if (!cable || !cable->asking ||
        strcmp(mac_text(cable->mac, mac), json_string_value(json_object_get(reply, "mac"))) != 0)
        return; /* an earlier one of that name */
    cable->asking = false;
    if (json_is_true(json_object_get(reply, "welcome")))
        adapter_welcome(cable->adapter);
    else
        cable_ended(cable);
}

static void cable_met(void *context, const uint8_t mac[6])
{
    struct cable *cable = context;

    memcpy(cable->mac, mac, sizeof(cable->mac));
    cable->asking = true;
    cables_ask(cable->forwarder);
}

/* What a predecessor has left must be read before anything is moved. */
static void journal_take(struct forwarder *forwarder, int *fd)
{
    int r;

    if (forwarder->journal >= 0)
        return;
    forwarder->journal = take_fd(fd);
    r = journal_open(fcntl(forwarder->journal, F_DUPFD_CLOEXEC, 0));
    if (r < 0)
        log_error(forwarder->name, "cannot use the journal: %s", strerror(-r));
}

static enum adapter_kind kind_of(const char *backend)
{
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
        if (strcmp(kinds[i].backend, backend) == 0)
            return kinds[i].kind;
    return ADAPTER_STREAM;
}

/* Who may open a path is decided by its mode; this decides who may use the connection. A guest that
 * was handed its end has the holder's credentials on it. The holder can't tell: in its user
 * namespace all users but its own have the same number. */
static bool peer_allowed(const struct cable *cable)
{
    struct ucred who;

    if (credentials_of(cable->fds[1], &who) < 0 || who.pid == 0 || credentials_trusted(&who))
        return true;
    log_warn(cable->forwarder->name, "port %s: refused a connection of uid %u", cable->port,
             who.uid);
    return false;
}

static int cable_join(struct cable *cable, const json_t *reply)
{
    struct adapter_config config = {
        .kind = kind_of(json_string_value(json_object_get(reply, "backend"))),
        .mtu = (unsigned)json_integer_value(json_object_get(reply, "mtu")),
        .tso = json_is_true(json_object_get(reply, "tso")),
        .checksum_offload = json_is_true(json_object_get(reply, "checksumOffload")),
        .lenient = json_is_true(json_object_get(reply, "lenient")),
        .met = json_is_true(json_object_get(reply, "learnMac")) ? cable_met : NULL,
        .name = cable->port,
    };
    struct forwarder *forwarder = cable->forwarder;
    int tap = fcntl(cable->fds[0], F_DUPFD_CLOEXEC, 0);

    if (cable->address)
        return clients_join(forwarder->clients, cable->address, &config, tap, cable_ended, cable,
                            &cable->adapter);
    return adapter_new(&forwarder->loop, &config, tap, fcntl(cable->fds[1], F_DUPFD_CLOEXEC, 0),
                       cable_ended, cable, &cable->adapter);
}

static void cable_add(struct forwarder *forwarder, const json_t *reply, int *fds, size_t fd_count)
{
    const char *address = json_string_value(json_object_get(reply, "address"));
    struct cable *cable = alloc_new(struct cable);
    int r;

    cable->forwarder = forwarder;
    cable->port = alloc_text(json_string_value(json_object_get(reply, "port")));
    cable->ifindex = (int)json_integer_value(json_object_get(reply, "link"));
    cable->address = address ? alloc_text(address) : NULL;
    cable->fds[0] = take_fd(&fds[0]);
    cable->fds[1] = address || fd_count < 2 ? -1 : take_fd(&fds[1]);
    list_append(&forwarder->cables, &cable->link);
    if (!peer_allowed(cable))
        r = -EPERM;
    else if (address && !forwarder->clients)
        r = -EIO;
    else
        r = cable_join(cable, reply);
    if (r < 0) {
        log_error(forwarder->name, "port %s: %s", cable->port, strerror(-r));
        cable_ended(cable);
    }
}

static void cable_handed(void *context, json_t *reply, int *fds, size_t fd_count, bool more,
                         const struct error *error)
{
    struct forwarder *forwarder = context;

    (void)more;
    if (error)
        return; /* asked again of the next holder */
    if (fd_count > 0) {
        if (json_is_true(json_object_get(reply, "journal")))
            journal_take(forwarder, &fds[fd_count - 1]);
        cable_add(forwarder, reply, fds, fd_count);
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

static void client_answered(void *context, json_t *reply, int *fds, size_t fd_count, bool more,
                            const struct error *error)
{
    struct forwarder *forwarder = context;

    (void)fds, (void)fd_count, (void)more;
    if (!error && !json_is_true(json_object_get(reply, "welcome")))
        clients_refuse(forwarder->clients, json_string_value(json_object_get(reply, "address")));
}

static int client_asked(void *context, const char *address)
{
    struct forwarder *forwarder = context;
    json_t *parameters = json_pack("{ss}", "address", address); /* NULL: not UTF-8 */

    if (parameters && forwarder->holder)
        return conn_call(forwarder->holder, "io.vmlan.Holder.DatagramClient", parameters, NULL, 0,
                         false, client_answered, forwarder);
    json_decref(parameters);
    return -ENOTCONN;
}

static void cable_keep(const struct cable *cable)
{
    json_t *parameters = cable_to_json(cable);
    int fds[] = {cable->fds[0], cable->fds[1], cable->forwarder->journal};
    size_t count = ARRAY_SIZE(fds);

    if (cable->address) {
        json_object_set_new(parameters, "address", json_string(cable->address));
        fds[1] = cable->forwarder->journal;
        count--;
    }
    conn_call(cable->forwarder->holder, "io.vmlan.Holder.CableKept", parameters, fds,
              cable->forwarder->journal < 0 ? count - 1 : count, false, NULL, NULL);
}

static void clients_start(struct forwarder *forwarder)
{
    int r = forwarder->clients ? 0
                               : clients_new(&forwarder->loop, forwarder->listeners.datagram,
                                             client_asked, forwarder, &forwarder->clients);

    if (r < 0)
        log_error(forwarder->name, "cannot serve datagram.sock: %s", strerror(-r));
}

void forwarder_cables_follow(struct forwarder *forwarder)
{
    struct cable *cable;

    clients_start(forwarder);
    clients_ask_again(forwarder->clients);
    list_each(cable, &forwarder->cables, link) {
        cable_keep(cable);
        cable->asked = false;
    }
    cables_ask(forwarder);
    conn_free(take_ptr(forwarder->cabling));
    if (forwarder_connect(forwarder, cabling_lost, &forwarder->cabling) >= 0)
        conn_call(forwarder->cabling, "io.vmlan.Holder.NextCable", NULL, NULL, 0, false,
                  cable_handed, forwarder);
}

json_t *forwarder_cables_dropped(struct forwarder *forwarder)
{
    json_t *dropped = json_object();
    struct adapter_counters counters;
    struct cable *cable;

    list_each(cable, &forwarder->cables, link) {
        adapter_counters(cable->adapter, &counters);
        json_object_set_new(dropped, cable->port,
                            json_pack("{sI sI}", "receive", (json_int_t)counters.out_dropped,
                                      "transmit", (json_int_t)counters.in_dropped));
    }
    return dropped;
}

void forwarder_cables_done(struct forwarder *forwarder)
{
    struct cable *cable;

    conn_free(forwarder->cabling);
    while ((cable = list_first(&forwarder->cables, struct cable, link)))
        cable_free(cable);
    clients_free(forwarder->clients);
    fd_close(&forwarder->journal);
}
