/* SPDX-License-Identifier: Apache-2.0 */
/* See flows.h. */
#include "uplink/flows.h"

#include <errno.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "base/log.h"
#include "uplink/packet.h"
#include "uplink/rate.h"

enum {
    BUCKETS = 4096, /* powers of two */
    GUEST_BUCKETS = 256,
    EXPIRE_BATCH = 512, /* flows ended in one event: closing a socket takes microseconds */
};

/* Made with the first flow of an address, freed with its last. */
struct flows_guest {
    union endpoint address; /* port 0 */
    unsigned count;
    struct list flows;
    struct flows_guest *next;
};

struct flows {
    struct flows_limits limits;
    flows_end_fn *end;
    void *context;
    uint64_t seed, warned;
    unsigned count;
    struct timer timer;
    bool waiting; /* the timer is set */
    struct list kinds[FLOWS_KINDS];
    struct flow *buckets[BUCKETS];
    struct flows_guest *guests[GUEST_BUCKETS];
};

static struct flow **bucket_of(struct flows *flows, const union endpoint *guest,
                               const union endpoint *remote)
{
    return &flows->buckets[packet_hash(guest, remote, flows->seed) % BUCKETS];
}

/* The place in the chain that points at the guest, or where it would be added. */
static struct flows_guest **guest_place(struct flows *flows, const union endpoint *address)
{
    uint64_t hash = packet_hash(address, address, flows->seed);
    struct flows_guest **place = &flows->guests[hash % GUEST_BUCKETS];

    while (*place && !endpoint_equal(&(*place)->address, address))
        place = &(*place)->next;
    return place;
}

static struct flows_guest *guest_get(struct flows *flows, const union endpoint *endpoint)
{
    union endpoint address = endpoint_address(endpoint);
    struct flows_guest **place = guest_place(flows, &address);

    if (!*place) {
        *place = alloc_new(struct flows_guest);
        (*place)->address = address;
        list_init(&(*place)->flows);
    }
    return *place;
}

static void guest_drop(struct flows *flows, struct flows_guest *guest)
{
    struct flows_guest **place;

    if (--guest->count > 0)
        return;
    place = guest_place(flows, &guest->address);
    *place = guest->next;
    free(guest);
}

void flows_end(struct flows *flows, struct flow *flow)
{
    struct flow **place = bucket_of(flows, &flow->guest, &flow->remote);

    while (*place != flow)
        place = &(*place)->next;
    *place = flow->next;
    list_remove(&flow->in_kind);
    list_remove(&flow->in_guest);
    guest_drop(flows, flow->owner);
    flows->count--;
    flows->end(flows->context, flow);
}

/* Sets the timer for the flow that ends first, at least a touch's time from now. */
static void expiry_plan(struct flows *flows, uint64_t now)
{
    uint64_t first = UINT64_MAX;

    for (unsigned k = 0; k < FLOWS_KINDS; k++) {
        struct flow *flow = list_first(&flows->kinds[k], struct flow, in_kind);

        if (flow && flow->used + flows->limits.idle_ms[k] < first)
            first = flow->used + flows->limits.idle_ms[k];
    }
    flows->waiting = first != UINT64_MAX;
    if (flows->waiting)
        timer_set(&flows->timer, first > now + FLOWS_TOUCH_MS ? first - now : FLOWS_TOUCH_MS);
}

static void expire(struct timer *timer)
{
    struct flows *flows = container_of(timer, struct flows, timer);
    uint64_t now = clock_ms();
    unsigned left = EXPIRE_BATCH;

    for (unsigned k = 0; k < FLOWS_KINDS; k++) {
        struct flow *flow;

        while (left > 0 && (flow = list_first(&flows->kinds[k], struct flow, in_kind)) &&
               flow->used + flows->limits.idle_ms[k] <= now) {
            flows_end(flows, flow);
            left--;
        }
    }
    if (left > 0)
        expiry_plan(flows, now);
    else
        timer_set(timer, 1);
}

int flows_new(struct loop *loop, const struct flows_limits *limits, flows_end_fn *end,
              void *context, struct flows **ret)
{
    struct flows *flows = alloc_new(struct flows);
    int r;

    flows->limits = *limits;
    flows->end = end;
    flows->context = context;
    for (unsigned k = 0; k < FLOWS_KINDS; k++)
        list_init(&flows->kinds[k]);
    if (getrandom(&flows->seed, sizeof(flows->seed), 0) != sizeof(flows->seed))
        r = -EIO;
    else
        r = timer_init(loop, &flows->timer, expire);
    if (r < 0)
        flows_free(flows);
    else
        *ret = flows;
    return r;
}

void flows_free(struct flows *flows)
{
    if (!flows)
        return;
    while (flows_evict(flows))
        continue;
    timer_done(&flows->timer);
    free(flows);
}

struct flow *flows_find(struct flows *flows, const union endpoint *guest,
                        const union endpoint *remote)
{
    struct flow *flow = *bucket_of(flows, guest, remote);

    while (flow && !(endpoint_equal(&flow->guest, guest) && endpoint_equal(&flow->remote, remote)))
        flow = flow->next;
    return flow;
}

bool flows_evict(struct flows *flows)
{
    struct flow *oldest = NULL;

    for (unsigned k = 0; k < FLOWS_KINDS; k++) {
        struct flow *flow = list_first(&flows->kinds[k], struct flow, in_kind);

        if (flow && (!oldest || flow->used < oldest->used))
            oldest = flow;
    }
    if (oldest)
        flows_end(flows, oldest);
    return oldest != NULL;
}

static void limit_warn(struct flows *flows, const char *whose, unsigned limit)
{
    if (rate_due(&flows->warned))
        log_warn(flows->limits.network,
                 "%s has %u %s flows: the longest idle one ends for each new one", whose, limit,
                 flows->limits.name);
}

void flows_add(struct flows *flows, struct flow *flow, unsigned kind)
{
    struct flow **place = bucket_of(flows, &flow->guest, &flow->remote);

    flow->owner = guest_get(flows, &flow->guest);
    flow->owner->count++; /* before anything is evicted: keeps the guest */
    flow->used = clock_ms();
    flow->kind = kind;
    if (flow->owner->count > flows->limits.per_guest) {
        limit_warn(flows, "a guest", flows->limits.per_guest);
        flows_end(flows, list_first(&flow->owner->flows, struct flow, in_guest));
    } else if (flows->count >= flows->limits.total) {
        limit_warn(flows, "the network", flows->limits.total);
        flows_evict(flows);
    }
    flow->next = *place;
    *place = flow;
    list_init(&flow->in_kind);
    list_init(&flow->in_guest);
    list_append(&flows->kinds[kind], &flow->in_kind);
    list_append(&flow->owner->flows, &flow->in_guest);
    flows->count++;
    if (!flows->waiting)
        expiry_plan(flows, flow->used);
}

void flows_touch(struct flows *flows, struct flow *flow, unsigned kind)
{
    uint64_t now = clock_ms();

    if (kind == flow->kind && now - flow->used < FLOWS_TOUCH_MS)
        return;
    flow->used = now;
    flow->kind = kind;
    list_remove(&flow->in_kind);
    list_remove(&flow->in_guest);
    list_append(&flows->kinds[kind], &flow->in_kind);
    list_append(&flow->owner->flows, &flow->in_guest);
}

unsigned flows_count(const struct flows *flows)
{
    return flows->count;
}
