/* SPDX-License-Identifier: Apache-2.0 */
/* The table of dials, by guest and destination; see syn.h. */
#include "uplink/syn.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/log.h"
#include "uplink/dial.h"
#include "uplink/nflog.h"
#include "uplink/rate.h"

enum {
    BUCKETS = 4096,
    BATCH = 32,          /* messages a recvmmsg(): one SYN each */
    MESSAGE_SIZE = 1024, /* the rule copies 160 bytes of a packet, and the kernel adds its own */
    /* For a connected upstream whose guest has gone or keeps silent. */
    ABANDONED_MS = 10000,
};

struct syn {
    struct uplink *uplink;
    struct guests *guests;
    struct source source;
    struct timer expiry;
    bool expiry_set;
    struct list connected; /* dials, oldest first */
    struct dial *table[BUCKETS];
    uint64_t seed;
    uint64_t warned_guest, warned_all, warned_lost, warned_fds; /* rate_due() */
    struct mmsghdr messages[BATCH];
    struct iovec vectors[BATCH];
    _Alignas(8) uint8_t buffers[BATCH][MESSAGE_SIZE];
};

static struct dial **syn_place(struct syn *syn, const union endpoint *guest,
                               const union endpoint *to)
{
    struct dial **place = &syn->table[packet_hash(guest, to, syn->seed) % BUCKETS];

    while (*place &&
           !(endpoint_equal(&(*place)->syn.src, guest) && endpoint_equal(&(*place)->syn.dst, to)))
        place = &(*place)->next;
    return place;
}

/* Takes the dial out of the table; its guest is not told to the guests yet. */
static int syn_remove(struct syn *syn, struct dial *dial)
{
    int fd = dial->fd;

    *syn_place(syn, &dial->syn.src, &dial->syn.dst) = dial->next;
    source_remove(&dial->source);
    list_remove(&dial->link);
    free(dial);
    return fd;
}

static void syn_drop(struct syn *syn, struct dial *dial)
{
    struct guest *guest = dial->guest;
    OWN(fd) int fd = syn_remove(syn, dial);

    guests_leave_dial(syn->guests, guest);
    (void)fd;
}

static const char *syn_network(const struct syn *syn)
{
    return uplink_config(syn->uplink)->network;
}

static void syn_log(const struct syn *syn, const struct dial *dial, const char *what)
{
    char guest[ENDPOINT_TEXT_SIZE], to[ENDPOINT_TEXT_SIZE];

    if (log_current_level() <= LOG_DEBUG)
        log_debug(syn_network(syn), "TCP %s to %s: %s", endpoint_text(&dial->syn.src, guest),
                  endpoint_text(&dial->syn.dst, to), what);
}

static void syn_expire_later(struct syn *syn, uint64_t milliseconds)
{
    if (!syn->expiry_set)
        timer_set(&syn->expiry, milliseconds);
    syn->expiry_set = true;
}

static void syn_expire(struct timer *timer)
{
    struct syn *syn = container_of(timer, struct syn, expiry);
    uint64_t now = clock_ms();
    struct dial *dial;

    syn->expiry_set = false;
    while ((dial = list_first(&syn->connected, struct dial, link))) {
        uint64_t age = now - dial->connected;

        if (age < ABANDONED_MS) {
            syn_expire_later(syn, ABANDONED_MS - age);
            return;
        }
        syn_log(syn, dial, "abandoned by the guest");
        syn_drop(syn, dial);
    }
}

static void syn_dialled(struct dial *dial, int error, void *context)
{
    struct syn *syn = context;

    if (error == 0) {
        dial->connected = clock_ms();
        list_append(&syn->connected, &dial->link);
        syn_expire_later(syn, ABANDONED_MS);
        dial_inject(dial, syn->uplink);
        return;
    }
    if ((error == -EMFILE || error == -ENFILE) && rate_due(&syn->warned_fds))
        log_warn(syn_network(syn), "no more descriptors for TCP: %s", strerror(-error));
    syn_log(syn, dial, strerror(-error));
    dial_refuse(dial, syn->uplink, error);
    syn_drop(syn, dial);
}

static void syn_limit(struct syn *syn, int error, const struct packet *packet)
{
    char guest[ENDPOINT_TEXT_SIZE];

    if (error == -EUSERS && rate_due(&syn->warned_guest))
        log_warn(syn_network(syn), "%s has its share of TCP flows; more are ignored",
                 endpoint_text(&packet->src, guest));
    if (error == -ENOSPC && rate_due(&syn->warned_all))
        log_warn(syn_network(syn), "limit of TCP flows reached; more are ignored");
}

static void syn_new_dial(struct syn *syn, struct dial **place, const void *data,
                         const struct packet *packet)
{
    struct guest *guest;
    struct dial *dial;
    int r = guests_enter(syn->guests, &packet->src, &guest);

    if (r < 0) {
        syn_limit(syn, r, packet);
        return;
    }
    dial = *place = alloc_new(struct dial);
    list_init(&dial->link);
    dial->guest = guest;
    dial_set_syn(dial, data, packet);
    dial_start(dial, syn->uplink, syn_dialled, syn);
}

/* A fresh SYN, whole up to its options. */
static bool syn_is(const uint8_t *data, const struct packet *packet)
{
    return packet->protocol == IPPROTO_TCP && !packet->fragment &&
           (data[packet->l4 + 13] & 0x17) == 0x02; /* SYN; not FIN, RST, ACK */
}

static void syn_packet(void *context, const void *data, size_t size)
{
    struct syn *syn = context;
    struct packet packet;
    struct dial **place;

    if (packet_parse(data, size, &packet) < 0 || !syn_is(data, &packet))
        return;
    place = syn_place(syn, &packet.src, &packet.dst);
    if (!*place) {
        syn_new_dial(syn, place, data, &packet);
        return;
    }
    /* Repeated, or the guest connects anew from the same port: the latest one counts. */
    dial_set_syn(*place, data, &packet);
    if ((*place)->connected)
        dial_inject(*place, syn->uplink);
}

static void syn_read(struct source *source, uint32_t events)
{
    struct syn *syn = container_of(source, struct syn, source);
    int count = recvmmsg(source->fd, syn->messages, BATCH, MSG_DONTWAIT, NULL);

    (void)events;
    if (count < 0 && errno == ENOBUFS && rate_due(&syn->warned_lost))
        log_warn(syn_network(syn), "more SYNs than can be read; guests will repeat them");
    for (int i = 0; i < count; i++)
        if (!(syn->messages[i].msg_hdr.msg_flags & MSG_TRUNC))
            nflog_each(syn->buffers[i], syn->messages[i].msg_len, syn_packet, syn);
}

int syn_new(struct uplink *uplink, struct guests *guests, struct syn **ret)
{
    struct syn *syn = alloc_new(struct syn);
    int r;

    syn->uplink = uplink;
    syn->guests = guests;
    list_init(&syn->connected);
    (void)!getrandom(&syn->seed, sizeof(syn->seed), GRND_NONBLOCK);
    for (int i = 0; i < BATCH; i++) {
        syn->vectors[i] = (struct iovec){syn->buffers[i], MESSAGE_SIZE};
        syn->messages[i].msg_hdr = (struct msghdr){.msg_iov = &syn->vectors[i], .msg_iovlen = 1};
    }
    r = timer_init(uplink_loop(uplink), &syn->expiry, syn_expire);
    if (r == 0)
        r = source_add(uplink_loop(uplink), &syn->source, uplink_fds(uplink)->nflog, EPOLLIN,
                       syn_read);
    if (r < 0)
        syn_free(syn);
    else
        *ret = syn;
    return r;
}

void syn_free(struct syn *syn)
{
    if (!syn)
        return;
    for (int i = 0; i < BUCKETS; i++)
        while (syn->table[i])
            syn_drop(syn, syn->table[i]);
    source_remove(&syn->source);
    timer_done(&syn->expiry);
    free(syn);
}

int syn_take(struct syn *syn, const union endpoint *guest, const union endpoint *to,
             struct guest **ret)
{
    struct dial *dial = *syn_place(syn, guest, to);

    if (!dial || !dial->connected)
        return -ENOENT;
    *ret = dial->guest;
    return syn_remove(syn, dial);
}
