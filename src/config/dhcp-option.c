/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `dhcpOptions`: a list of {code, value}, sent to guests beside what vmlan sends itself. A code
 * that vmlan fills in, or that the protocol uses, is refused with the key to use instead.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/own.h"
#include "config/spec-key.h"

#define DHCP_VALUE_MAX 255 /* bytes an option can hold: RFC 2132, 2 */

/* Codes: https://www.iana.org/assignments/bootp-dhcp-parameters */
static const struct {
    unsigned first, last;
    const char *what, *cure;
} dhcp_taken[] = {
    {1, 1, "the subnet mask", "set subnet"},
    {3, 3, "the router", "mode: host offers none"},
    {6, 6, "the DNS servers", "set dnsProxy"},
    {12, 12, "the guest's name", "set name in reservations"},
    {15, 15, "the domain", "it follows from the network's name"},
    {26, 26, "the MTU", "set mtu"},
    {28, 28, "the broadcast address", "set subnet"},
    {50, 61, "part of the DHCP protocol", "leave it out"},
    {81, 82, "part of the DHCP protocol", "leave it out"},
    {90, 90, "part of the DHCP protocol", "leave it out"},
    {118, 118, "part of the DHCP protocol", "leave it out"},
    {119, 119, "the search domain", "it follows from the network's name"},
};

static void parse_code(struct check *check, const json_t *value, void *ret)
{
    struct spec_dhcp_option *option = ret;
    json_int_t code;

    if (!check_integer(check, value, 1, 254, &code))
        return;
    for (size_t i = 0; i < ARRAY_SIZE(dhcp_taken); i++) {
        if (code >= dhcp_taken[i].first && code <= dhcp_taken[i].last) {
            error_hint(check_fault(check, "%d is set by vmlan: %s", (int)code, dhcp_taken[i].what),
                       "%s", dhcp_taken[i].cure);
            return;
        }
    }
    option->code = (unsigned)code;
}

/* Why dnsmasq would not read value to the end of its line, or read more than one (read_file() in
 * dnsmasq's option.c): quotes must pair, with backslash escapes inside them, and # begins a comment
 * after a blank. NULL: it reads it. */
static const char *value_unreadable(const char *value)
{
    bool quoted = false, blank = true;

    for (const char *p = value; *p; p++) {
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            return "contains a control character";
        if (quoted && *p == '\\' && p[1])
            p++;
        else if (*p == '"')
            quoted = !quoted;
        else if (!quoted && blank && *p == '#')
            return "would end at the # as a comment";
        blank = *p == ' ';
    }
    return quoted ? "has a double quote without its partner" : NULL;
}

static void parse_value(struct check *check, const json_t *value, void *ret)
{
    struct spec_dhcp_option *option = ret;
    char found[FAULTS_VALUE_SIZE];
    const char *text, *why;
    json_int_t number;

    if (json_is_integer(value)) {
        if (check_integer(check, value, 0, UINT32_MAX, &number))
            option->value = alloc_printf("%" JSON_INTEGER_FORMAT, number);
        return;
    }
    text = check_string(check, value);
    if (!text)
        return;
    why = value_unreadable(text);
    if (why)
        error_hint(check_fault(check, "%s %s", faults_value(value, found), why),
                   "write it as dnsmasq's dhcp-option takes it, on one line");
    else if (!*text || strlen(text) > DHCP_VALUE_MAX)
        error_hint(check_fault(check, "%zu bytes are too %s", strlen(text), *text ? "many" : "few"),
                   "use 1 to %d bytes", DHCP_VALUE_MAX);
    else
        option->value = alloc_text(text);
}

static const struct check_member option_members[] = {
    {"code", parse_code},
    {"value", parse_value},
};

static void option_parse(struct check *check, const json_t *entry, void *ret)
{
    if (!CHECK_MEMBERS(check, entry, option_members, ret))
        return;
    check_needs(check, entry, "code");
    check_needs(check, entry, "value");
}

static void option_check_twice(struct check *check, const struct spec *spec, size_t index)
{
    char place[CHECK_PLACE_SIZE];
    size_t i = 0;

    while (i < index && spec->dhcp_options[i].code != spec->dhcp_options[index].code)
        i++;
    if (i < index && spec->dhcp_options[i].code) {
        OWN(mem) char *other = alloc_printf("%s/%zu/code", buf_text(&check->path), i);
        size_t mark = pointer_push_index(&check->path, index);

        pointer_push(&check->path, "code");
        error_hint(check_fault(check, "%u is set already at %s", spec->dhcp_options[i].code,
                               check_place(check, other, place)),
                   "give each code once; several addresses go into one value, with commas");
        pointer_pop(&check->path, mark);
    }
}

static void options_parse(struct check *check, const struct spec_key *key, const json_t *value,
                          struct spec *spec)
{
    (void)key;
    spec->dhcp_options =
        check_entries(check, value, SPEC_DHCP_OPTIONS_MAX, sizeof(*spec->dhcp_options),
                      option_parse, &spec->dhcp_option_count);
    for (size_t i = 1; i < spec->dhcp_option_count; i++)
        option_check_twice(check, spec, i);
}

static json_t *options_print(const struct spec_key *key, const struct spec *spec)
{
    json_t *list = json_array();

    (void)key;
    for (size_t i = 0; i < spec->dhcp_option_count; i++) {
        const struct spec_dhcp_option *option = &spec->dhcp_options[i];

        json_array_append_new(
            list, json_pack("{s:i,s:s}", "code", (int)option->code, "value", option->value));
    }
    return list;
}

const struct spec_type spec_dhcp_options = {options_parse, options_print};
