/* SPDX-License-Identifier: Apache-2.0 */
/* See rules.h. */
#include "network/rules.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "base/buf.h"
#include "uplink/uplink.h"

/* What a rule has to say of a family. usual: an IP header and a destination that need nothing but
 * to be passed on; the rest is for the kernel to judge. */
struct family {
    const char *nfproto, *match, *listener, *usual;
    char gateway[INET6_ADDRSTRLEN], subnet[INET6_ADDRSTRLEN + 4];
};

static unsigned families(const struct spec *spec, const struct plan *plan, struct family ret[2])
{
    unsigned count = 0;
    char text[INET6_ADDRSTRLEN];

    if (spec->nat44) {
        struct family *f = &ret[count++];

        *f = (struct family){"ipv4", "ip", "ip to 127.0.0.1",
                             "ip version 4 ip hdrlength 5 ip ttl > 1 ip protocol udp ip daddr "
                             "1.0.0.0-223.255.255.255 ip daddr != 127.0.0.0/8"};
        inet_ntop(AF_INET, &plan->gateway, f->gateway, sizeof(f->gateway));
        subnet4_text(&spec->subnet, f->subnet);
    }
    if (spec->nat66 && plan->has6) {
        struct family *f = &ret[count++];

        *f = (struct family){"ipv6", "ip6", "ip6 to [::1]",
                             "ip6 version 6 ip6 hoplimit > 1 ip6 nexthdr udp ip6 daddr "
                             "1::-fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"};
        inet_ntop(AF_INET6, &plan->gateway6, f->gateway, sizeof(f->gateway));
        inet_ntop(AF_INET6, &plan->prefix_address6, text, sizeof(text));
        snprintf(f->subnet, sizeof(f->subnet), "%s/%u", text, plan->prefix6);
    }
    return count;
}

/* Is all that leaves the network alike? */
static bool egress_free(const struct spec_egress *egress)
{
    return !egress->deny && !egress->allowed.count && !egress->denied.count;
}

/* Without an egress list only TCP and what is for the gateway have rules. */
static void shortcut(struct buf *out, const struct spec_egress *egress, const struct family *f,
                     unsigned count)
{
    if (!egress_free(egress))
        return;
    buf_printf(out, "        # None of the rules is for these: a tenth of a datagram's way.\n");
    for (unsigned i = 0; i < count; i++)
        buf_printf(out, "        meta l4proto != tcp %s daddr != %s accept\n", f[i].match,
                   f[i].gateway);
}

static void chain_prerouting(struct buf *out, const struct spec *spec, const struct family *f,
                             unsigned count)
{
    buf_printf(out, "    chain prerouting {\n"
                    "        type filter hook prerouting priority mangle; policy accept;\n");
    shortcut(out, &spec->egress, f, count);
    buf_printf(out, "        # A SYN that the forwarder lets go on; only it can make packets on lo "
                    "with this mark.\n");
    for (unsigned i = 0; i < count; i++)
        buf_printf(out,
                   "        iifname \"lo\" meta mark %u meta nfproto %s meta l4proto tcp "
                   "tproxy %s:%u accept\n",
                   RULES_MARK_LOCAL, f[i].nfproto, f[i].listener, UPLINK_TCP_PORT);
    buf_printf(out,
               "        iifname != \"" PLAN_BRIDGE "\" accept\n"
               "        # Flows that are joined already: the shortest way.\n"
               "        meta l4proto tcp tcp flags & (fin | syn | rst | ack) != syn "
               "socket transparent 1 meta mark set %u accept\n"
               "        jump guest\n    }\n",
               RULES_MARK_LOCAL);
}

static void chain_guest(struct buf *out, const struct family *f, unsigned count)
{
    buf_printf(out, "    chain guest {\n");
    for (unsigned i = 0; i < count; i++)
        buf_printf(out, "        %s daddr %s jump gateway\n", f[i].match, f[i].gateway);
    buf_printf(out, "        fib daddr type { local, broadcast, multicast } accept\n"
                    "        ip6 daddr { fe80::/10, ff00::/8 } accept\n");
    for (unsigned i = 0; i < count; i++)
        buf_printf(out, "        %s daddr %s accept\n", f[i].match, f[i].subnet);
    for (unsigned i = 0; i < count; i++)
        buf_printf(out, "        meta nfproto %s jump egress\n", f[i].nfproto);
    for (unsigned i = 0; i < count; i++)
        buf_printf(out, "        meta nfproto %s meta l4proto tcp jump out\n", f[i].nfproto);
    buf_printf(out, "    }\n");
}

static void chain_gateway(struct buf *out, bool dns)
{
    buf_printf(out,
               "    chain gateway {\n"
               "        # What listens at the host's seat (DNS, vmlan exec) comes first.\n"
               "        meta l4proto { tcp, udp } socket wildcard 0 accept\n"
               "        meta l4proto { tcp, udp } socket wildcard 1 accept\n"
               "        # DHCP has no socket bound to the address; DNS has none while its server\n"
               "        # starts again, and is then refused rather than asked of the host.\n"
               "        meta l4proto { tcp, udp } th dport { %s67, 547 } accept\n"
               "        meta l4proto { tcp, udp } jump egress\n"
               "        meta l4proto tcp jump out\n"
               "        # The rest of the host: by the TUN device, as what leaves the network.\n"
               "        meta l4proto udp meta mark set %u accept\n"
               "        accept\n    }\n",
               dns ? "53, " : "", RULES_MARK_OUT);
}

static void egress_rule(struct buf *out, const struct spec_egress_entry *entry, const char *verdict)
{
    char text[INET6_ADDRSTRLEN];
    const struct ports *ports = &entry->ports;
    const char *protocol = entry->protocol == IPPROTO_TCP   ? "tcp"
                           : entry->protocol == IPPROTO_UDP ? "udp"
                                                            : "{ tcp, udp }";

    buf_printf(out, "        ");
    if (entry->family != AF_UNSPEC) {
        inet_ntop(entry->family, &entry->subnet, text, sizeof(text));
        buf_printf(out, "%s daddr %s/%u ", entry->family == AF_INET ? "ip" : "ip6", text,
                   entry->family == AF_INET ? entry->subnet.v4.prefix : entry->subnet.v6.prefix);
    }
    if (entry->protocol || ports->first)
        buf_printf(out, "meta l4proto %s ", protocol);
    if (ports->first)
        buf_printf(out, "th dport %u-%u ", ports->first, ports->last);
    buf_printf(out, "%s\n", verdict);
}

static void egress_list(struct buf *out, const struct spec_egress_list *list, const char *verdict)
{
    for (size_t i = 0; i < list->count; i++)
        egress_rule(out, &list->entries[i], verdict);
}

/* What a guest may not reach it is told of: it needs no time-out to find out. */
static void chain_egress(struct buf *out, const struct spec_egress *egress)
{
    static const char refuse[] = "counter reject with icmpx admin-prohibited";

    buf_printf(out, "    chain egress {\n");
    if (!egress->deny)
        egress_list(out, &egress->allowed, "return");
    egress_list(out, &egress->denied, refuse);
    if (egress->deny) {
        egress_list(out, &egress->allowed, "return");
        buf_printf(out, "        %s\n", refuse);
    }
    buf_printf(out, "    }\n");
}

static void chain_out(struct buf *out, const struct family *f, unsigned count)
{
    buf_printf(out,
               "    chain out {\n"
               "        # A fresh SYN waits until the forwarder has reached the other end.\n"
               "        tcp flags & (fin | syn | rst | ack) == syn log group %u snaplen 160 "
               "queue-threshold 1 drop\n",
               UPLINK_NFLOG_GROUP);
    for (unsigned i = 0; i < count; i++)
        buf_printf(
            out, "        meta nfproto %s meta l4proto tcp tproxy %s:%u meta mark set %u accept\n",
            f[i].nfproto, f[i].listener, UPLINK_TCP_PORT, RULES_MARK_LOCAL);
    buf_printf(out, "    }\n");
}

/* Bridge ports that are isolated have nothing to do with each other, but all of them with the
 * gateway, which would route from one to the other. */
static void chain_forward(struct buf *out)
{
    buf_printf(out, "    chain forward {\n"
                    "        type filter hook forward priority filter; policy accept;\n"
                    "        iifname \"" PLAN_BRIDGE "\" oifname \"" PLAN_BRIDGE
                    "\" counter reject with icmpx admin-prohibited\n    }\n");
}

/* The address that fwd wants plays no part on a device without link addresses. While the device is
 * not there the rule does nothing, and the packet takes the long way, to an error. */
static void table_short(struct buf *out, const struct family *f, unsigned count)
{
    buf_printf(
        out, "table netdev vmlan\ndelete table netdev vmlan\n"
             "table netdev vmlan {\n    chain short {\n"
             "        type filter hook ingress device \"" PLAN_BRIDGE "\" priority 0; "
             "policy accept;\n"
             "        # Datagrams that leave the network, straight to the TUN device: past routing "
             "and all other\n        # rules, which is a fifth of their way.\n");
    for (unsigned i = 0; i < count; i++)
        buf_printf(out,
                   "        meta pkttype host meta protocol %s %s %s daddr != %s "
                   "%s saddr %s %s saddr != %s fwd %s to %s device %d\n",
                   f[i].match, f[i].usual, f[i].match, f[i].subnet, f[i].match, f[i].subnet,
                   f[i].match, f[i].gateway, f[i].match, f[i].gateway, RULES_DEVICE_OUT);
    buf_printf(out, "    }\n}\n");
}

char *rules_text(const struct spec *spec, const struct plan *plan, bool short_way)
{
    struct family f[2];
    unsigned count = spec->mode == SPEC_SHARED ? families(spec, plan, f) : 0;
    struct buf out = BUF_NULL;

    buf_printf(&out, "# The first two lines make that the table is replaced whole.\n"
                     "table inet vmlan\ndelete table inet vmlan\n"
                     "table inet vmlan {\n");
    if (count) {
        chain_prerouting(&out, spec, f, count);
        chain_guest(&out, f, count);
        chain_gateway(&out, spec->dns_proxy);
        chain_egress(&out, &spec->egress);
        chain_out(&out, f, count);
    }
    if (spec->isolated)
        chain_forward(&out);
    buf_printf(&out, "}\n");
    if (count && short_way && egress_free(&spec->egress))
        table_short(&out, f, count);
    return out.data;
}
