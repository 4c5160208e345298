/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Room among the addresses. A lease outlives its guest, so that the guest finds its address again.
 * Where guests come and go, each with a MAC address of its own, the leases of those that have gone
 * would fill the subnet until they end; so they give way to a port that would find no address, the
 * one that was renewed longest ago first. So does a lease of the very address that another guest is
 * to have. dnsmasq owns the lease file and has no command for it: it is stopped meanwhile.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "network/holder-private.h"
#include "network/leases.h"
#include "network/services.h"

enum { SPARE_MAX = 32 }; /* how many more are freed at a time, so that it is not done each time */

/* How many more addresses can be given out; negative: some guests get none. */
struct room {
    long v4;
    long both; /* leases of both families */
};

static void mac_add(json_t *macs, const uint8_t mac[6])
{
    char text[MAC_TEXT_SIZE];

    json_object_set_new(macs, mac_text(mac, text), json_true());
}

/* The guests that are here, or coming. Those whose MAC address is not known yet are counted. */
static json_t *macs_here(struct holder *holder, const struct port *coming, long *ret_unknown)
{
    json_t *macs = json_object();
    const struct port *port;

    *ret_unknown = coming && !port_mac_known(coming);
    if (coming && port_mac_known(coming))
        mac_add(macs, coming->mac);
    list_each(port, &holder->ports, link) {
        if (port_mac_known(port))
            mac_add(macs, port->mac);
        else
            ++*ret_unknown;
    }
    return macs;
}

/* Whose leases stay where there is no room: those, and those that the configuration knows. */
static json_t *macs_kept(const struct holder *holder, json_t *here)
{
    json_t *macs = json_copy(here);

    for (size_t i = 0; i < holder->spec.reservation_count; i++)
        mac_add(macs, holder->spec.reservations[i].mac);
    return macs;
}

static bool lease_is_v4(const json_t *lease)
{
    return strchr(json_text(lease, "address", ""), '.');
}

static struct room room_left(const struct holder *holder, const json_t *leases, const json_t *kept,
                             long unknown)
{
    long size = (long)ntohl(holder->plan.last.s_addr) - (long)ntohl(holder->plan.first.s_addr) + 1;
    long waiting = unknown + (long)json_object_size(kept); /* for an IPv4 address */
    struct room room = {.v4 = size, .both = services_leases_max(&holder->spec)};
    const json_t *lease;
    size_t index;

    json_array_foreach(leases, index, lease) {
        room.both--;
        if (!lease_is_v4(lease))
            continue;
        room.v4--;
        waiting -= json_object_get(kept, json_text(lease, "mac", "-")) != NULL;
    }
    room.v4 -= waiting;
    room.both -= waiting;
    return room;
}

/* A guest behind a guest has no port. It would renew its lease after half its time; and its MAC
 * address is not of those that vmlan makes: 52:55:55 in config/instance.c and 52:55:57 for a port
 * that was to have any. */
static bool lease_is_over(const json_t *lease, const json_t *kept, json_int_t now)
{
    const char *mac = json_text(lease, "mac", "-");
    json_int_t expires = json_integer_value(json_object_get(lease, "expires"));

    if (!expires || json_object_get(kept, mac))
        return false;
    return strncmp(mac, "52:55:55:", 9) == 0 || strncmp(mac, "52:55:57:", 9) == 0 ||
           expires - now < SERVICES_LEASE_HOURS * 3600 / 2;
}

/* The lease over and not yet chosen that ends first; of IPv4 where that alone is short. */
static const json_t *lease_oldest(const json_t *leases, const json_t *kept, const json_t *chosen,
                                  bool only_v4)
{
    const json_t *lease, *oldest = NULL;
    json_int_t now = time(NULL), first = 0;
    size_t index;

    json_array_foreach(leases, index, lease) {
        json_int_t expires = json_integer_value(json_object_get(lease, "expires"));

        if ((only_v4 && !lease_is_v4(lease)) || !lease_is_over(lease, kept, now) ||
            json_object_get(chosen, json_text(lease, "address", "-")) ||
            (oldest && expires >= first))
            continue;
        oldest = lease;
        first = expires;
    }
    return oldest;
}

static bool lease_is_at(const json_t *lease, struct in_addr address)
{
    struct in_addr leased;

    return inet_pton(AF_INET, json_text(lease, "address", ""), &leased) == 1 &&
           leased.s_addr == address.s_addr;
}

/* Whether its address is another guest's by now: that of the port that comes, or one of the
 * configuration. dnsmasq would give that guest any other address instead. */
static bool lease_in_the_way(const struct holder *holder, const struct port *coming,
                             const json_t *lease)
{
    const char *mac = json_text(lease, "mac", "-");
    char text[MAC_TEXT_SIZE];

    if (coming && lease_is_at(lease, coming->ip))
        return strcmp(mac, mac_text(coming->mac, text)) != 0;
    for (size_t i = 0; i < holder->spec.reservation_count; i++)
        if (lease_is_at(lease, holder->spec.reservations[i].ip))
            return strcmp(mac, mac_text(holder->spec.reservations[i].mac, text)) != 0;
    return false;
}

/* Those of guests that are not here. */
static json_t *leases_in_the_way(const struct holder *holder, const struct port *coming,
                                 const json_t *leases, const json_t *here)
{
    json_t *found = json_object();
    const json_t *lease;
    size_t index;

    json_array_foreach(leases, index, lease)
        if (lease_in_the_way(holder, coming, lease) &&
            !json_object_get(here, json_text(lease, "mac", "-")))
            json_object_set_new(found, json_text(lease, "address", "-"), json_true());
    return found;
}

/* Adds the addresses that are to be free again, an object's keys, until there is room. */
static void leases_choose(const struct holder *holder, const json_t *leases, const json_t *kept,
                          struct room room, json_t *chosen)
{
    long spare = services_leases_max(&holder->spec) / 16;
    const json_t *lease;

    spare = spare < SPARE_MAX ? spare : SPARE_MAX;
    while ((room.v4 < spare || room.both < spare) &&
           (lease = lease_oldest(leases, kept, chosen, room.both >= spare))) {
        json_object_set_new(chosen, json_text(lease, "address", "-"), json_true());
        room.v4 += lease_is_v4(lease);
        room.both++;
    }
}

static void leases_end(struct holder *holder, const char *path, const json_t *addresses)
{
    char text[ERROR_TEXT_SIZE];
    struct error error;

    log_info(holder->spec.name, "%zu addresses of guests that have gone are needed for others",
             json_object_size(addresses));
    dnsmasq_stop(&holder->dnsmasq);
    if (leases_remove(path, addresses, &error) < 0)
        log_warn(holder->spec.name, "%s", error_text(&error, text, sizeof(text)));
    if (holder_start_services(holder, &error) < 0)
        log_error(holder->spec.name, "%s", error_text(&error, text, sizeof(text)));
}

static int holder_leases(const struct holder *holder, char path[HOLDER_PATH], json_t **ret)
{
    snprintf(path, HOLDER_PATH, "%s/%s.leases", holder->state, holder->spec.name);
    return leases_load(path, ret);
}

void holder_make_room(struct holder *holder, const struct port *coming)
{
    OWN(json) json_t *leases = NULL;
    OWN(json) json_t *here = NULL;
    OWN(json) json_t *kept = NULL;
    OWN(json) json_t *chosen = NULL;
    char path[HOLDER_PATH];
    struct room room;
    long unknown;

    if (!holder->services || !holder->spec.dhcp || !presence_holds(&holder->presence) ||
        holder_leases(holder, path, &leases) < 0)
        return;
    here = macs_here(holder, coming, &unknown);
    kept = macs_kept(holder, here);
    chosen = leases_in_the_way(holder, coming, leases, here);
    room = room_left(holder, leases, kept, unknown);
    if (room.v4 < 0 || room.both < 0)
        leases_choose(holder, leases, kept, room, chosen);
    if (json_object_size(chosen))
        leases_end(holder, path, chosen);
}

int holder_check_leased(struct holder *holder, const struct port *port, struct error *error)
{
    OWN(json) json_t *leases = NULL;
    OWN(json) json_t *here = NULL;
    char path[HOLDER_PATH];
    const json_t *lease;
    size_t index;
    long unknown;

    if (!holder->spec.dhcp || holder_leases(holder, path, &leases) < 0)
        return 0;
    here = macs_here(holder, NULL, &unknown);
    json_array_foreach(leases, index, lease) {
        const char *mac = json_text(lease, "mac", "-");

        if (!lease_is_at(lease, port->ip) || !json_object_get(here, mac))
            continue;
        error_set(error, -EADDRINUSE, ERROR_CONFLICT,
                  "%s is the address of a guest that is here, %s", json_text(lease, "address", "-"),
                  mac);
        error_where(error, "Attach.ip");
        error_hint(error, "choose another address, or leave ip out to have one chosen");
        return -EADDRINUSE;
    }
    return 0;
}
