/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of a network's keys, and all that follows from it; see spec.h. Lists of mappings have
 * files of their own: reservation.c, dhcp-option.c, forwards.c, egress.c.
 */
#include "config/spec.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/json.h"
#include "base/own.h"
#include "config/spec-key.h"
#include "config/subnet.h"

static const char *const spec_modes[] = {[SPEC_SHARED] = "shared", [SPEC_HOST] = "host"};

static void parse_mode(struct check *check, const struct spec_key *key, const json_t *value,
                       struct spec *spec)
{
    const char *text = json_string_value(value);
    char found[FAULTS_VALUE_SIZE];

    for (size_t i = 0; text && i < ARRAY_SIZE(spec_modes); i++) {
        if (strcmp(text, spec_modes[i]) == 0) {
            *(enum spec_mode *)spec_field(key, spec) = (enum spec_mode)i;
            return;
        }
    }
    error_hint(check_fault(check, "%s is not a mode", faults_value(value, found)), "use %s or %s",
               spec_modes[SPEC_SHARED], spec_modes[SPEC_HOST]);
}

static json_t *print_mode(const struct spec_key *key, const struct spec *spec)
{
    return json_string(spec_modes[*(enum spec_mode *)spec_field(key, spec)]);
}

static void parse_boolean(struct check *check, const struct spec_key *key, const json_t *value,
                          struct spec *spec)
{
    check_boolean(check, value, spec_field(key, spec));
}

static json_t *print_boolean(const struct spec_key *key, const struct spec *spec)
{
    return json_boolean(*(bool *)spec_field(key, spec));
}

static void parse_number(struct check *check, const struct spec_key *key, const json_t *value,
                         struct spec *spec)
{
    json_int_t number;

    if (check_integer(check, value, key->min, key->max, &number))
        *(unsigned *)spec_field(key, spec) = (unsigned)number;
}

static json_t *print_number(const struct spec_key *key, const struct spec *spec)
{
    return json_integer(*(unsigned *)spec_field(key, spec));
}

static void parse_subnet(struct check *check, const struct spec_key *key, const json_t *value,
                         struct spec *spec)
{
    const char *text = json_string_value(value), *special;
    char found[FAULTS_VALUE_SIZE], cure[SUBNET4_TEXT_SIZE];
    struct subnet4 subnet;

    faults_value(value, found);
    if (!text || subnet4_split(text, &subnet) < 0) {
        error_hint(check_fault(check, "%s is not an IPv4 subnet", found),
                   "write ADDRESS/PREFIX, such as 192.168.107.0/24");
    } else if (subnet.prefix < 8 || subnet.prefix > 29) {
        error_hint(check_fault(check, "%s is too %s", found, subnet.prefix < 8 ? "large" : "small"),
                   "use a prefix of 8 to 29");
    } else if ((special = subnet4_special(&subnet))) {
        error_hint(check_fault(check, "%s is not for guests: %s", found, special),
                   "use private addresses, such as 192.168.107.0/24 or 10.107.0.0/16");
    } else if (subnet4_trim(&subnet)) {
        error_hint(check_fault(check, "%s has host bits set", found), "write %s",
                   subnet4_text(&subnet, cure));
    } else {
        *(struct subnet4 *)spec_field(key, spec) = subnet;
    }
}

static json_t *print_subnet(const struct spec_key *key, const struct spec *spec)
{
    const struct subnet4 *subnet = spec_field(key, spec);
    char text[SUBNET4_TEXT_SIZE];

    return subnet->prefix ? json_string(subnet4_text(subnet, text)) : NULL;
}

static void parse_subnet6(struct check *check, const struct spec_key *key, const json_t *value,
                          struct spec *spec)
{
    const char *text = json_string_value(value), *special;
    char found[FAULTS_VALUE_SIZE], cure[SUBNET6_TEXT_SIZE];
    struct subnet6 subnet;

    faults_value(value, found);
    if (!text || subnet6_split(text, &subnet) < 0) {
        error_hint(check_fault(check, "%s is not an IPv6 subnet", found),
                   "write ADDRESS/64, such as fd00:107::/64");
    } else if (subnet.prefix != 64) {
        error_hint(check_fault(check, "%s has a prefix of %u", found, subnet.prefix),
                   "only /64 works: guests choose their own addresses in it");
    } else if ((special = subnet6_special(&subnet))) {
        error_hint(check_fault(check, "%s is not for guests: %s", found, special),
                   "use unique local addresses, such as fd00:107::/64");
    } else if (subnet6_trim(&subnet)) {
        error_hint(check_fault(check, "%s has host bits set", found), "write %s",
                   subnet6_text(&subnet, cure));
    } else {
        *(struct subnet6 *)spec_field(key, spec) = subnet;
    }
}

static json_t *print_subnet6(const struct spec_key *key, const struct spec *spec)
{
    const struct subnet6 *subnet = spec_field(key, spec);
    char text[SUBNET6_TEXT_SIZE];

    return subnet->prefix ? json_string(subnet6_text(subnet, text)) : NULL;
}

static const struct spec_type spec_mode_type = {parse_mode, print_mode};
static const struct spec_type spec_boolean = {parse_boolean, print_boolean};
static const struct spec_type spec_number = {parse_number, print_number};
static const struct spec_type spec_subnet4 = {parse_subnet, print_subnet};
static const struct spec_type spec_subnet6 = {parse_subnet6, print_subnet6};

#define FIELD(name) offsetof(struct spec, name)

static const struct spec_key spec_keys[] = {
    {"mode", &spec_mode_type, FIELD(mode), 0, 0},
    {"dhcp", &spec_boolean, FIELD(dhcp), 0, 0},
    {"dnsProxy", &spec_boolean, FIELD(dns_proxy), 0, 0},
    {"mtu", &spec_number, FIELD(mtu), SPEC_MTU_MIN, SPEC_MTU_MAX},
    {"nat44", &spec_boolean, FIELD(nat44), 0, 0},
    {"nat66", &spec_boolean, FIELD(nat66), 0, 0},
    {"routerAdvertisement", &spec_boolean, FIELD(router_advertisement), 0, 0},
    {"subnet", &spec_subnet4, FIELD(subnet), 0, 0},
    {"subnet6", &spec_subnet6, FIELD(subnet6), 0, 0},
    {"reservations", &spec_reservations, FIELD(reservations), 0, 0},
    {"dhcpOptions", &spec_dhcp_options, FIELD(dhcp_options), 0, 0},
    {"hostLoopback", &spec_boolean, FIELD(host_loopback), 0, 0},
    {"forwards", &spec_forwards, FIELD(forwards), 0, 0},
    {"egress", &spec_egress_type, FIELD(egress), 0, 0},
    {"isolated", &spec_boolean, FIELD(isolated), 0, 0},
    {"linger", &spec_number, FIELD(linger), 0, 86400},
};

static const struct spec spec_default = {
    .mode = SPEC_SHARED,
    .dhcp = true,
    .dns_proxy = true,
    .nat44 = true,
    .nat66 = true,
    .router_advertisement = true,
    .mtu = 1500,
    .linger = 60,
};

static void spec_parse_key(struct check *check, const struct spec_key *key, const json_t *value,
                           struct spec *spec)
{
    size_t mark = pointer_push(&check->path, key->name);

    key->type->parse(check, key, value, spec);
    pointer_pop(&check->path, mark);
}

static void spec_parse(struct check *check, const json_t *configuration, struct spec *spec)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)configuration, name, value) {
        const struct spec_key *key = CHECK_KEY(check, name, spec_keys);

        if (key && !json_is_null(value))
            spec_parse_key(check, key, value, spec);
    }
    /* A subnet that was given and refused has been complained about already. */
    if (spec->subnet.prefix || !check_given(configuration, "subnet"))
        reservation_check_subnet(check, spec);
    forwards_check_subnet(check, spec);
}

static void spec_parse_name(struct check *check, const char *name, struct spec *spec)
{
    struct error error;

    if (spec_check_name(name, &error) < 0) {
        error_hint(check_fault_key(check, "%s", error.reason), "%s", error.hint);
        return;
    }
    strcpy(spec->name, name);
    check->subject = spec->name;
}

int spec_from_json(const char *name, const json_t *configuration, const struct spec_places *places,
                   struct spec *ret, struct faults *faults)
{
    OWN(check) struct check check = {.places = places, .faults = faults};
    OWN(spec) struct spec spec = spec_default;
    size_t before = faults->total;

    spec_parse_name(&check, name, &spec);
    if (configuration && !json_is_null(configuration) && check_mapping(&check, configuration))
        spec_parse(&check, configuration, &spec);
    if (faults->total != before)
        return -EINVAL;
    *ret = spec;
    spec = (struct spec){0};
    return 0;
}

json_t *spec_to_json(const struct spec *spec)
{
    json_t *json = json_object();

    for (size_t i = 0; i < ARRAY_SIZE(spec_keys); i++) {
        const struct spec_key *key = &spec_keys[i];
        json_t *value = key->type->print(key, spec);

        if (value)
            json_object_set_new(json, key->name, value);
    }
    return json;
}

static void places_none(const struct spec_places *places, const char *path, char *text, size_t size)
{
    (void)places;
    (void)path;
    snprintf(text, size, "%s", "");
}

/* wanted is parsed key by key, so that what was not given stays as by default and out of the way.
 */
static bool spec_key_differs(const struct spec_key *key, const struct spec *running,
                             const json_t *value)
{
    static const struct spec_places places = {.where = places_none};
    OWN(faults) struct faults faults = {0};
    OWN(check) struct check check = {.places = &places, .faults = &faults};
    OWN(spec) struct spec wanted = spec_default;
    OWN(json) json_t *is = key->type->print(key, running);
    OWN(json) json_t *should = NULL;

    spec_parse_key(&check, key, value, &wanted);
    should = key->type->print(key, &wanted);
    return !json_equal(is, should);
}

json_t *spec_differs(const struct spec *running, const json_t *wanted)
{
    json_t *differs = json_array();

    for (size_t i = 0; i < ARRAY_SIZE(spec_keys); i++) {
        const json_t *value = check_given(wanted, spec_keys[i].name);

        if (value && spec_key_differs(&spec_keys[i], running, value))
            json_array_append_new(differs, json_string(spec_keys[i].name));
    }
    return differs;
}

void spec_done(struct spec *spec)
{
    for (size_t i = 0; i < spec->reservation_count; i++)
        free(spec->reservations[i].name);
    for (size_t i = 0; i < spec->dhcp_option_count; i++)
        free(spec->dhcp_options[i].value);
    free(spec->reservations);
    free(spec->dhcp_options);
    free(spec->forwards);
    free(spec->egress.allowed.entries);
    free(spec->egress.denied.entries);
    *spec = (struct spec){0};
}

static bool name_is(const char *name, size_t max, const char *inside, const char *outside)
{
    size_t length = strlen(name);

    return length >= 1 && length <= max && strspn(name, inside) == length &&
           strchr(outside, name[0]) && strchr(outside, name[length - 1]);
}

#define LOWER "abcdefghijklmnopqrstuvwxyz0123456789"
#define ALNUM LOWER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

int spec_check_name(const char *name, struct error *error)
{
    char found[FAULTS_VALUE_SIZE];

    if (name_is(name, SPEC_NAME_MAX, LOWER "-_", LOWER))
        return 0;
    error_set(error, -EINVAL, ERROR_INVALID, "%s can't be the name of a network",
              faults_quote(name, found));
    error_hint(error, "use 1 to %d of a-z, 0-9, - and _, a letter or digit first and last",
               SPEC_NAME_MAX);
    return -EINVAL;
}

int spec_check_guest_name(const char *name, struct error *error)
{
    char found[FAULTS_VALUE_SIZE];

    if (name_is(name, 63, ALNUM "-", ALNUM))
        return 0;
    error_set(error, -EINVAL, ERROR_INVALID, "%s can't be the name of a guest",
              faults_quote(name, found));
    error_hint(error, "use 1 to 63 of a-z, A-Z, 0-9 and -, a letter or digit first and last");
    return -EINVAL;
}
