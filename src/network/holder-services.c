/* SPDX-License-Identifier: Apache-2.0 */
/* What the holder has dnsmasq serve: its configuration, and a reservation for each port. See
 * holder.h. */
#include <arpa/inet.h>
#include <string.h>

#include "network/holder-private.h"
#include "network/services.h"
#include "uplink/resolvers.h"

/* Where dnsmasq asks for names of others: struct uplink_fds, dns_udp. */
#define RELAY "127.0.0.1#5300"

/* --- reservations --- */

int holder_reserve(struct holder *holder, const struct port *port, struct error *error)
{
    OWN(mem) char *line = NULL;
    char path[HOLDER_PATH];

    if (!holder->services || !port_mac_known(port) || (!port->name[0] && !port->ip.s_addr))
        return 0;
    line = services_reservation(&holder->spec, port->mac, port->name[0] ? port->name : NULL,
                                port->ip.s_addr ? &port->ip : NULL);
    snprintf(path, sizeof(path), "%s/reservations/%s", holder->directory, port->id);
    return paths_write(path, line, error);
}

void holder_unreserve(struct holder *holder, const struct port *port)
{
    char path[HOLDER_PATH];

    snprintf(path, sizeof(path), "%s/reservations/%s", holder->directory, port->id);
    if (presence_holds(&holder->presence) && unlink(path) == 0)
        dnsmasq_reread(&holder->dnsmasq);
}

int holder_reserve_all(struct holder *holder, struct error *error)
{
    struct port *port;
    int r = 0;

    list_each(port, &holder->ports, link)
        if (r >= 0)
            r = holder_reserve(holder, port, error);
    return r;
}

/* --- the configuration --- */

/* The host's resolvers as texts, for guests that are to ask them without the proxy. */
struct resolver_texts {
    char texts[RESOLVERS_MAX][INET6_ADDRSTRLEN];
    const char *list[RESOLVERS_MAX + 1];
};

static void resolvers_list(struct resolver_texts *ret)
{
    struct resolvers resolvers;

    *ret = (struct resolver_texts){0};
    resolvers_init(&resolvers);
    resolvers_refresh(&resolvers);
    for (size_t i = 0; i < resolvers.count; i++) {
        const union endpoint *e = &resolvers.list[i];
        const void *address = e->any.sa_family == AF_INET ? (const void *)&e->v4.sin_addr
                                                          : (const void *)&e->v6.sin6_addr;

        ret->list[i] = inet_ntop(e->any.sa_family, address, ret->texts[i], sizeof(ret->texts[i]));
    }
}

static int services_make(struct holder *holder, char **ret, struct error *error)
{
    char leases[HOLDER_PATH], reservations[HOLDER_PATH], names[HOLDER_PATH];
    struct services_paths paths = {leases, reservations, names};
    struct resolver_texts resolvers;
    struct services_upstream upstream = {
        .relay = RELAY, .resolvers = resolvers.list, .route6 = holder->route6};
    int r;

    resolvers_list(&resolvers);
    snprintf(leases, sizeof(leases), "%s/%s.leases", holder->state, holder->spec.name);
    snprintf(reservations, sizeof(reservations), "%s/reservations", holder->directory);
    snprintf(names, sizeof(names), "%s/names", holder->directory);
    r = paths_make(reservations, error);
    if (r >= 0)
        r = paths_make(names, error);
    if (r >= 0)
        *ret = services_text(&holder->spec, &holder->plan, &paths, &upstream);
    return r;
}

int holder_start_services(struct holder *holder, struct error *error)
{
    char configuration[HOLDER_PATH];

    snprintf(configuration, sizeof(configuration), "%s/dnsmasq.conf", holder->directory);
    return dnsmasq_start(&holder->dnsmasq, &holder->loop, holder->spec.name, configuration,
                         holder->services, holder_tell_dnsmasq, error);
}

int holder_serve(struct holder *holder, struct error *error)
{
    OWN(mem) char *text = NULL;
    int r;

    if (!services_needed(&holder->spec))
        return 0;
    r = services_make(holder, &text, error);
    if (r < 0 || (holder->services && strcmp(holder->services, text) == 0))
        return r;
    dnsmasq_stop(&holder->dnsmasq);
    free(holder->services);
    holder->services = take_ptr(text);
    return holder_start_services(holder, error);
}
