/* SPDX-License-Identifier: Apache-2.0 */
/* See subnets.h. */
#include "broker/subnets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/paths.h"
#include "kernel/rtnl.h"
#include "network/network.h"

/* What a subnet may not overlap, and whom it would meet. */
struct taken {
    const struct subnet4 *wanted;
    const char *self; /* the network that asks */
    bool found;
    char by[160];
};

static void route_compare(void *context, const struct rtnl_route_info *route)
{
    struct taken *taken = context;
    struct subnet4 other = {.address = route->destination.v4, .prefix = route->prefix};
    char text[SUBNET4_TEXT_SIZE];

    if (taken->found || route->prefix == 0 || !subnet4_overlaps(taken->wanted, &other))
        return; /* a default route leads everywhere and claims nothing */
    taken->found = true;
    snprintf(taken->by, sizeof(taken->by), "the host's route %s via %s", subnet4_text(&other, text),
             route->link);
}

static void networks_compare(struct taken *taken, struct list *networks)
{
    char text[SUBNET4_TEXT_SIZE];

    for (struct list *link = networks->next; link != networks && !taken->found; link = link->next) {
        const struct network *network = network_of_link(link);
        const struct spec *spec = network_spec(network);

        if (!spec || strcmp(spec->name, taken->self) == 0 ||
            !subnet4_overlaps(taken->wanted, &spec->subnet))
            continue;
        taken->found = true;
        snprintf(taken->by, sizeof(taken->by), "network %s (%s)", spec->name,
                 subnet4_text(&spec->subnet, text));
    }
}

static void kept_compare(struct taken *taken, json_t *kept)
{
    const char *name;
    struct subnet4 other;
    json_t *value;

    json_object_foreach(kept, name, value) {
        if (taken->found || strcmp(name, taken->self) == 0 || !json_is_string(value) ||
            subnet4_parse(json_string_value(value), &other) < 0 ||
            !subnet4_overlaps(taken->wanted, &other))
            continue;
        taken->found = true;
        snprintf(taken->by, sizeof(taken->by), "the subnet kept for network %s", name);
    }
}

/* kept NULL: subnets of networks that do not run do not count. */
static int subnet_taken(const struct subnet4 *wanted, const char *self, struct list *networks,
                        json_t *kept, struct rtnl *rtnl, struct taken *ret, struct error *error)
{
    *ret = (struct taken){.wanted = wanted, .self = self};
    networks_compare(ret, networks);
    if (kept)
        kept_compare(ret, kept);
    return ret->found ? 0 : rtnl_dump_routes(rtnl, AF_INET, route_compare, ret, error);
}

static int kept_path(char *path, size_t size, struct error *error)
{
    char state[PATHS_MAX];
    int r = paths_state(state, error);

    if (r >= 0)
        snprintf(path, size, "%s/subnets.json", state);
    return r;
}

/* A file that is missing or damaged costs the networks their old subnets, no more. */
static json_t *kept_load(const char *path)
{
    json_t *kept = json_load_file(path, 0, NULL);

    if (kept && json_is_object(kept))
        return kept;
    json_decref(kept);
    return json_object();
}

static int kept_store(const char *path, json_t *kept, const struct spec *spec, struct error *error)
{
    char text[SUBNET4_TEXT_SIZE];
    OWN(mem) char *file = NULL;

    json_object_set_new(kept, spec->name, json_string(subnet4_text(&spec->subnet, text)));
    file = json_dumps(kept, JSON_INDENT(2) | JSON_SORT_KEYS);
    return paths_write(path, file, error);
}

/* Candidates: 192.168.109.0/24 and up (the built-in networks have 107 and 108), then 172.20 to
 * 172.31, then 10.107: private space (RFC 1918), least used by home routers and VPNs first. */
static bool candidate(unsigned number, struct subnet4 *ret)
{
    static const struct {
        uint32_t first;
        unsigned count;
    } blocks[] = {{0xc0a86d00, 146}, {0xac140000, 3072}, {0x0a6b0000, 256}};

    for (size_t i = 0; i < ARRAY_SIZE(blocks); i++) {
        if (number < blocks[i].count) {
            *ret = (struct subnet4){{htonl(blocks[i].first + (number << 8))}, 24};
            return true;
        }
        number -= blocks[i].count;
    }
    return false;
}

static int subnet_pick(struct spec *spec, struct list *networks, json_t *kept, struct rtnl *rtnl,
                       struct error *error)
{
    struct subnet4 subnet;
    struct taken taken;

    for (unsigned number = 0; candidate(number, &subnet); number++) {
        int r = subnet_taken(&subnet, spec->name, networks, kept, rtnl, &taken, error);

        if (r < 0)
            return r;
        if (taken.found)
            continue;
        spec->subnet = subnet;
        return 0;
    }
    error_set(error, -EADDRINUSE, ERROR_CONFLICT, "no free IPv4 subnet for network %s", spec->name);
    error_hint(error, "give it one: subnet: A.B.C.0/24");
    return -EADDRINUSE;
}

static int subnet_kept_or_new(struct spec *spec, struct list *networks, struct rtnl *rtnl,
                              struct error *error)
{
    char path[PATHS_MAX + 16];
    OWN(json) json_t *kept = NULL;
    struct taken taken = {0};
    const char *text;
    int r = kept_path(path, sizeof(path), error);

    if (r < 0)
        return r;
    kept = kept_load(path);
    text = json_string_value(json_object_get(kept, spec->name));
    if (text && subnet4_parse(text, &spec->subnet) >= 0) {
        r = subnet_taken(&spec->subnet, spec->name, networks, NULL, rtnl, &taken, error);
        if (r < 0 || !taken.found)
            return r;
        log_warn(spec->name, "subnet %s is no longer free (%s); choosing another", text, taken.by);
    }
    r = subnet_pick(spec, networks, kept, rtnl, error);
    return r < 0 ? r : kept_store(path, kept, spec, error);
}

static int subnet_check(const struct spec *spec, struct list *networks, struct rtnl *rtnl,
                        struct error *error)
{
    char text[SUBNET4_TEXT_SIZE];
    struct taken taken;
    int r = subnet_taken(&spec->subnet, spec->name, networks, NULL, rtnl, &taken, error);

    if (r < 0 || !taken.found)
        return r;
    error_set(error, -EADDRINUSE, ERROR_CONFLICT, "subnet %s of network %s overlaps %s",
              subnet4_text(&spec->subnet, text), spec->name, taken.by);
    error_hint(error, "give network %s another subnet, or leave subnet out to have one chosen",
               spec->name);
    return -EADDRINUSE;
}

int subnets_settle(struct spec *spec, struct list *networks, struct error *error)
{
    OWN(rtnl) struct rtnl *rtnl = NULL;
    int r = rtnl_open(&rtnl, error);

    if (r < 0)
        return r;
    return spec->subnet.prefix ? subnet_check(spec, networks, rtnl, error)
                               : subnet_kept_or_new(spec, networks, rtnl, error);
}
