/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `egress`: {default, allow, deny}. Entries: CIDR[:PORT[-PORT]][/tcp|/udp], `*` for every address;
 * IPv6 with ports in brackets. How the lists work together: struct spec_egress.
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/own.h"
#include "config/spec-key.h"
#include "config/subnet.h"

#define ENTRY_TEXT_SIZE 80
#define ENTRY_HINT \
    "write CIDR[:PORT[-PORT]][/tcp|/udp], such as 10.0.0.0/8:443 or [2001:db8::/32]:53/udp"

/* Cuts the protocol off the end of text. false after a fault. */
static bool cut_protocol(struct check *check, char *text, struct spec_egress_entry *entry)
{
    char *slash = strrchr(text, '/'), found[FAULTS_VALUE_SIZE];

    /* What begins with a digit is a prefix. */
    if (!slash || (slash[1] >= '0' && slash[1] <= '9'))
        return true;
    entry->protocol = ports_protocol(slash + 1);
    *slash = '\0';
    if (entry->protocol > 0)
        return true;
    error_hint(check_fault(check, "%s is not a protocol", faults_quote(slash + 1, found)),
               "use /tcp or /udp, or neither for both");
    return false;
}

/* Where the address ends and ":PORTS" begins; brackets are dropped. */
static char *cut_address(char **text)
{
    char *colon = strchr(*text, ':'), *bracket;

    if (**text == '[') {
        bracket = strchr(*text, ']');
        if (!bracket || (bracket[1] && bracket[1] != ':'))
            return NULL;
        *bracket = '\0';
        (*text)++;
        return bracket + 1;
    }
    /* More than one colon: an IPv6 address without brackets, and so without ports. */
    return !colon || strchr(colon + 1, ':') ? *text + strlen(*text) : colon;
}

static bool cut_ports(struct check *check, char *colon, struct spec_egress_entry *entry)
{
    char found[FAULTS_VALUE_SIZE];

    if (!*colon)
        return true;
    *colon = '\0';
    if (ports_parse(colon + 1, &entry->ports) == 0)
        return true;
    error_hint(check_fault(check, "%s is not a port", faults_quote(colon + 1, found)),
               "use 1 to 65535, or a range such as 8000-8010");
    return false;
}

/* "ADDRESS/PREFIX", or "ADDRESS" alone. Negative errno. */
static int split_subnet(const char *text, struct spec_egress_entry *entry)
{
    OWN(mem) char *whole = NULL;

    if (strcmp(text, "*") == 0) {
        entry->family = AF_UNSPEC;
        return 0;
    }
    entry->family = strchr(text, ':') ? AF_INET6 : AF_INET;
    whole = alloc_printf("%s%s", text,
                         strchr(text, '/')          ? ""
                         : entry->family == AF_INET ? "/32"
                                                    : "/128");
    return entry->family == AF_INET ? subnet4_split(whole, &entry->subnet.v4)
                                    : subnet6_split(whole, &entry->subnet.v6);
}

/* Adds a fault for host bits. */
static void check_trimmed(struct check *check, const char *text, struct spec_egress_entry *entry)
{
    char found[FAULTS_VALUE_SIZE], cure[SUBNET6_TEXT_SIZE];
    bool bits = false;

    if (entry->family == AF_INET && (bits = subnet4_trim(&entry->subnet.v4)))
        subnet4_text(&entry->subnet.v4, cure);
    if (entry->family == AF_INET6 && (bits = subnet6_trim(&entry->subnet.v6)))
        subnet6_text(&entry->subnet.v6, cure);
    if (bits)
        error_hint(check_fault(check, "%s has host bits set", faults_quote(text, found)),
                   "write %s", cure);
}

static void entry_parse(struct check *check, const json_t *value, void *ret)
{
    struct spec_egress_entry entry = {0};
    char found[FAULTS_VALUE_SIZE], *address, *colon;
    OWN(mem) char *text = NULL;

    if (!check_string(check, value))
        return;
    address = text = alloc_text(json_string_value(value));
    if (!cut_protocol(check, text, &entry))
        return;
    colon = cut_address(&address);
    if (colon && !cut_ports(check, colon, &entry))
        return;
    if (!colon || split_subnet(address, &entry) < 0) {
        error_hint(check_fault(check, "%s is not a destination", faults_value(value, found)), "%s",
                   ENTRY_HINT);
        return;
    }
    check_trimmed(check, address, &entry);
    *(struct spec_egress_entry *)ret = entry;
}

static void list_parse(struct check *check, const json_t *value, struct spec_egress_list *list)
{
    list->entries = check_entries(check, value, SPEC_EGRESS_MAX, sizeof(*list->entries),
                                  entry_parse, &list->count);
}

static void parse_default(struct check *check, const json_t *value, void *ret)
{
    struct spec_egress *egress = ret;
    const char *text = json_string_value(value);
    char found[FAULTS_VALUE_SIZE];

    egress->deny = text && strcmp(text, "deny") == 0;
    if (!egress->deny && (!text || strcmp(text, "allow") != 0))
        error_hint(check_fault(check, "%s is not a default", faults_value(value, found)),
                   "use allow or deny");
}

static void parse_allow(struct check *check, const json_t *value, void *ret)
{
    struct spec_egress *egress = ret;

    list_parse(check, value, &egress->allowed);
}

static void parse_deny(struct check *check, const json_t *value, void *ret)
{
    struct spec_egress *egress = ret;

    list_parse(check, value, &egress->denied);
}

static const struct check_member egress_members[] = {
    {"default", parse_default},
    {"allow", parse_allow},
    {"deny", parse_deny},
};

/* Exceptions from an empty list would do nothing: most of all, `allow` without `default: deny`
 * would look like a restriction and be none. */
static void check_effect(struct check *check, const struct spec_egress *egress)
{
    const struct spec_egress_list *rule = egress->deny ? &egress->allowed : &egress->denied;
    const struct spec_egress_list *exceptions = egress->deny ? &egress->denied : &egress->allowed;
    const char *name = egress->deny ? "deny" : "allow", *other = egress->deny ? "allow" : "deny";
    size_t mark;

    if (exceptions->count == 0 || rule->count > 0)
        return;
    mark = pointer_push(&check->path, name);
    error_hint(check_fault(check, "has no effect: everything is %s anyway",
                           egress->deny ? "denied" : "allowed"),
               "add default: %s, or what to %s", other, other);
    pointer_pop(&check->path, mark);
}

static void egress_parse(struct check *check, const struct spec_key *key, const json_t *value,
                         struct spec *spec)
{
    struct spec_egress *egress = spec_field(key, spec);
    size_t before = check->faults->total;

    if (CHECK_MEMBERS(check, value, egress_members, egress) && check->faults->total == before)
        check_effect(check, egress);
}

/* "10.0.0.0/8:443/tcp", canonical. Returns text. */
static char *entry_text(const struct spec_egress_entry *entry, char text[ENTRY_TEXT_SIZE])
{
    char subnet[SUBNET6_TEXT_SIZE] = "*", ports[PORTS_TEXT_SIZE] = "";
    bool brackets = entry->family == AF_INET6 && entry->ports.first;

    if (entry->family == AF_INET)
        subnet4_text(&entry->subnet.v4, subnet);
    if (entry->family == AF_INET6)
        subnet6_text(&entry->subnet.v6, subnet);
    if (entry->ports.first)
        ports_text(entry->ports, ports);
    snprintf(text, ENTRY_TEXT_SIZE, "%s%s%s%s%s%s%s", brackets ? "[" : "", subnet,
             brackets ? "]" : "", *ports ? ":" : "", ports, entry->protocol ? "/" : "",
             entry->protocol ? ports_protocol_text(entry->protocol) : "");
    return text;
}

static json_t *list_print(const struct spec_egress_list *list)
{
    json_t *json = json_array();
    char text[ENTRY_TEXT_SIZE];

    for (size_t i = 0; i < list->count; i++)
        json_array_append_new(json, json_string(entry_text(&list->entries[i], text)));
    return json;
}

static json_t *egress_print(const struct spec_key *key, const struct spec *spec)
{
    const struct spec_egress *egress = spec_field(key, spec);

    return json_pack("{s:s,s:o,s:o}", "default", egress->deny ? "deny" : "allow", "allow",
                     list_print(&egress->allowed), "deny", list_print(&egress->denied));
}

const struct spec_type spec_egress_type = {egress_parse, egress_print};
