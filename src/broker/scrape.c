/* SPDX-License-Identifier: Apache-2.0 */
/* See scrape.h. */
#include "broker/scrape.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/accept.h"
#include "base/alloc.h"
#include "base/buf.h"
#include "base/credentials.h"
#include "base/log.h"
#include "base/paths.h"
#include "broker/tally.h"
#include "metrics/http.h"
#include "metrics/metrics.h"

enum { CLIENTS_MAX = 16, CLIENT_MS = 5000, BACKLOG = 16 };

#define TARGET "/metrics"

struct client {
    struct list link;
    struct scrape *scrape;
    int fd; /* owned */
    struct source source;
    struct timer patience; /* for all of it */
    struct buf in, out;
    struct http_request request;
    struct tally *tally; /* NULL: not asking */
    json_t *networks;
};

static void client_free(struct client *client)
{
    list_remove(&client->link);
    client->scrape->count--;
    source_remove(&client->source);
    fd_close(&client->fd);
    timer_done(&client->patience);
    tally_free(client->tally);
    json_decref(client->networks);
    buf_done(&client->in);
    buf_done(&client->out);
    free(client);
}

static void client_too_slow(struct timer *timer)
{
    client_free(container_of(timer, struct client, patience));
}

static void client_write(struct client *client)
{
    ssize_t sent =
        send(client->fd, buf_text(&client->out), client->out.size, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (sent < 0 && errno != EAGAIN) {
        client_free(client);
        return;
    }
    buf_consume(&client->out, sent > 0 ? (size_t)sent : 0);
    if (client->out.size == 0)
        client_free(client);
    else
        source_want(&client->source, EPOLLOUT);
}

static void client_answer(struct client *client)
{
    OWN(buf) struct buf body = BUF_NULL;

    if (client->request.status == 200)
        metrics_text(client->networks, &body);
    http_answer(&client->request, METRICS_TYPE, &body, &client->out);
    client_write(client);
}

static void client_counted(void *context, json_t *counters)
{
    struct client *client = context;

    if (counters) {
        json_array_append(client->networks, counters);
        return;
    }
    tally_free(take_ptr(client->tally));
    client_answer(client);
}

static void client_read(struct client *client)
{
    ssize_t got = recv(client->fd, buf_reserve(&client->in, 1024), 1024, MSG_DONTWAIT);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        client_free(client);
        return;
    }
    buf_commit(&client->in, (size_t)got);
    if (!http_request_parse(client->in.data, client->in.size, TARGET, &client->request))
        return;
    source_want(&client->source, 0);
    if (client->request.status != 200) {
        client_answer(client);
        return;
    }
    client->networks = json_array();
    client->tally =
        tally_new(client->scrape->loop, client->scrape->registry, NULL, client_counted, client);
}

static void client_ready(struct source *source, uint32_t events)
{
    struct client *client = container_of(source, struct client, source);

    if (events & EPOLLIN)
        client_read(client);
    else if (client->out.size > 0)
        client_write(client);
    else
        client_free(client); /* it has gone while its answer was made */
}

/* Takes fd. */
static void client_new(struct scrape *scrape, int fd)
{
    struct client *client = alloc_new(struct client);

    client->scrape = scrape;
    client->fd = fd;
    list_append(&scrape->clients, &client->link);
    scrape->count++;
    if (timer_init(scrape->loop, &client->patience, client_too_slow) < 0 ||
        source_add(scrape->loop, &client->source, fd, EPOLLIN, client_ready) < 0) {
        client_free(client);
        return;
    }
    timer_set(&client->patience, CLIENT_MS);
}

static void client_arrived(struct source *source, uint32_t events)
{
    struct scrape *scrape = container_of(source, struct scrape, listening);
    struct ucred who;
    OWN(fd) int fd = accept_next(scrape->listener, &who);

    (void)events;
    if (fd >= 0 && credentials_trusted(&who) && scrape->count < CLIENTS_MAX)
        client_new(scrape, take_fd(&fd));
}

static int scrape_listen(struct scrape *scrape)
{
    struct sockaddr_un address;
    int r = paths_socket(&address, NULL, "metrics.sock");

    if (r < 0)
        return r;
    scrape->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    unlink(address.sun_path); /* of a broker that died */
    if (scrape->listener < 0 ||
        bind(scrape->listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(scrape->listener, BACKLOG) < 0)
        return -errno;
    return source_add(scrape->loop, &scrape->listening, scrape->listener, EPOLLIN, client_arrived);
}

void scrape_init(struct scrape *scrape, struct loop *loop, struct registry *registry)
{
    *scrape = (struct scrape){.loop = loop, .registry = registry, .listener = -1};
    list_init(&scrape->clients);
}

void scrape_begin(struct scrape *scrape)
{
    int r = scrape_listen(scrape);

    if (r < 0)
        log_warn(NULL, "no metrics: metrics.sock: %s", strerror(-r));
}

void scrape_end(struct scrape *scrape)
{
    struct sockaddr_un address;

    if (scrape->listener >= 0 && paths_socket(&address, NULL, "metrics.sock") >= 0)
        unlink(address.sun_path);
}

void scrape_done(struct scrape *scrape)
{
    struct client *client;

    list_each(client, &scrape->clients, link)
        client_free(client);
    source_remove(&scrape->listening);
    fd_close(&scrape->listener);
}
