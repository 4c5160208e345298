/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ports with a link that does not go by itself. The host's own link: whoever asks for it has the
 * capability to make a link of the host and made the pair, one end of it in here; the port is that
 * end, and an address that no guest gets. A tap that is opened by its name: it goes when the
 * command that was to open it, and all it started, have ended.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "network/holder-private.h"
#include "network/leases.h"

static bool is_leased(const json_t *leases, struct in_addr address)
{
    char text[INET_ADDRSTRLEN];
    json_t *lease;
    size_t index;

    inet_ntop(AF_INET, &address, text, sizeof(text));
    json_array_foreach(leases, index, lease) {
        const char *leased = json_string_value(json_object_get(lease, "address"));

        if (leased && strcmp(leased, text) == 0)
            return true;
    }
    return false;
}

static bool is_reserved(const struct holder *holder, struct in_addr address)
{
    for (size_t i = 0; i < holder->spec.reservation_count; i++)
        if (holder->spec.reservations[i].ip.s_addr == address.s_addr)
            return true;
    return false;
}

static bool is_a_ports(struct holder *holder, struct in_addr address)
{
    const struct port *port;

    list_each(port, &holder->ports, link)
        if (port->ip.s_addr == address.s_addr)
            return true;
    return false;
}

/* The highest that is free: DHCP gives out addresses all over the subnet, so it may be any. */
int holder_choose_ip(struct holder *holder, struct in_addr *ret, struct error *error)
{
    char path[2 * PATHS_MAX];
    OWN(json) json_t *leases = NULL;
    uint32_t first = ntohl(holder->plan.first.s_addr), ip = ntohl(holder->plan.last.s_addr);
    int r;

    snprintf(path, sizeof(path), "%s/%s.leases", holder->state, holder->spec.name);
    r = leases_load(path, &leases);
    if (r < 0)
        return error_system(error, r, "cannot read %s", path);
    for (; ip >= first; ip--) {
        struct in_addr address = {htonl(ip)};

        if (!is_leased(leases, address) && !is_reserved(holder, address) &&
            !is_a_ports(holder, address)) {
            *ret = address;
            return 0;
        }
    }
    error_set(error, -EADDRNOTAVAIL, ERROR_LIMIT, "no address of the subnet is free");
    error_hint(error, "use a larger subnet");
    return -EADDRNOTAVAIL;
}

/* --- taps by name --- */

static void link_delete(struct holder *holder, const struct port *port)
{
    struct error error;
    char text[ERROR_TEXT_SIZE];

    if (rtnl_delete_link(holder->segment.rtnl, port->ifindex, &error) < 0)
        log_warn(holder->spec.name, "%s", error_text(&error, text, sizeof(text)));
}

/* The kernel then tells that the link is gone, and with it the port. */
static void users_gone(struct source *source, uint32_t events)
{
    struct port *port = container_of(source, struct port, using);

    (void)events;
    source_remove(source);
    link_delete(port->holder, port);
}

void holder_follow_users(struct holder *holder, struct port *port)
{
    int r;

    if (port->backend != PORT_NAMED_TAP)
        return;
    port->holder = holder;
    if (port->users < 0) /* an earlier holder's pipe is gone with it */
        port->users = (int)syscall(SYS_pidfd_open, port->pid, 0);
    r = port->users < 0 ? -ESRCH
                        : source_add(&holder->loop, &port->using, port->users, EPOLLIN, users_gone);
    if (r < 0)
        link_delete(holder, port);
}
