/* SPDX-License-Identifier: Apache-2.0 */
#include "uplink/nflog.h"

#include <libmnl/libmnl.h>
#include <limits.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>

static void nflog_message(const struct nlmsghdr *message,
                          void (*packet)(void *context, const void *bytes, size_t size),
                          void *context)
{
    const struct nlattr *attribute;
    int left;

    if (message->nlmsg_type != (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET) ||
        message->nlmsg_len < sizeof(*message) + sizeof(struct nfgenmsg))
        return;
    /* mnl_attr_for_each() rounds the message's length up. */
    left = (int)(message->nlmsg_len - sizeof(*message) - sizeof(struct nfgenmsg));
    attribute = mnl_nlmsg_get_payload_offset(message, sizeof(struct nfgenmsg));
    for (; mnl_attr_ok(attribute, left); attribute = mnl_attr_next(attribute)) {
        if (mnl_attr_get_type(attribute) == NFULA_PAYLOAD)
            packet(context, mnl_attr_get_payload(attribute), mnl_attr_get_payload_len(attribute));
        left -= (int)MNL_ALIGN(attribute->nla_len);
    }
}

void nflog_each(const void *data, size_t size,
                void (*packet)(void *context, const void *bytes, size_t size), void *context)
{
    const struct nlmsghdr *message = data;
    int left = size < INT_MAX ? (int)size : INT_MAX;

    /* mnl_nlmsg_ok() takes a length beyond INT_MAX for a negative one. */
    for (; mnl_nlmsg_ok(message, left) && message->nlmsg_len <= (unsigned)left;
         message = mnl_nlmsg_next(message, &left))
        nflog_message(message, packet, context);
}
