/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `reservations`: a list of {name, mac, ip}. Entries are judged one by one while parsing, against
 * each other at its end, and against the subnet when all keys are read. Entry i of the list is
 * entry i of the spec even when it is wrong (its fields then stay zero), so places stay right.
 */
#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/own.h"
#include "config/spec-key.h"

static void parse_name(struct check *check, const json_t *value, void *ret)
{
    struct spec_reservation *reservation = ret;
    const char *text = check_string(check, value);
    struct error error;

    if (!text)
        return;
    if (spec_check_guest_name(text, &error) < 0)
        error_hint(check_fault(check, "%s", error.reason), "%s", error.hint);
    else
        reservation->name = alloc_text(text);
}

static void parse_mac(struct check *check, const json_t *value, void *ret)
{
    struct spec_reservation *reservation = ret;

    check_mac(check, value, reservation->mac);
}

static void parse_ip(struct check *check, const json_t *value, void *ret)
{
    struct spec_reservation *reservation = ret;
    const char *text = json_string_value(value);
    char found[FAULTS_VALUE_SIZE];
    struct in_addr ip;

    if (!text || inet_pton(AF_INET, text, &ip) != 1 || ip.s_addr == 0)
        error_hint(check_fault(check, "%s is not an IPv4 address", faults_value(value, found)),
                   "write four numbers, such as 192.168.107.10");
    else
        reservation->ip = ip;
}

static const struct check_member reservation_members[] = {
    {"name", parse_name},
    {"mac", parse_mac},
    {"ip", parse_ip},
};

static void reservation_parse(struct check *check, const json_t *entry, void *ret)
{
    if (!CHECK_MEMBERS(check, entry, reservation_members, ret))
        return;
    check_needs(check, entry, "mac");
    check_needs(check, entry, "ip");
}

/* Which key of two entries has the same value; NULL: none. Values that were refused are zero. */
static const char *reservation_clash(const struct spec_reservation *a,
                                     const struct spec_reservation *b)
{
    static const uint8_t none[6];

    if (a->name && b->name && strcasecmp(a->name, b->name) == 0)
        return "name";
    if (memcmp(a->mac, none, 6) != 0 && memcmp(a->mac, b->mac, 6) == 0)
        return "mac";
    if (a->ip.s_addr && a->ip.s_addr == b->ip.s_addr)
        return "ip";
    return NULL;
}

static void reservation_check_twice(struct check *check, const struct spec *spec, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        const char *key = reservation_clash(&spec->reservations[i], &spec->reservations[index]);
        OWN(mem) char *other = NULL;
        char place[CHECK_PLACE_SIZE];
        size_t mark;

        if (!key)
            continue;
        other = alloc_printf("%s/%zu/%s", buf_text(&check->path), i, key);
        mark = pointer_push_index(&check->path, index);
        pointer_push(&check->path, key);
        error_hint(check_fault(check, "reserved already at %s", check_place(check, other, place)),
                   "give each guest its own %s", key);
        pointer_pop(&check->path, mark);
        return;
    }
}

static void reservations_parse(struct check *check, const struct spec_key *key, const json_t *value,
                               struct spec *spec)
{
    (void)key;
    spec->reservations =
        check_entries(check, value, SPEC_RESERVATIONS_MAX, sizeof(*spec->reservations),
                      reservation_parse, &spec->reservation_count);
    for (size_t i = 1; i < spec->reservation_count; i++)
        reservation_check_twice(check, spec, i);
}

static json_t *reservations_print(const struct spec_key *key, const struct spec *spec)
{
    json_t *list = json_array();

    (void)key;
    for (size_t i = 0; i < spec->reservation_count; i++) {
        const struct spec_reservation *reservation = &spec->reservations[i];
        char mac[MAC_TEXT_SIZE], ip[INET_ADDRSTRLEN];

        inet_ntop(AF_INET, &reservation->ip, ip, sizeof(ip));
        json_array_append_new(list, json_pack("{s:s*,s:s,s:s}", "name", reservation->name, "mac",
                                              mac_text(reservation->mac, mac), "ip", ip));
    }
    return list;
}

const struct spec_type spec_reservations = {reservations_parse, reservations_print};

static const char *reservation_unusable(const struct subnet4 *subnet, struct in_addr ip)
{
    if (!subnet4_contains(subnet, ip))
        return "is outside";
    if (ip.s_addr == subnet->address.s_addr)
        return "is the network's own address in";
    if (ip.s_addr == subnet4_broadcast(subnet).s_addr)
        return "is the broadcast address of";
    if (ip.s_addr == subnet4_gateway(subnet).s_addr)
        return "is the gateway of";
    return NULL;
}

static void reservation_check_ip(struct check *check, const struct spec *spec, struct in_addr ip)
{
    const char *unusable = reservation_unusable(&spec->subnet, ip);
    char text[INET_ADDRSTRLEN], subnet[SUBNET4_TEXT_SIZE], first[INET_ADDRSTRLEN];
    char last[INET_ADDRSTRLEN];
    struct in_addr from = {htonl(ntohl(spec->subnet.address.s_addr) + 2)};
    struct in_addr to = {htonl(ntohl(subnet4_broadcast(&spec->subnet).s_addr) - 1)};

    if (!unusable)
        return;
    inet_ntop(AF_INET, &ip, text, sizeof(text));
    inet_ntop(AF_INET, &from, first, sizeof(first));
    inet_ntop(AF_INET, &to, last, sizeof(last));
    error_hint(
        check_fault(check, "%s %s subnet %s", text, unusable, subnet4_text(&spec->subnet, subnet)),
        "use %s to %s", first, last);
}

void reservation_check_subnet(struct check *check, const struct spec *spec)
{
    size_t mark = pointer_push(&check->path, "reservations");

    if (spec->reservation_count > 0 && spec->subnet.prefix == 0) {
        error_hint(check_fault(check, "addresses can't be reserved while the subnet is left open"),
                   "add the subnet they belong to, such as subnet: 192.168.107.0/24");
    }
    for (size_t i = 0; spec->subnet.prefix && i < spec->reservation_count; i++) {
        size_t entry = pointer_push_index(&check->path, i);

        pointer_push(&check->path, "ip");
        if (spec->reservations[i].ip.s_addr)
            reservation_check_ip(check, spec, spec->reservations[i].ip);
        pointer_pop(&check->path, entry);
    }
    pointer_pop(&check->path, mark);
}
