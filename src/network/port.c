/* SPDX-License-Identifier: Apache-2.0 */
/* See port.h. */
#include "network/port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/json.h"
#include "base/log.h"
#include "config/spec.h"

static const char *const backend_names[] = {
    [PORT_TAP] = "tap",
    [PORT_NAMESPACE] = "namespace",
    [PORT_HOST_LINK] = "host_link",
    [PORT_NAMED_TAP] = "named_tap",
    [PORT_STREAM] = "stream",
    [PORT_DATAGRAM] = "datagram",
    [PORT_DATAGRAM_NEXT] = "datagram_next",
};

/* A sender's buffer holds about two batches of an adapter; more did not make it faster. */
enum { SOCKET_BUFFER = 1024 * 1024 };

/* What waits in a tap that takes super-frames: the default of 1000 would be 60 MB, and milliseconds
 * of delay. */
enum { CABLE_QUEUE = 100 };

struct port *port_new(void)
{
    struct port *port = alloc_new(struct port);

    port->tap = port->peer = port->users = -1;
    list_init(&port->link);
    return port;
}

void port_free(struct port *port)
{
    if (!port)
        return;
    port_close(port);
    source_remove(&port->using);
    fd_close(&port->users);
    free(port->address);
    free(port);
}

bool port_has_cable(const struct port *port)
{
    return port->backend >= PORT_STREAM;
}

bool port_mac_known(const struct port *port)
{
    static const uint8_t none[6];

    return memcmp(port->mac, none, sizeof(none)) != 0;
}

static bool backend_parse(const char *text, enum port_backend *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(backend_names); i++)
        if (strcmp(text, backend_names[i]) == 0) {
            *ret = (enum port_backend)i;
            return true;
        }
    return false;
}

const char *port_backend_name(enum port_backend backend)
{
    return backend_names[backend];
}

/* --- requests --- */

__attribute__((format(printf, 3, 4))) static int refuse(struct error *error, const char *field,
                                                        const char *format, ...)
{
    char reason[sizeof(error->reason)];
    va_list args;

    va_start(args, format);
    vsnprintf(reason, sizeof(reason), format, args);
    va_end(args);
    error_set(error, -EINVAL, ERROR_INVALID, "%s", reason);
    error_where(error, "Attach.%s", field);
    return -EINVAL;
}

static int parse_backend(const json_t *value, struct port *port, struct error *error)
{
    if (backend_parse(json_string_value(value), &port->backend))
        return 0;
    refuse(error, "backend", "there is no backend \"%s\"", json_string_value(value));
    error_hint(error, "use tap, namespace, stream, datagram or datagram_next");
    return -EINVAL;
}

static int parse_queues(const json_t *value, struct port *port, struct error *error)
{
    json_int_t queues = json_integer_value(value);

    if (queues < 1 || queues > TAP_QUEUES_MAX) {
        refuse(error, "queues", "%lld queues can't be had", (long long)queues);
        error_hint(error, "use 1 to %d", TAP_QUEUES_MAX);
        return -EINVAL;
    }
    if (queues > 1 && port->backend != PORT_TAP) {
        refuse(error, "queues", "only a tap has queues");
        error_hint(error, "leave queues out, or ask for the backend tap");
        return -EINVAL;
    }
    port->queues = (unsigned)queues;
    return 0;
}

static int parse_mac(const json_t *value, struct port *port, struct error *error)
{
    const char *text = json_string_value(value);
    int r = mac_parse(text, port->mac);

    if (r == -EADDRNOTAVAIL) {
        refuse(error, "mac", "%s is no single guest's", text);
        error_hint(error, "the first byte must be even, and not all may be zero");
    } else if (r < 0) {
        refuse(error, "mac", "\"%s\" is not a MAC address", text);
        error_hint(error, "write six bytes such as 52:54:00:12:34:56");
    }
    return r < 0 ? -EINVAL : 0;
}

/* Behind parse_mac in the table. */
static int parse_learn_mac(const json_t *value, struct port *port, struct error *error)
{
    port->learns = json_is_true(value);
    if (!port->learns || (port_has_cable(port) && !port_mac_known(port)))
        return 0;
    refuse(error, "learnMac", "%s",
           port_has_cable(port) ? "the MAC address is given already"
                                : "only of a socket it can be learnt");
    error_hint(error, "leave learnMac out");
    return -EINVAL;
}

static int parse_name(const json_t *value, struct port *port, struct error *error)
{
    if (spec_check_guest_name(json_string_value(value), error) < 0) {
        error_where(error, "Attach.name");
        return -EINVAL;
    }
    snprintf(port->name, sizeof(port->name), "%s", json_string_value(value));
    return 0;
}

static int parse_ip(const json_t *value, struct port *port, struct error *error)
{
    if (inet_pton(AF_INET, json_string_value(value), &port->ip) == 1)
        return 0;
    refuse(error, "ip", "\"%s\" is not an IPv4 address", json_string_value(value));
    error_hint(error, "write four numbers such as 192.168.107.10");
    return -EINVAL;
}

static int parse_offload(const json_t *value, const char *field, const struct port *port, bool *ret,
                         struct error *error)
{
    *ret = json_is_true(value);
    if (!*ret || port_has_cable(port))
        return 0;
    refuse(error, field, "only a socket has this switch");
    error_hint(error, "leave it out: on a %s the guest's kernel and ours agree by themselves",
               port_backend_name(port->backend));
    return -EINVAL;
}

static int parse_tso(const json_t *value, struct port *port, struct error *error)
{
    return parse_offload(value, "tso", port, &port->tso, error);
}

static int parse_checksum_offload(const json_t *value, struct port *port, struct error *error)
{
    return parse_offload(value, "checksumOffload", port, &port->checksum_offload, error);
}

int port_parse(const json_t *parameters, struct port *ret, struct error *error)
{
    static const struct {
        const char *key;
        int (*parse)(const json_t *value, struct port *port, struct error *error);
    } keys[] = {
        {"backend", parse_backend}, {"queues", parse_queues},
        {"mac", parse_mac},         {"learnMac", parse_learn_mac},
        {"name", parse_name},       {"ip", parse_ip},
        {"tso", parse_tso},         {"checksumOffload", parse_checksum_offload},
    };
    struct port port = {.backend = PORT_TAP, .queues = 1, .tap = -1, .peer = -1, .users = -1};

    list_init(&port.link);
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        const json_t *value = json_object_get(parameters, keys[i].key);

        if (value && !json_is_null(value) && keys[i].parse(value, &port, error) < 0)
            return -EINVAL;
    }
    *ret = port;
    list_init(&ret->link);
    return 0;
}

/* --- what a port is made of --- */

void port_fds_done(struct port_fds *fds)
{
    for (unsigned i = 0; i < fds->count; i++)
        fd_close(&fds->fds[i]);
    for (unsigned i = 0; i < fds->vhost_count; i++)
        fd_close(&fds->vhost[i]);
    fds->count = fds->vhost_count = 0;
}

json_t *port_to_json(const struct port *port)
{
    char mac[MAC_TEXT_SIZE], ip[INET_ADDRSTRLEN];
    json_t *json =
        json_pack("{ss ss ss sI}", "port", port->id, "backend", backend_names[port->backend], "mac",
                  mac_text(port->mac, mac), "pid", (json_int_t)port->pid);

    if (port->name[0])
        json_object_set_new(json, "name", json_string(port->name));
    if (port->ip.s_addr)
        json_object_set_new(json, "ip", json_string(inet_ntop(AF_INET, &port->ip, ip, sizeof(ip))));
    if (port->tso)
        json_object_set_new(json, "tso", json_true());
    if (port->checksum_offload)
        json_object_set_new(json, "checksumOffload", json_true());
    if (port->learns)
        json_object_set_new(json, "learnMac", json_true());
    return json;
}

struct port *port_from_link(const struct rtnl_link_info *link)
{
    OWN(json) json_t *json = json_loads(link->alias, 0, NULL);
    const char *backend, *mac, *name = "", *ip = NULL;
    struct port *port;
    int pid, tso = 0, checksum = 0, learns = 0;

    if (!json || json_unpack(json, "{ss ss si s?s s?s s?b s?b s?b}", "backend", &backend, "mac",
                             &mac, "pid", &pid, "name", &name, "ip", &ip, "tso", &tso,
                             "checksumOffload", &checksum, "learnMac", &learns) < 0)
        return NULL;
    port = port_new();
    port->tso = tso;
    port->checksum_offload = checksum;
    port->learns = learns;
    /* Zeros are no guest's, and stay what they are. */
    if (!backend_parse(backend, &port->backend) || mac_parse(mac, port->mac) == -EINVAL ||
        (ip && inet_pton(AF_INET, ip, &port->ip) != 1)) {
        port_free(port);
        return NULL;
    }
    snprintf(port->id, sizeof(port->id), "%s", link->name);
    snprintf(port->name, sizeof(port->name), "%s", name);
    port->pid = pid;
    port->ifindex = link->ifindex;
    return port;
}

/* A link's other end in a namespace of the guest's own, which is a child of the network's user
 * namespace: the guest is root in it and nothing at all in the network's. */
static int namespace_open(struct port *port, const struct port_segment *segment,
                          struct port_fds *fds, struct error *error)
{
    struct rtnl_link here = {.name = port->id, .mtu = segment->mtu};
    struct rtnl_link there = {.name = "eth0", .mac = port->mac, .mtu = segment->mtu};
    OWN(ns) struct ns ns = NS_NULL;
    int r = ns_make(&ns, error);

    if (r >= 0)
        r = rtnl_add_veth(segment->rtnl, &here, &there, ns.net, error);
    if (r < 0)
        return r;
    fds->fds[0] = take_fd(&ns.user);
    fds->fds[1] = take_fd(&ns.net);
    fds->count = 2;
    return 0;
}

static int tap_port_open(struct port *port, const struct port_segment *segment,
                         struct port_fds *fds, struct error *error)
{
    int r = tap_open(port->id, port->queues, fds->fds, error);

    (void)segment;
    if (r < 0)
        return r;
    fds->count = port->queues;
    fds->vhost_count = tap_open_vhost(port->queues, fds->vhost);
    return 0;
}

/* Whoever asked for it made it, as only the host may. */
static int host_link_open(struct port *port, const struct port_segment *segment,
                          struct port_fds *fds, struct error *error)
{
    struct rtnl_link renamed = {.name = port->id};
    int ifindex = (int)if_nametoindex(PORT_HOST_LINK_NAME);

    (void)fds;
    if (ifindex)
        return rtnl_set_link(segment->rtnl, ifindex, &renamed, error);
    error_set(error, -ENODEV, ERROR_INVALID,
              "there is no link " PORT_HOST_LINK_NAME " in the network's namespace");
    error_hint(error, "vmlan up NET --host-link, as root, makes it and asks for this port");
    return -ENODEV;
}

/* Nobody has it open until the hypervisor does, in here. The guest's side gets a descriptor that
 * says whether anybody still may. */
static int named_tap_open(struct port *port, const struct port_segment *segment,
                          struct port_fds *fds, struct error *error)
{
    OWN(fd) int tap = -1;
    int ends[2], r = tap_open(port->id, 1, &tap, error);

    (void)segment;
    if (r < 0)
        return r;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_system(error, -errno, "cannot make a pipe");
    port->users = ends[0];
    fds->fds[0] = ends[1];
    fds->count = 1;
    r = tap_persist(tap);
    return r < 0 ? error_system(error, r, "cannot keep device %s", port->id) : 0;
}

static int buffer_set(int fd)
{
    int size = SOCKET_BUFFER;

    return setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) < 0 ? -errno : 0;
}

/* The tap stays here, and so does one end of the socket; the guest gets the other. A port of a
 * listening path has its peer already. */
static int cable_open(struct port *port, const struct port_segment *segment, struct port_fds *fds,
                      struct error *error)
{
    int type = port->backend == PORT_STREAM ? SOCK_STREAM : SOCK_DGRAM, pair[2], r;

    (void)segment;
    r = tap_open(port->id, 1, &port->tap, error);
    if (r < 0 || port->peer >= 0 || port->address)
        return r;
    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) < 0)
        return error_system(error, -errno, "cannot make a socket for the guest");
    port->peer = pair[0];
    fds->fds[0] = pair[1];
    fds->count = 1;
    r = buffer_set(pair[0]);
    if (r >= 0)
        r = buffer_set(pair[1]);
    return r < 0 ? error_system(error, r, "cannot set the buffers of the guest's socket") : 0;
}

typedef int port_open_fn(struct port *port, const struct port_segment *segment,
                         struct port_fds *fds, struct error *error);

static port_open_fn *const open_calls[] = {
    [PORT_TAP] = tap_port_open,        [PORT_NAMESPACE] = namespace_open,
    [PORT_HOST_LINK] = host_link_open, [PORT_NAMED_TAP] = named_tap_open,
    [PORT_STREAM] = cable_open,        [PORT_DATAGRAM] = cable_open,
    [PORT_DATAGRAM_NEXT] = cable_open,
};

/* A bridge has room for BR_MAX_PORTS: net/bridge/br_private.h. */
static int explain_full(int code, struct error *error)
{
    if (code != -EXFULL)
        return code;
    error_set(error, code, ERROR_LIMIT, "the network is full: a bridge has at most 1024 ports");
    error_hint(error, "close ports that are not needed, or use a second network");
    return code;
}

/* The ifalias of a port's link, a new text. */
static char *port_alias(const struct port *port)
{
    OWN(json) json_t *json = port_to_json(port);

    json_object_del(json, "port"); /* the link's name says it */
    return json_dumps(json, JSON_COMPACT);
}

int port_describe(const struct port *port, struct rtnl *rtnl, struct error *error)
{
    OWN(mem) char *alias = port_alias(port);
    struct rtnl_link link = {.alias = alias};

    return rtnl_set_link(rtnl, port->ifindex, &link, error);
}

/* Most links go with their last descriptor. */
static bool port_goes_by_itself(const struct port *port)
{
    return port->backend != PORT_NAMESPACE && port->backend != PORT_HOST_LINK &&
           port->backend != PORT_NAMED_TAP;
}

int port_open(struct port *port, const struct port_segment *segment, struct port_fds *ret,
              struct error *error)
{
    OWN(port_fds) struct port_fds fds = {0};
    OWN(mem) char *alias = port_alias(port);
    struct rtnl_link link = {.master = segment->bridge, .mtu = segment->mtu, .up = 1};
    int r = open_calls[port->backend](port, segment, &fds, error);

    if (r < 0)
        return r;
    port->ifindex = (int)if_nametoindex(port->id);
    link.alias = alias;
    link.isolated = segment->isolated;
    link.queue = port_has_cable(port) ? CABLE_QUEUE : 0;
    r = rtnl_set_link(segment->rtnl, port->ifindex, &link, error);
    if (r < 0) {
        if (!port_goes_by_itself(port))
            rtnl_delete_link(segment->rtnl, port->ifindex, NULL);
        return explain_full(r, error);
    }
    rtnl_settle(segment->rtnl, port->ifindex);
    rtnl_settle(segment->rtnl, segment->bridge); /* its carrier comes with its first port */
    *ret = fds;
    fds = (struct port_fds){0};
    return 0;
}

void port_close(struct port *port)
{
    fd_close(&port->tap);
    fd_close(&port->peer);
}

void port_cut(const struct port *port, const struct port_segment *segment)
{
    struct rtnl_link down = {.master = -1, .up = -1, .alias = ""};
    struct error error;
    char text[ERROR_TEXT_SIZE];
    int r = port->backend == PORT_HOST_LINK
                ? rtnl_delete_link(segment->rtnl, port->ifindex, &error)
                : rtnl_set_link(segment->rtnl, port->ifindex, &down, &error);

    if (r < 0)
        log_warn(port->id, "%s", error_text(&error, text, sizeof(text)));
}
