/* SPDX-License-Identifier: Apache-2.0 */
/* See forward.h. */
#include "config/forward.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "config/faults.h"
#include "config/spec.h"

const struct forward forward_default = {
    .family = AF_INET,
    .address.v6.s6_addr = {127, 0, 0, 1}, /* in network byte order: of address.v4 */
    .protocol = IPPROTO_TCP,
};

static int forward_fault(struct error *error, const char *value, const char *wrong,
                         const char *hint)
{
    char found[FAULTS_VALUE_SIZE];

    error_set(error, -EINVAL, ERROR_INVALID, "%s %s", faults_quote(value, found), wrong);
    error_hint(error, "%s", hint);
    return -EINVAL;
}

static int forward_parse_ports(const char *text, struct ports *ret, struct error *error)
{
    if (ports_parse(text, ret) < 0)
        return forward_fault(error, text, "is not a port",
                             "use 1 to 65535, or a range such as 8000-8010");
    if (ports_count(*ret) > FORWARD_RANGE_MAX)
        return forward_fault(error, text, "are too many ports",
                             "a forward can have up to 1024 of them");
    return 0;
}

/* Splits at the last colon: what stands before it, without brackets, goes to ret_front; returns
 * what follows it. NULL: there is no colon, brackets don't pair, or the front is too long. */
static const char *forward_split(const char *text, bool *ret_brackets,
                                 char ret_front[FORWARD_TEXT_SIZE])
{
    const char *colon = strrchr(text, ':');
    size_t length = colon ? (size_t)(colon - text) : 0;
    bool brackets = text[0] == '[';

    if (brackets && length > 0) {
        if (text[length - 1] != ']')
            return NULL;
        text++;
        length -= 2;
    }
    if (length == 0 || length >= FORWARD_TEXT_SIZE)
        return NULL;
    memcpy(ret_front, text, length);
    ret_front[length] = '\0';
    *ret_brackets = brackets;
    return colon + 1;
}

/* What the host can't listen on although it is an address; NULL: it can. */
static const char *forward_unusable(int family, const void *address)
{
    const uint8_t *bytes = address;

    if (family == AF_INET)
        return bytes[0] >= 224 ? "is a multicast or reserved address" : NULL;
    if (IN6_IS_ADDR_LINKLOCAL((const struct in6_addr *)address))
        return "is a link-local address";
    if (IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)address))
        return "is an IPv4 address in IPv6 form";
    return bytes[0] == 0xff ? "is a multicast address" : NULL;
}

static int forward_parse_address(const char *text, bool brackets, struct forward *forward,
                                 struct error *error)
{
    static const char hint[] = "write an address of the host, such as 127.0.0.1, 0.0.0.0 for all, "
                               "or in brackets [::1]";
    const char *unusable;

    forward->family = brackets ? AF_INET6 : AF_INET;
    if (inet_pton(forward->family, text, &forward->address) != 1)
        return forward_fault(error, text,
                             brackets ? "is not an IPv6 address" : "is not an IPv4 address", hint);
    unusable = forward_unusable(forward->family, &forward->address);
    return unusable ? forward_fault(error, text, unusable, hint) : 0;
}

int forward_parse_listen(const char *text, struct forward *forward, struct error *error)
{
    char address[FORWARD_TEXT_SIZE];
    bool brackets;
    const char *ports = forward_split(text, &brackets, address);
    int r;

    if (!ports && strpbrk(text, ":[]"))
        return forward_fault(error, text, "is not an address and port to listen on",
                             "write PORT, ADDRESS:PORT or [IPV6-ADDRESS]:PORT");
    r = ports ? forward_parse_address(address, brackets, forward, error) : 0;
    return r < 0 ? r : forward_parse_ports(ports ? ports : text, &forward->ports, error);
}

/* A name, or an address, which is kept in canonical form. */
static int forward_parse_guest(const char *text, bool brackets, struct forward *forward,
                               struct error *error)
{
    struct in6_addr address;
    int family = brackets ? AF_INET6 : AF_INET;

    if (inet_pton(family, text, &address) == 1) {
        inet_ntop(family, &address, forward->guest, sizeof(forward->guest));
        return 0;
    }
    if (brackets || strpbrk(text, ".:/"))
        return forward_fault(error, text, "is neither a guest's name nor its address",
                             "write the name without a domain, an IPv4 address, or an IPv6 address "
                             "in brackets");
    if (spec_check_guest_name(text, error) < 0)
        return -EINVAL;
    strcpy(forward->guest, text);
    return 0;
}

int forward_parse_to(const char *text, struct forward *forward, struct error *error)
{
    char guest[FORWARD_TEXT_SIZE];
    bool brackets;
    const char *ports = forward_split(text, &brackets, guest);
    int r;

    if (!ports)
        return forward_fault(error, text, "is not a guest and port",
                             "write GUEST:PORT, such as web:80");
    r = forward_parse_guest(guest, brackets, forward, error);
    return r < 0 ? r : forward_parse_ports(ports, &forward->guest_ports, error);
}

int forward_parse_protocol(const char *text, struct forward *forward, struct error *error)
{
    int protocol = ports_protocol(text);

    if (protocol < 0)
        return forward_fault(error, text, "is not a protocol", "use tcp or udp");
    forward->protocol = protocol;
    return 0;
}

int forward_check(const struct forward *forward, struct error *error)
{
    char ports[PORTS_TEXT_SIZE], guest_ports[PORTS_TEXT_SIZE];

    if (ports_count(forward->ports) == ports_count(forward->guest_ports))
        return 0;
    error_set(error, -EINVAL, ERROR_INVALID, "%s and %s are not equally many ports",
              ports_text(forward->ports, ports), ports_text(forward->guest_ports, guest_ports));
    error_hint(error, "give both ranges the same length");
    return -EINVAL;
}

/* The colon between the two halves: the last but one outside of brackets. NULL: there is none. */
static char *forward_middle(char *text)
{
    char *last = NULL, *middle = NULL;
    bool brackets = false;

    for (; *text; text++) {
        if (*text == '[' || *text == ']')
            brackets = *text == '[';
        if (*text != ':' || brackets)
            continue;
        middle = last;
        last = text;
    }
    return middle;
}

int forward_parse(const char *text, struct forward *ret, struct error *error)
{
    static const char hint[] = "write [ADDRESS:]PORT:GUEST:PORT, such as 8080:web:80 or "
                               "127.0.0.1:5353:ns:53/udp";
    struct forward forward = forward_default;
    char listen[FORWARD_TEXT_SIZE], *to, *slash;

    if (strlen(text) >= sizeof(listen))
        return forward_fault(error, text, "is too long for a forward", hint);
    strcpy(listen, text);
    slash = strrchr(listen, '/');
    if (slash) {
        *slash = '\0';
        if (forward_parse_protocol(slash + 1, &forward, error) < 0)
            return -EINVAL;
    }
    to = forward_middle(listen);
    if (!to)
        return forward_fault(error, text, "is not a forward", hint);
    *to = '\0';
    if (forward_parse_listen(listen, &forward, error) < 0 ||
        forward_parse_to(to + 1, &forward, error) < 0 || forward_check(&forward, error) < 0)
        return -EINVAL;
    *ret = forward;
    return 0;
}

static char *forward_half_text(const char *host, struct ports ports, char text[FORWARD_TEXT_SIZE])
{
    char number[PORTS_TEXT_SIZE];
    bool brackets = strchr(host, ':');

    snprintf(text, FORWARD_TEXT_SIZE, "%s%s%s:%s", brackets ? "[" : "", host, brackets ? "]" : "",
             ports_text(ports, number));
    return text;
}

char *forward_listen_text(const struct forward *forward, char text[FORWARD_TEXT_SIZE])
{
    char address[INET6_ADDRSTRLEN];

    inet_ntop(forward->family, &forward->address, address, sizeof(address));
    return forward_half_text(address, forward->ports, text);
}

char *forward_to_text(const struct forward *forward, char text[FORWARD_TEXT_SIZE])
{
    return forward_half_text(forward->guest, forward->guest_ports, text);
}

char *forward_text(const struct forward *forward, char text[FORWARD_TEXT_SIZE])
{
    char to[FORWARD_TEXT_SIZE];
    size_t length = strlen(forward_listen_text(forward, text));

    snprintf(text + length, FORWARD_TEXT_SIZE - length, ":%.90s/%s", forward_to_text(forward, to),
             ports_protocol_text(forward->protocol));
    return text;
}

static bool forward_listens_everywhere(const struct forward *forward)
{
    return forward->family == AF_INET ? forward->address.v4.s_addr == INADDR_ANY
                                      : IN6_IS_ADDR_UNSPECIFIED(&forward->address.v6);
}

bool forward_overlaps(const struct forward *a, const struct forward *b)
{
    size_t size = a->family == AF_INET ? sizeof(a->address.v4) : sizeof(a->address.v6);

    return a->family == b->family && a->protocol == b->protocol &&
           a->ports.first <= b->ports.last && b->ports.first <= a->ports.last &&
           (forward_listens_everywhere(a) || forward_listens_everywhere(b) ||
            memcmp(&a->address, &b->address, size) == 0);
}

static bool forward_guest_outside4(const struct subnet4 *subnet, struct in_addr address)
{
    return subnet->prefix &&
           (!subnet4_contains(subnet, address) || address.s_addr == subnet->address.s_addr ||
            address.s_addr == subnet4_gateway(subnet).s_addr ||
            address.s_addr == subnet4_broadcast(subnet).s_addr);
}

static bool forward_guest_outside6(const struct subnet6 *subnet, const struct in6_addr *address)
{
    return subnet->prefix && memcmp(&subnet->address, address, subnet->prefix / 8) != 0;
}

int forward_check_guest(const struct forward *forward, const struct spec *spec, struct error *error)
{
    char subnet[SUBNET6_TEXT_SIZE];
    struct in_addr v4;
    struct in6_addr v6;

    if (inet_pton(AF_INET, forward->guest, &v4) == 1) {
        if (!forward_guest_outside4(&spec->subnet, v4))
            return 0;
        subnet4_text(&spec->subnet, subnet);
    } else if (inet_pton(AF_INET6, forward->guest, &v6) == 1) {
        if (!forward_guest_outside6(&spec->subnet6, &v6))
            return 0;
        subnet6_text(&spec->subnet6, subnet);
    } else {
        return 0;
    }
    error_set(error, -EINVAL, ERROR_INVALID, "%s can't be a guest's address in %s", forward->guest,
              subnet);
    error_hint(error, "write the guest's name, or an address that it has there");
    return -EINVAL;
}

static unsigned forward_first_unprivileged(void)
{
    OWN(file) FILE *file = fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "re");
    unsigned first;

    return file && fscanf(file, "%u", &first) == 1 ? first : IPPORT_RESERVED;
}

int forward_refused(const struct forward *forward, unsigned port, int code, struct error *error)
{
    const char *protocol = ports_protocol_text(forward->protocol);
    char address[INET6_ADDRSTRLEN];

    inet_ntop(forward->family, &forward->address, address, sizeof(address));
    switch (-code) {
    case EADDRINUSE:
        error_set(error, code, ERROR_CONFLICT, "%s port %u of %s is in use on this host", protocol,
                  port, address);
        error_hint(error, "choose another port or address; ss -%cnlp shows who listens there",
                   protocol[0]);
        return code;
    case EACCES:
        error_set(error, code, ERROR_PERMISSION, "%s port %u is privileged", protocol, port);
        error_hint(error,
                   "use a port from %u on, or have root run: sysctl "
                   "net.ipv4.ip_unprivileged_port_start=%u",
                   forward_first_unprivileged(), port);
        return code;
    case EADDRNOTAVAIL:
        error_set(error, code, ERROR_UNAVAILABLE, "%s is not an address of this host", address);
        error_hint(error, "ip addr lists what is; 0.0.0.0 and [::] stand for all");
        return code;
    default:
        return error_system(error, code, "cannot listen on %s port %u of %s", protocol, port,
                            address);
    }
}
