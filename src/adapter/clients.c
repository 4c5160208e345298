/* SPDX-License-Identifier: Apache-2.0 */
/* See clients.h. */
#include "adapter/clients.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "adapter/adapter-private.h"
#include "base/alloc.h"
#include "base/log.h"
#include "kernel/unix-diag.h"

enum {
    CLIENTS_MAX = 1024,    /* as many as a bridge has ports */
    HELD_MAX = 64 * 1024,  /* bytes kept for a client until it has a tap */
    RECEIVE_FRAMES = 128,  /* a turn */
    SEND_BUFFER = 1 << 20, /* for all clients together */
    PROBE_MS = 2000,       /* how often clients that have gone are looked for */
    FRAME_OVERHEAD = 1024, /* what the kernel charges a datagram for beyond its bytes, about */
};

/* vfkit's protocol: sent before the first frame, by those that speak it. */
static const char greeting[4] = {'V', 'F', 'K', 'T'};

struct client {
    struct list link;
    struct clients *clients;
    struct sockaddr_un address;
    struct adapter *adapter; /* NULL: not joined */
    bool refused, unasked;
    int own;         /* a socket connected to the client, until it is joined; -1: it is connected to
                        the path's */
    struct buf held; /* frames until it is joined, prefixed */
    size_t waiting;  /* bytes that may wait at it, charged to the path's socket */
    uint32_t inode;  /* of its socket; 0: not known */
    bool hidden;     /* its socket can't be found: not looked for again */
};

struct clients {
    struct loop *loop;
    struct source source;
    struct timer probe;
    int fd, diag;    /* borrowed; owned, -1: none */
    uint32_t inode;  /* of fd */
    size_t capacity; /* bytes that may wait at all clients together */
    struct list list;
    unsigned count;
    bool complained; /* of clients that are not served */
    clients_asked_fn *asked;
    void *context;
};

/* --- who is there --- */

/* 0: somebody who is not connected to the path's socket, and *ret_fd is a socket connected to it;
 * -EPERM: somebody who is; else why nobody is. */
static int address_probe(const struct sockaddr_un *address, int *ret_fd)
{
    OWN(fd) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
        return -errno;
    *ret_fd = take_fd(&fd);
    return 0;
}

static bool address_lives(const struct sockaddr_un *address)
{
    OWN(fd) int fd = -1;
    int r = address_probe(address, &fd);

    return r == 0 || r == -EPERM;
}

static bool address_allowed(const struct sockaddr_un *address)
{
    struct stat status;

    return address->sun_path[0] == '/' && stat(address->sun_path, &status) == 0 &&
           S_ISSOCK(status.st_mode) && (status.st_uid == geteuid() || status.st_uid == 0);
}

/* Once: such clients may send at any rate. */
__attribute__((format(printf, 2, 3))) static void complain(struct clients *clients,
                                                           const char *format, ...)
{
    char text[256];
    va_list args;

    if (clients->complained)
        return;
    clients->complained = true;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    log_warn("datagram.sock", "%s", text);
}

static struct client *client_find(struct clients *clients, const char *path)
{
    struct client *client;

    list_each(client, &clients->list, link)
        if (strcmp(client->address.sun_path, path) == 0)
            return client;
    return NULL;
}

static void client_free(struct client *client)
{
    list_remove(&client->link);
    client->clients->count--;
    fd_close(&client->own);
    buf_done(&client->held);
    free(client);
}

void client_left(struct client *client)
{
    client->adapter = NULL;
    client_free(client);
}

static int client_new(struct clients *clients, const struct sockaddr_un *address,
                      struct client **ret)
{
    struct client *client;
    int own = -1, r;

    if (!address->sun_path[0]) {
        complain(clients, "a client can't be answered: bind its socket to a path");
        return -EDESTADDRREQ;
    }
    if (!address_allowed(address)) {
        complain(clients, "a client can't be answered: %s is no absolute path of this user's",
                 address->sun_path);
        return -EPERM;
    }
    if (clients->count == CLIENTS_MAX) {
        complain(clients, "more than %d clients", CLIENTS_MAX);
        return -EUSERS;
    }
    r = address_probe(address, &own);
    if (r < 0 && r != -EPERM)
        return r;
    client = alloc_new(struct client);
    client->clients = clients;
    client->address = *address;
    client->own = own;
    client->unasked = true;
    list_append(&clients->list, &client->link);
    if (clients->count++ == 0)
        timer_set(&clients->probe, PROBE_MS);
    *ret = client;
    return 0;
}

static void client_ask(struct client *client)
{
    struct clients *clients = client->clients;

    client->unasked = clients->asked(clients->context, client->address.sun_path) < 0;
}

static void clients_probe(struct timer *timer)
{
    struct clients *clients = container_of(timer, struct clients, probe);
    struct client *client;

    list_each(client, &clients->list, link) {
        if (address_lives(&client->address)) {
            if (client->unasked)
                client_ask(client);
            continue;
        }
        if (client->adapter)
            adapter_over(client->adapter); /* its owner frees it, and so the client */
        else
            client_free(client);
    }
    if (clients->count > 0)
        timer_set(timer, PROBE_MS);
}

/* --- in --- */

struct datagram {
    struct client *client; /* NULL: dropped, or done */
    uint8_t *data;
    size_t size;
};

static bool is_greeting(const struct datagram *d)
{
    return d->size == sizeof(greeting) && memcmp(d->data, greeting, sizeof(greeting)) == 0;
}

static void client_hold(struct client *client, const struct datagram *d)
{
    uint8_t prefix[BATCH_PREFIX];

    if (client->refused || client->held.size + d->size > HELD_MAX)
        return;
    frame_put32(prefix, (uint32_t)d->size);
    buf_append(&client->held, prefix, sizeof(prefix));
    buf_append(&client->held, d->data, d->size);
}

/* Who sent it; somebody new is asked for, where it may be a client at all. */
static void datagram_attribute(struct clients *clients, struct datagram *d,
                               const struct sockaddr_un *from)
{
    bool frame = d->size >= ETH_HLEN;

    if (!frame && !is_greeting(d))
        return;
    d->client = client_find(clients, from->sun_path);
    if (!d->client && client_new(clients, from, &d->client) < 0)
        return;
    if (d->client->unasked)
        client_ask(d->client);
    if (frame && !d->client->adapter)
        client_hold(d->client, d);
    if (!frame || !d->client->adapter)
        d->client = NULL;
}

static bool datagram_receive(struct clients *clients, struct datagram *d)
{
    struct sockaddr_un from = {0}; /* the kernel ends a path with a NUL, if there is room */
    socklen_t size = sizeof(from) - 1;
    ssize_t got = recvfrom(clients->fd, d->data, FRAME_MAX + 1, MSG_DONTWAIT,
                           (struct sockaddr *)&from, &size);

    if (got < 0)
        return false;
    d->client = NULL;
    d->size = (size_t)got;
    if (size <= offsetof(struct sockaddr_un, sun_path) || size > sizeof(from) - 1)
        from.sun_path[0] = '\0';
    datagram_attribute(clients, d, &from);
    return true;
}

/* All frames of one client behind each other, so that they can be joined. */
static void datagrams_pass(struct datagram *datagrams, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        struct client *client = datagrams[i].client;

        if (!client)
            continue;
        adapter_input_begin(client->adapter);
        for (unsigned j = i; j < count; j++) {
            if (datagrams[j].client != client)
                continue;
            datagrams[j].client = NULL;
            adapter_input(client->adapter, datagrams[j].data, datagrams[j].size);
        }
        adapter_input_end(client->adapter);
    }
}

static void socket_ready(struct source *source, uint32_t events)
{
    struct clients *clients = container_of(source, struct clients, source);
    struct datagram datagrams[RECEIVE_FRAMES];
    size_t room;
    uint8_t *at = adapter_room(&room);
    unsigned count = 0;

    (void)events;
    while (count < RECEIVE_FRAMES && room > FRAME_MAX) {
        datagrams[count].data = at;
        if (!datagram_receive(clients, &datagrams[count]))
            break;
        at += datagrams[count].size;
        room -= datagrams[count].size;
        count++;
    }
    datagrams_pass(datagrams, count);
}

/* --- out --- */

/* What waits at clients is charged to the one socket they share, wherever it waits. So that one
 * client that does not read leaves the others their room, each may have at most half of what is
 * still free (a dynamic threshold, as switches have it). What really waits is known of all
 * together; of one client only whether it is nothing, so it is asked for when it matters. */
static bool client_has_room(struct client *client)
{
    struct clients *clients = client->clients;
    bool drained = false;
    int queued = 0;

    ioctl(clients->fd, SIOCOUTQ, &queued);
    if (client->waiting > (size_t)queued)
        client->waiting = (size_t)queued;
    if ((size_t)queued < clients->capacity &&
        client->waiting <= (clients->capacity - (size_t)queued) / 2)
        return true;
    if (clients->diag < 0)
        return false;
    if (!client->inode && !client->hidden)
        client->hidden = unix_diag_find(clients->diag, client->address.sun_path, clients->inode,
                                        &client->inode) < 0;
    if (client->inode && unix_diag_drained(clients->diag, client->inode, &drained) < 0)
        client->inode = 0;
    if (drained)
        client->waiting = 0;
    return drained;
}

static void shared_send(struct adapter *a, struct iovec *iov, unsigned count)
{
    struct client *client = a->client;

    for (unsigned i = 0; i < count; i++) {
        struct iovec *frame = iov + (size_t)2 * i;
        struct iovec bare[2] = {datagram_bare(frame), frame[1]};
        struct msghdr message = {.msg_name = &client->address,
                                 .msg_namelen = sizeof(client->address),
                                 .msg_iov = bare,
                                 .msg_iovlen = 2};
        bool room = client_has_room(client);

        if (room && sendmsg(client->clients->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) {
            client->waiting += bare[0].iov_len + bare[1].iov_len + FRAME_OVERHEAD;
        } else if (!room || errno == EAGAIN || errno == EINTR) {
            a->counters.out_dropped += count - i; /* nothing would say when there is room again */
            return;
        } else if (datagram_stopped(a, errno, frame, count - i)) {
            return;
        }
    }
}

const struct adapter_ops shared_ops = {.send = shared_send};

/* --- life --- */

int clients_join(struct clients *clients, const char *address, const struct adapter_config *config,
                 int tap, void (*ended)(void *context), void *context, struct adapter **ret)
{
    struct adapter_config own = *config;
    struct client *client = client_find(clients, address);
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    OWN(fd) int tap_fd = tap;
    OWN(buf) struct buf held = BUF_NULL;
    int r;

    snprintf(at.sun_path, sizeof(at.sun_path), "%s", address);
    r = client ? 0 : client_new(clients, &at, &client);
    if (r >= 0 && client->adapter)
        r = -EEXIST;
    if (r < 0)
        return r;
    own.kind = client->own >= 0 ? ADAPTER_DATAGRAM : ADAPTER_SHARED;
    r = adapter_new(clients->loop, &own, take_fd(&tap_fd), take_fd(&client->own), ended, context,
                    ret);
    if (r < 0) {
        client_free(client); /* asked for again */
        return r;
    }
    held = client->held;
    client->held = BUF_NULL;
    client->adapter = *ret;
    client->unasked = false;
    (*ret)->client = client;
    adapter_input_held(*ret, &held);
    return 0;
}

void clients_refuse(struct clients *clients, const char *address)
{
    struct client *client = client_find(clients, address);

    if (!client)
        return;
    client->refused = true;
    buf_done(&client->held);
}

void clients_ask_again(struct clients *clients)
{
    struct client *client;

    if (!clients)
        return;
    list_each(client, &clients->list, link)
        if (!client->adapter && !client->refused)
            client_ask(client);
}

int clients_new(struct loop *loop, int fd, clients_asked_fn *asked, void *context,
                struct clients **ret)
{
    struct clients *clients = alloc_new(struct clients);
    int size = SEND_BUFFER, r;
    socklen_t length = sizeof(size);
    struct stat status;

    *clients =
        (struct clients){.loop = loop, .fd = fd, .diag = -1, .asked = asked, .context = context};
    list_init(&clients->list);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)); /* as much as the host allows */
    if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &length) == 0)
        clients->capacity = (size_t)size;
    if (fstat(fd, &status) == 0)
        clients->inode = (uint32_t)status.st_ino;
    unix_diag_open(
        &clients->diag); /* without it a client that does not read costs the others more */
    r = timer_init(loop, &clients->probe, clients_probe);
    if (r >= 0)
        r = source_add(loop, &clients->source, fd, EPOLLIN, socket_ready);
    if (r < 0) {
        clients_free(clients);
        return r;
    }
    *ret = clients;
    return 0;
}

void clients_free(struct clients *clients)
{
    struct client *client;

    if (!clients)
        return;
    list_each(client, &clients->list, link)
        client_free(client);
    source_remove(&clients->source);
    timer_done(&clients->probe);
    fd_close(&clients->diag);
    free(clients);
}
