/* SPDX-License-Identifier: Apache-2.0 */
/* See rtnl.h: addresses, routes and the rules that choose among tables of routes. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "kernel/rtnl-private.h"

static size_t address_size(int family)
{
    return family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr);
}

int rtnl_add_address(struct rtnl *rtnl, int ifindex, int family, const void *address,
                     unsigned prefix, struct error *error)
{
    char buffer[REQUEST_SIZE] = {0}, text[INET6_ADDRSTRLEN];
    struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
    struct ifaddrmsg *info = mnl_nlmsg_put_extra_header(message, sizeof(*info));

    message->nlmsg_type = RTM_NEWADDR;
    message->nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
    info->ifa_family = (uint8_t)family;
    info->ifa_prefixlen = (uint8_t)prefix;
    info->ifa_index = (uint32_t)ifindex;
    mnl_attr_put(message, IFA_LOCAL, address_size(family), address);
    mnl_attr_put(message, IFA_ADDRESS, address_size(family), address);
    if (family == AF_INET6)
        mnl_attr_put_u32(message, IFA_FLAGS, IFA_F_NODAD);
    else if (prefix < 31)
        mnl_attr_put_u32(message, IFA_BROADCAST,
                         *(const uint32_t *)address | htonl(0xffffffffU >> prefix));
    inet_ntop(family, address, text, sizeof(text));
    return rtnl_change(rtnl, message, error, "set address", text);
}

int rtnl_set_route(struct rtnl *rtnl, int ifindex, int family, const void *destination,
                   unsigned prefix, const void *gateway, struct error *error)
{
    char buffer[REQUEST_SIZE] = {0}, text[INET6_ADDRSTRLEN] = "default";
    struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
    struct rtmsg *info = mnl_nlmsg_put_extra_header(message, sizeof(*info));

    message->nlmsg_type = RTM_NEWROUTE;
    message->nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
    info->rtm_family = (uint8_t)family;
    info->rtm_dst_len = (uint8_t)prefix;
    info->rtm_table = RT_TABLE_MAIN;
    info->rtm_protocol = RTPROT_STATIC;
    info->rtm_scope = gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
    info->rtm_type = RTN_UNICAST;
    if (destination) {
        mnl_attr_put(message, RTA_DST, address_size(family), destination);
        inet_ntop(family, destination, text, sizeof(text));
    }
    if (gateway)
        mnl_attr_put(message, RTA_GATEWAY, address_size(family), gateway);
    mnl_attr_put_u32(message, RTA_OIF, (uint32_t)ifindex);
    return rtnl_change(rtnl, message, error, "set route", text);
}

int rtnl_set_table(struct rtnl *rtnl, int ifindex, int family, unsigned table, bool local,
                   struct error *error)
{
    char buffer[REQUEST_SIZE] = {0}, text[16];
    struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
    struct rtmsg *info = mnl_nlmsg_put_extra_header(message, sizeof(*info));

    message->nlmsg_type = RTM_NEWROUTE;
    message->nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
    info->rtm_family = (uint8_t)family;
    info->rtm_table = (uint8_t)table;
    info->rtm_protocol = RTPROT_STATIC;
    info->rtm_scope = local ? RT_SCOPE_HOST : RT_SCOPE_LINK;
    info->rtm_type = local ? RTN_LOCAL : RTN_UNICAST;
    mnl_attr_put_u32(message, RTA_OIF, (uint32_t)ifindex);
    snprintf(text, sizeof(text), "%u", table);
    return rtnl_change(rtnl, message, error, "set the default route of table", text);
}

static int rule_change(struct rtnl *rtnl, uint16_t type, uint16_t flags, int family,
                       const struct rtnl_rule *rule, struct error *error)
{
    char buffer[REQUEST_SIZE] = {0}, text[16];
    struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
    struct fib_rule_hdr *info = mnl_nlmsg_put_extra_header(message, sizeof(*info));

    message->nlmsg_type = type;
    message->nlmsg_flags = flags;
    info->family = (uint8_t)family;
    info->action = FR_ACT_TO_TBL;
    info->table = (uint8_t)rule->table;
    mnl_attr_put_u32(message, FRA_PRIORITY, rule->priority);
    if (rule->mark)
        mnl_attr_put_u32(message, FRA_FWMARK, rule->mark);
    snprintf(text, sizeof(text), "%u", rule->priority);
    return rtnl_change(rtnl, message, error, "change rule", text);
}

int rtnl_add_rule(struct rtnl *rtnl, int family, const struct rtnl_rule *rule, struct error *error)
{
    int r = rule_change(rtnl, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, family, rule, error);

    return r == -EEXIST ? 0 : r;
}

int rtnl_delete_rule(struct rtnl *rtnl, int family, const struct rtnl_rule *rule,
                     struct error *error)
{
    int r = rule_change(rtnl, RTM_DELRULE, 0, family, rule, error);

    return r == -ENOENT ? 0 : r;
}

static int on_route(const struct nlmsghdr *message, void *data)
{
    const struct rtmsg *info = mnl_nlmsg_get_payload(message);
    struct query *query = data;
    struct rtnl_route_info route = {0};
    const struct nlattr *attribute;

    if (mnl_nlmsg_get_payload_len(message) < sizeof(*info) || info->rtm_type != RTN_UNICAST ||
        info->rtm_table != RT_TABLE_MAIN)
        return MNL_CB_OK;
    route.family = info->rtm_family;
    route.prefix = info->rtm_dst_len;
    mnl_attr_for_each(attribute, message, sizeof(*info)) {
        size_t size = mnl_attr_get_payload_len(attribute);

        if (mnl_attr_get_type(attribute) == RTA_DST && size <= sizeof(route.destination))
            memcpy(&route.destination, mnl_attr_get_payload(attribute), size);
        if (mnl_attr_get_type(attribute) == RTA_OIF && size >= sizeof(uint32_t))
            if_indextoname(mnl_attr_get_u32(attribute), route.link);
    }
    query->on_route(query->context, &route);
    return MNL_CB_OK;
}

int rtnl_dump_routes(struct rtnl *rtnl, int family, rtnl_route_fn *call, void *context,
                     struct error *error)
{
    char buffer[REQUEST_SIZE] = {0};
    struct query query = {.rtnl = rtnl, .on_route = call, .context = context};
    struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
    struct rtmsg *info = mnl_nlmsg_put_extra_header(message, sizeof(*info));
    int r;

    message->nlmsg_type = RTM_GETROUTE;
    info->rtm_family = (uint8_t)family;
    r = query_dump(&query, message, on_route);
    return r < 0 ? error_system(error, r, "the kernel would not list routes") : 0;
}
