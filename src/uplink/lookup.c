/* SPDX-License-Identifier: Apache-2.0 */
/* See lookup.h. */
#include "uplink/lookup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "base/own.h"
#include "uplink/dns-message.h"

enum { TYPE_A = 1, TYPE_AAAA = 28, CLASS_IN = 1, DNS_PORT = 53, RECORD_FIXED = 10 };

size_t lookup_query(const char *name, int family, uint16_t id, uint8_t to[LOOKUP_QUERY_MAX])
{
    static const uint8_t header[DNS_HEADER_SIZE] = {[2] = 1 /* recursion desired */, [5] = 1};
    const uint8_t end[] = {0, 0, family == AF_INET ? TYPE_A : TYPE_AAAA, 0, CLASS_IN};
    size_t at = sizeof(header);

    memcpy(to, header, sizeof(header));
    dns_message_set_id(to, id);
    for (size_t length; *name; name += length + (name[length] == '.')) {
        length = strcspn(name, ".");
        if (length == 0 || length > 63 || at + 1 + length + sizeof(end) > LOOKUP_QUERY_MAX)
            return 0;
        to[at++] = (uint8_t)length;
        memcpy(to + at, name, length);
        at += length;
    }
    memcpy(to + at, end, sizeof(end));
    return at + sizeof(end);
}

/* Moves *at behind a name that may be compressed (RFC 1035 4.1.4). */
static bool name_skip(const uint8_t *message, size_t size, size_t *at)
{
    while (*at < size) {
        uint8_t length = message[(*at)++];

        if (length == 0)
            return true;
        if (length >= 0xc0) {
            (*at)++;
            return *at <= size;
        }
        *at += length;
    }
    return false;
}

static unsigned read16(const uint8_t *bytes)
{
    return (unsigned)(bytes[0] << 8 | bytes[1]);
}

/* Writes the record's address if it is of that type. */
static bool record_take(const uint8_t *record, unsigned type, union endpoint *ret)
{
    const uint8_t *data = record + RECORD_FIXED;
    unsigned length = read16(record + 8);

    if (read16(record) != type || read16(record + 2) != CLASS_IN ||
        length != (type == TYPE_A ? 4 : 16))
        return false;
    *ret = (union endpoint){.any.sa_family = type == TYPE_A ? AF_INET : AF_INET6};
    memcpy(type == TYPE_A ? (void *)&ret->v4.sin_addr : (void *)&ret->v6.sin6_addr, data, length);
    return true;
}

int lookup_answer(const uint8_t *answer, size_t size, const uint8_t *query, size_t query_size,
                  union endpoint *ret)
{
    size_t at = query_size;
    unsigned type, records;

    if (!dns_message_answers(answer, size, query, query_size))
        return -EBADMSG;
    type = read16(query + query_size - 4);
    records = read16(answer + 6);
    while (records-- > 0) {
        if (!name_skip(answer, size, &at) || size - at < RECORD_FIXED ||
            size - at - RECORD_FIXED < read16(answer + at + 8))
            return -EBADMSG;
        if (record_take(answer + at, type, ret))
            return 1;
        at += RECORD_FIXED + read16(answer + at + 8);
    }
    return 0;
}

static bool same_prefix6(const struct in6_addr *a, const struct in6_addr *b, unsigned prefix)
{
    unsigned bytes = prefix / 8;
    uint8_t mask = (uint8_t)(0xff00 >> prefix % 8);

    return memcmp(a, b, bytes) == 0 &&
           (mask == 0 || ((a->s6_addr[bytes] ^ b->s6_addr[bytes]) & mask) == 0);
}

/* A guest's address, and so not one of the namespace's own services or of the world outside. */
static bool lookup_is_guest(const struct uplink_config *network, const union endpoint *e)
{
    if (e->any.sa_family == AF_INET) {
        uint32_t mask = network->prefix ? htonl(UINT32_MAX << (32 - network->prefix)) : 0;
        uint32_t address = e->v4.sin_addr.s_addr;

        return mask && ((address ^ network->subnet.s_addr) & mask) == 0 &&
               address != network->gateway.s_addr && address != network->subnet.s_addr &&
               address != (network->subnet.s_addr | ~mask);
    }
    return network->prefix6 && network->prefix6 < 128 &&
           same_prefix6(&e->v6.sin6_addr, &network->subnet6, network->prefix6) &&
           memcmp(&e->v6.sin6_addr, &network->gateway6, sizeof(network->gateway6)) != 0;
}

static void lookup_add(struct lookup *lookup, const union endpoint *address)
{
    if (lookup_is_guest(lookup->network, address))
        lookup->found[lookup->count++] = *address;
}

static void lookup_end(struct lookup *lookup)
{
    source_remove(&lookup->source);
    fd_close(&lookup->fd);
    timer_stop(&lookup->timer);
    lookup->until = clock_ms() + (lookup->count ? LOOKUP_KEPT_MS : LOOKUP_UNKNOWN_MS);
}

static void lookup_send(struct lookup *lookup)
{
    for (size_t i = 0; i < ARRAY_SIZE(lookup->queries); i++) {
        struct lookup_query *query = &lookup->queries[i];

        /* What gets lost is asked again by the timer. */
        if (!query->answered && send(lookup->fd, query->message, query->size, 0) < 0)
            continue;
    }
    timer_set(&lookup->timer, LOOKUP_AGAIN_MS);
}

static void lookup_again(struct timer *timer)
{
    struct lookup *lookup = container_of(timer, struct lookup, timer);

    if (++lookup->tries < LOOKUP_TRIES) {
        lookup_send(lookup);
        return;
    }
    lookup_end(lookup);
    lookup->changed(lookup);
}

static void lookup_take(struct lookup *lookup, const uint8_t *answer, size_t size)
{
    for (size_t i = 0; i < ARRAY_SIZE(lookup->queries); i++) {
        struct lookup_query *query = &lookup->queries[i];
        union endpoint address;
        int r = query->answered
                    ? -EBADMSG
                    : lookup_answer(answer, size, query->message, query->size, &address);

        query->answered |= r >= 0;
        if (r == 1)
            lookup_add(lookup, &address);
    }
}

/* IPv4 first, whichever answer came first. */
static void lookup_order(struct lookup *lookup)
{
    if (lookup->count == 2 && lookup->found[0].any.sa_family == AF_INET6) {
        union endpoint v6 = lookup->found[0];

        lookup->found[0] = lookup->found[1];
        lookup->found[1] = v6;
    }
}

static void lookup_ready(struct source *source, uint32_t events)
{
    struct lookup *lookup = container_of(source, struct lookup, source);
    uint8_t answer[1500];
    ssize_t size = recv(lookup->fd, answer, sizeof(answer), 0);

    (void)events;
    if (size < 0)
        return; /* nobody listens there for a moment: the timer asks again */
    lookup_take(lookup, answer, (size_t)size);
    if (!lookup->queries[0].answered || !lookup->queries[1].answered)
        return;
    lookup_order(lookup);
    lookup_end(lookup);
    lookup->changed(lookup);
}

static int lookup_prepare(struct lookup *lookup)
{
    static const int families[] = {AF_INET, AF_INET6};
    char name[LOOKUP_QUERY_MAX];
    uint16_t ids[2];

    if (getrandom(ids, sizeof(ids), 0) != sizeof(ids))
        return -EIO;
    snprintf(name, sizeof(name), "%s.%s.internal", lookup->guest, lookup->network->network);
    for (size_t i = 0; i < ARRAY_SIZE(lookup->queries); i++) {
        struct lookup_query *query = &lookup->queries[i];

        query->answered = false;
        query->size = lookup_query(name, families[i], ids[i], query->message);
        if (query->size == 0)
            return -EINVAL;
    }
    lookup->count = 0;
    lookup->tries = 0;
    return 0;
}

static int lookup_start(struct lookup *lookup)
{
    struct sockaddr_in service = {AF_INET, htons(DNS_PORT), lookup->network->gateway, {0}};
    OWN(fd) int fd = lookup->inside->socket(lookup->inside->context, AF_INET, SOCK_DGRAM);
    int r = fd < 0 ? fd : lookup_prepare(lookup);

    if (r < 0)
        return r;
    if (connect(fd, (struct sockaddr *)&service, sizeof(service)) < 0)
        return -errno;
    r = source_add(lookup->loop, &lookup->source, fd, EPOLLIN, lookup_ready);
    if (r < 0)
        return r;
    lookup->fd = take_fd(&fd);
    lookup_send(lookup);
    return -EINPROGRESS;
}

int lookup_ask(struct lookup *lookup)
{
    if (lookup->fd >= 0)
        return -EINPROGRESS;
    if (!lookup->literal && clock_ms() >= lookup->until)
        return lookup_start(lookup);
    return lookup->count > 0 ? lookup->count : -EHOSTUNREACH;
}

int lookup_init(struct lookup *lookup, struct loop *loop, const struct uplink_config *network,
                const struct inside *inside, const char *guest, lookup_fn *changed)
{
    union endpoint v4 = {.any.sa_family = AF_INET}, v6 = {.any.sa_family = AF_INET6};

    *lookup = (struct lookup){.loop = loop,
                              .network = network,
                              .inside = inside,
                              .guest = guest,
                              .changed = changed,
                              .fd = -1};
    if (inet_pton(AF_INET, guest, &v4.v4.sin_addr) == 1) {
        lookup->literal = true;
        lookup_add(lookup, &v4);
    } else if (inet_pton(AF_INET6, guest, &v6.v6.sin6_addr) == 1) {
        lookup->literal = true;
        lookup_add(lookup, &v6);
    }
    return lookup->literal ? 0 : timer_init(loop, &lookup->timer, lookup_again);
}

void lookup_done(struct lookup *lookup)
{
    if (!lookup->loop)
        return;
    source_remove(&lookup->source);
    fd_close(&lookup->fd);
    timer_done(&lookup->timer);
    lookup->loop = NULL;
}
