/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Capture: packet sockets made inside, for a program outside that filters, binds and reads them
 * (packet(7); neither needs a capability once the socket is there). They see nothing before they
 * are bound.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/json.h"
#include "network/holder-private.h"

static int socket_make(void)
{
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    return fd < 0 ? -errno : fd;
}

/* The port of this id, or of the guest with this name. */
static const struct port *port_asked(struct holder *holder, const char *text)
{
    const struct port *port;

    list_each(port, &holder->ports, link)
        if (strcmp(port->id, text) == 0 || strcasecmp(port->name, text) == 0)
            return port;
    return NULL;
}

struct links {
    struct holder *holder;
    json_t *ports, *others;
};

static void link_list(void *context, const struct rtnl_link_info *link)
{
    struct links *links = context;
    int bridge = links->holder->segment.bridge;
    const struct port *port;

    if (link->ifindex != bridge && link->master != bridge)
        json_array_append_new(links->others, json_integer(link->ifindex));
    list_each(port, &links->holder->ports, link)
        if (port->ifindex == link->ifindex)
            json_array_append_new(links->ports, json_pack("{si ss ss}", "link", port->ifindex,
                                                          "port", port->id, "name", port->name));
}

static int capture_answer(struct call *call, const struct port *port, struct error *error)
{
    struct holder *holder = holder_of(call);
    OWN(json) json_t *ports = json_array(), *others = json_array();
    struct links links = {holder, ports, others};
    OWN(fd) int packets = socket_make();
    OWN(fd) int end = socket_make();
    int r = rtnl_dump_links(holder->segment.rtnl, link_list, &links, error);

    if (r >= 0 && (packets < 0 || end < 0))
        r = error_system(error, packets < 0 ? packets : end, "cannot make a packet socket");
    if (r >= 0)
        call_reply(call,
                   json_pack("{si si sO sO so}", "link", port ? port->ifindex : 0, "bridge",
                             holder->segment.bridge, "others", others, "ports", ports, "fds",
                             holder_indexes(0, 2)),
                   (int[]){packets, end}, 2);
    return r;
}

void holder_call_capture(struct call *call)
{
    struct holder *holder = holder_of(call);
    const char *text = json_string_value(json_object_get(call_parameters(call), "port"));
    const struct port *port = text ? port_asked(holder, text) : NULL;
    struct error error = {0};
    int r = 0;

    if (!holder->started || holder->ended)
        r = error_set(&error, -EAGAIN, ERROR_FAILED, "the network is not running");
    else if (text && !port) {
        r = error_set(&error, -EINVAL, ERROR_INVALID, "there is no port %s", text);
        error_where(&error, "Capture.port");
        error_hint(&error, "vmlan ls shows the ports and the names of their guests");
    } else {
        r = capture_answer(call, port, &error);
    }
    if (r < 0)
        call_fail(call, &error);
}
