/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The paths at which hypervisors connect by themselves: each connection at stream.sock becomes a
 * port whose cable it is, and so does each path that sends something to datagram.sock. What is not
 * known of such a guest is its MAC address, until it speaks.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/alloc.h"
#include "base/credentials.h"
#include "base/log.h"
#include "network/holder-private.h"

/* Without descriptors a connection that waits can't be taken, and not be refused either. */
enum { BREATH_MS = 1000 };

/* A port for a guest of whom nothing is known; where says how it is connected. */
static bool guest_add(struct holder *holder, struct port *port, const char *where)
{
    struct port_fds none = {0};
    struct error error;
    char text[ERROR_TEXT_SIZE];

    port->learns = true;
    if (holder_add_port(holder, port, &none, &error) >= 0)
        return true;
    log_error(holder->spec.name, "%s gets no port: %s", where,
              error_text(&error, text, sizeof(text)));
    port_free(port);
    return false;
}

static void stream_add(struct holder *holder, int fd)
{
    struct port *port = port_new();
    struct ucred peer = {0};
    char where[64];

    credentials_of(fd, &peer); /* or not known: 0 */
    port->backend = PORT_STREAM;
    port->peer = fd;
    port->pid = peer.pid;
    snprintf(where, sizeof(where), "process %d at stream.sock", (int)peer.pid);
    guest_add(holder, port, where);
}

static bool address_served(struct holder *holder, const char *address)
{
    const struct port *port;

    list_each(port, &holder->ports, link)
        if (port->address && !port->ended && strcmp(port->address, address) == 0)
            return true;
    return false;
}

/* The forwarder reads datagram.sock, and has met somebody there whom it does not know: an earlier
 * forwarder may have. */
void holder_call_datagram_client(struct call *call)
{
    struct holder *holder = holder_of(call);
    const char *address = json_string_value(json_object_get(call_parameters(call), "address"));
    bool welcome = address_served(holder, address);

    if (!welcome) {
        struct port *port = port_new();

        port->backend = PORT_DATAGRAM;
        port->address = alloc_text(address);
        welcome = guest_add(holder, port, address);
    }
    call_reply(call, json_pack("{ss sb}", "address", address, "welcome", welcome), NULL, 0);
}

static void stream_arrived(struct source *source, uint32_t events)
{
    struct holder *holder = container_of(source, struct holder, streaming);
    int fd = accept4(holder->listeners.stream, NULL, NULL, SOCK_CLOEXEC);

    (void)events;
    if (fd >= 0) {
        stream_add(holder, fd);
        return;
    }
    if (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR)
        return;
    log_error(holder->spec.name, "cannot take a connection at stream.sock: %s", strerror(errno));
    source_want(source, 0);
    timer_set(&holder->breath, BREATH_MS);
}

static void breath_taken(struct timer *timer)
{
    source_want(&container_of(timer, struct holder, breath)->streaming, EPOLLIN);
}

int holder_paths_init(struct holder *holder)
{
    return timer_init(&holder->loop, &holder->breath, breath_taken);
}

int holder_paths_start(struct holder *holder, struct error *error)
{
    int r = source_add(&holder->loop, &holder->streaming, holder->listeners.stream, EPOLLIN,
                       stream_arrived);

    return r < 0 ? error_system(error, r, "cannot listen at stream.sock") : 0;
}

void holder_paths_done(struct holder *holder)
{
    source_remove(&holder->streaming);
    timer_done(&holder->breath);
    listeners_done(&holder->listeners);
}
