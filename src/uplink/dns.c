/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See dns.h. UDP is relayed here, TCP in dns-tcp.c.
 *
 * Each query has sockets of its own, one for each resolver it was sent to, so the kernel gives it
 * fresh random ports; with the fresh random id and the question an answer has to match all three
 * (RFC 5452). As resolver(3) does, the next resolver is asked when one stays silent, can't be
 * reached, or says that it will not answer; those that are only slow may still answer.
 */
#include "uplink/dns.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "base/log.h"
#include "uplink/dns-message.h"
#include "uplink/dns-tcp.h"
#include "uplink/rate.h"
#include "uplink/resolvers.h"

enum {
    DNS_QUERIES_MAX = 512, /* dnsmasq itself has 150 under way */
    DNS_QUERY_MAX = 4096,  /* bytes; longer ones come by TCP */
    DNS_BATCH = 64,        /* messages taken at one event */
    DNS_STEP_MS = 2000,    /* until the next resolver is asked */
    DNS_TOTAL_MS = 10000,  /* until the query has failed */
};

struct dns {
    struct loop *loop;
    const char *network;
    struct resolvers resolvers;
    struct dns_tcp *tcp;
    int udp;
    struct source source;
    struct list queries; /* the one that was sent longest ago first */
    unsigned count;
    struct timer timer; /* set while there are queries */
    uint64_t warned;
    uint8_t buffer[DNS_MESSAGE_MAX + 1]; /* of the message being handled */
};

/* A query at one resolver. */
struct attempt {
    struct query *query;
    union endpoint resolver; /* AF_UNSPEC: unused */
    int fd;                  /* -1: not open */
    bool failed;             /* not to be asked again */
    struct source source;
};

struct query {
    struct dns *dns;
    struct list link;
    struct attempt attempts[RESOLVERS_MAX];
    unsigned next; /* the resolver whose turn it is, modulo their count */
    uint64_t born, sent;
    union endpoint asker;
    uint16_t asker_id;
    size_t size, head; /* of the message; of its header and question */
    uint8_t message[]; /* with our id */
};

static void attempt_close(struct attempt *attempt)
{
    source_remove(&attempt->source);
    fd_close(&attempt->fd);
}

static void query_free(struct query *query)
{
    for (size_t i = 0; i < RESOLVERS_MAX; i++)
        attempt_close(&query->attempts[i]);
    list_remove(&query->link);
    query->dns->count--;
    free(query);
}

/* Gives message to who asked; the query is over. What the socket has no room for is asked again. */
static void query_answer(struct query *query, uint8_t *message, size_t size)
{
    dns_message_set_id(message, query->asker_id);
    if (sendto(query->dns->udp, message, size, MSG_DONTWAIT | MSG_NOSIGNAL, &query->asker.any,
               endpoint_size(&query->asker)) < 0)
        log_debug(query->dns->network, "DNS answer lost: %s", strerror(errno));
    query_free(query);
}

static void query_fail(struct query *query)
{
    log_debug(query->dns->network, "DNS query failed: no resolver of the host answers");
    dns_message_fail(query->message, DNS_SERVFAIL);
    query_answer(query, query->message, query->head);
}

static bool endpoint_same(const union endpoint *a, const union endpoint *b)
{
    return a->any.sa_family == b->any.sa_family && memcmp(a, b, endpoint_size(a)) == 0;
}

static struct attempt *query_find(struct query *query, const union endpoint *resolver)
{
    for (size_t i = 0; i < RESOLVERS_MAX; i++)
        if (endpoint_same(&query->attempts[i].resolver, resolver))
            return &query->attempts[i];
    return NULL;
}

static bool resolver_current(const struct resolvers *resolvers, const union endpoint *resolver)
{
    for (size_t i = 0; i < resolvers->count; i++)
        if (endpoint_same(&resolvers->list[i], resolver))
            return true;
    return false;
}

/* The query's attempt at resolver; a new one takes the place of one at a resolver of the past. */
static struct attempt *query_attempt(struct query *query, const union endpoint *resolver)
{
    struct attempt *attempt = query_find(query, resolver);

    if (attempt)
        return attempt;
    for (size_t i = 0; i < RESOLVERS_MAX; i++) {
        attempt = &query->attempts[i];
        if (!resolver_current(&query->dns->resolvers, &attempt->resolver))
            break;
    }
    attempt_close(attempt);
    *attempt = (struct attempt){.query = query, .resolver = *resolver, .fd = -1};
    return attempt;
}

static bool query_has_untried(struct query *query)
{
    const struct resolvers *resolvers = &query->dns->resolvers;

    for (size_t i = 0; i < resolvers->count; i++)
        if (!query_find(query, &resolvers->list[i]))
            return true;
    return false;
}

static void attempt_ready(struct source *source, uint32_t events);

static int attempt_open(struct attempt *attempt)
{
    const union endpoint *resolver = &attempt->resolver;

    attempt->fd = socket(resolver->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (attempt->fd < 0 || connect(attempt->fd, &resolver->any, endpoint_size(resolver)) < 0)
        return -errno;
    return source_add(attempt->query->dns->loop, &attempt->source, attempt->fd, EPOLLIN,
                      attempt_ready);
}

static int attempt_send(struct attempt *attempt)
{
    const struct query *query = attempt->query;
    int r = attempt->fd < 0 ? attempt_open(attempt) : 0;

    if (r < 0)
        return r;
    if (send(attempt->fd, query->message, query->size, MSG_NOSIGNAL) < 0 && errno != EAGAIN)
        return -errno; /* also an earlier answer by ICMP */
    return 0;
}

static void attempt_fail(struct attempt *attempt)
{
    attempt_close(attempt);
    attempt->failed = true;
}

/* Sends the query to the resolver whose turn it is. When none is left, the query has failed. */
static void query_ask(struct query *query)
{
    struct dns *dns = query->dns;

    resolvers_refresh(&dns->resolvers);
    for (size_t i = 0; i < dns->resolvers.count; i++) {
        const union endpoint *resolver = &dns->resolvers.list[query->next++ % dns->resolvers.count];
        struct attempt *attempt = query_attempt(query, resolver);

        if (attempt->failed)
            continue;
        if (attempt_send(attempt) < 0) {
            attempt_fail(attempt);
            continue;
        }
        query->sent = clock_ms();
        list_remove(&query->link);
        list_append(&dns->queries, &query->link);
        return;
    }
    query_fail(query);
}

/* Resolvers that say so may be the wrong ones to ask, as in resolver(3). */
static bool code_is_for_others(enum dns_code code)
{
    return code == DNS_SERVFAIL || code == DNS_NOTIMP || code == DNS_REFUSED;
}

static void attempt_ready(struct source *source, uint32_t events)
{
    struct attempt *attempt = container_of(source, struct attempt, source);
    struct query *query = attempt->query;
    uint8_t *answer = query->dns->buffer;

    (void)events;
    for (int i = 0; i < DNS_BATCH; i++) {
        ssize_t size = recv(attempt->fd, answer, sizeof(query->dns->buffer), 0);

        if (size < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (size >= 0 && !dns_message_answers(answer, (size_t)size, query->message, query->head))
            continue; /* forged, or of no use */
        if (size >= 0 &&
            !(code_is_for_others(dns_message_code(answer)) && query_has_untried(query))) {
            query_answer(query, answer, (size_t)size);
            return;
        }
        attempt_fail(attempt);
        query_ask(query);
        return;
    }
}

static void dns_timer(struct timer *timer)
{
    struct dns *dns = container_of(timer, struct dns, timer);
    uint64_t now = clock_ms();
    struct query *query;

    while ((query = list_first(&dns->queries, struct query, link))) {
        if (query->sent + DNS_STEP_MS > now) {
            timer_set(timer, query->sent + DNS_STEP_MS - now);
            return;
        }
        if (query->born + DNS_TOTAL_MS <= now)
            query_fail(query);
        else
            query_ask(query);
    }
}

static struct query *query_new(struct dns *dns, const union endpoint *asker, size_t size,
                               size_t head)
{
    struct query *query = alloc_zero(1, sizeof(*query) + size);

    query->dns = dns;
    query->asker = *asker;
    query->asker_id = dns_message_id(dns->buffer);
    query->born = clock_ms();
    query->size = size;
    query->head = head;
    for (size_t i = 0; i < RESOLVERS_MAX; i++)
        query->attempts[i].fd = -1;
    memcpy(query->message, dns->buffer, size);
    list_append(&dns->queries, &query->link);
    if (dns->count++ == 0)
        timer_set(&dns->timer, DNS_STEP_MS);
    return query;
}

/* What came from dnsmasq, size bytes of the buffer. */
static void dns_query(struct dns *dns, const union endpoint *asker, size_t size)
{
    size_t head = dns_message_question(dns->buffer, size, false);
    struct query *query;
    uint16_t id;

    if (head == 0 || size > DNS_QUERY_MAX || getrandom(&id, sizeof(id), 0) != sizeof(id))
        return;
    if (dns->count >= DNS_QUERIES_MAX) {
        if (rate_due(&dns->warned))
            log_warn(dns->network, "more than %d DNS queries at a time: some are dropped",
                     DNS_QUERIES_MAX);
        return;
    }
    query = query_new(dns, asker, size, head);
    dns_message_set_id(query->message, id);
    query_ask(query);
}

static void dns_ready(struct source *source, uint32_t events)
{
    struct dns *dns = container_of(source, struct dns, source);

    (void)events;
    for (int i = 0; i < DNS_BATCH; i++) {
        union endpoint asker = {.v6 = {0}};
        socklen_t asker_size = sizeof(asker);
        ssize_t size = recvfrom(dns->udp, dns->buffer, sizeof(dns->buffer), MSG_DONTWAIT,
                                &asker.any, &asker_size);

        if (size >= 0)
            dns_query(dns, &asker, (size_t)size);
        else if (errno == EAGAIN)
            return;
        /* else: an answer found nobody (ICMP), or EINTR */
    }
}

int dns_new(struct loop *loop, const char *network, int udp, int tcp, struct dns **ret)
{
    struct dns *dns = alloc_new(struct dns);
    int r;

    dns->loop = loop;
    dns->network = network;
    dns->udp = udp;
    list_init(&dns->queries);
    resolvers_init(&dns->resolvers);
    r = timer_init(loop, &dns->timer, dns_timer);
    if (r >= 0)
        r = source_add(loop, &dns->source, udp, EPOLLIN, dns_ready);
    if (r >= 0)
        r = dns_tcp_new(loop, network, tcp, &dns->resolvers, &dns->tcp);
    if (r < 0) {
        dns_free(dns);
        return r;
    }
    *ret = dns;
    return 0;
}

void dns_free(struct dns *dns)
{
    struct query *query;

    if (!dns)
        return;
    list_each(query, &dns->queries, link)
        query_free(query);
    dns_tcp_free(dns->tcp);
    source_remove(&dns->source);
    timer_done(&dns->timer);
    free(dns);
}
