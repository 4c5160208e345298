/* SPDX-License-Identifier: Apache-2.0 */
/* A hash table of the guests that use something now; see guests.h. */
#include "uplink/guests.h"

#include <errno.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "base/alloc.h"

enum {
    BUCKETS = 256,
    /* A flow has two descriptors, and two more for a direction whose reader is slow: few are. The
     * rest is for everything else in the process. */
    FLOW_FDS = 3,
    OTHER_FDS = 256,
};

struct guest {
    struct guest *next;
    union endpoint address;
    unsigned dials, flows;
};

struct guests {
    struct guest *table[BUCKETS];
    unsigned dials, flows, flows_most;
    uint64_t seed;
};

static unsigned guests_flows_most(void)
{
    struct rlimit limit;
    rlim_t most = GUESTS_FLOWS;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / FLOW_FDS < most + OTHER_FDS)
        most = limit.rlim_cur > OTHER_FDS ? (limit.rlim_cur - OTHER_FDS) / FLOW_FDS : 1;
    return (unsigned)(most < GUESTS_FLOWS ? most : GUESTS_FLOWS);
}

struct guests *guests_new(void)
{
    struct guests *guests = alloc_new(struct guests);

    guests->flows_most = guests_flows_most();
    (void)!getrandom(&guests->seed, sizeof(guests->seed), GRND_NONBLOCK);
    return guests;
}

void guests_free(struct guests *guests)
{
    free(guests);
}

/* Where the guest of this address hangs, or would. */
static struct guest **guests_place(struct guests *guests, const union endpoint *address)
{
    struct guest **place = &guests->table[packet_hash(address, address, guests->seed) % BUCKETS];

    while (*place && !endpoint_equal(&(*place)->address, address))
        place = &(*place)->next;
    return place;
}

int guests_enter(struct guests *guests, const union endpoint *endpoint, struct guest **ret)
{
    union endpoint address = endpoint_address(endpoint);
    struct guest **place = guests_place(guests, &address);
    struct guest *guest = *place;

    if (guest && (guest->dials >= GUEST_DIALS || guest->dials + guest->flows >= GUEST_FLOWS))
        return -EUSERS;
    if (guests->dials >= GUESTS_DIALS || guests->dials + guests->flows >= guests->flows_most)
        return -ENOSPC;
    if (!guest) {
        guest = *place = alloc_new(struct guest);
        guest->address = address;
    }
    guest->dials++;
    guests->dials++;
    *ret = guest;
    return 0;
}

void guests_join(struct guests *guests, struct guest *guest)
{
    guest->dials--;
    guests->dials--;
    guest->flows++;
    guests->flows++;
}

static void guests_forget(struct guests *guests, struct guest *guest)
{
    struct guest **place = guests_place(guests, &guest->address);

    if (guest->dials || guest->flows)
        return;
    *place = guest->next;
    free(guest);
}

void guests_leave_dial(struct guests *guests, struct guest *guest)
{
    guest->dials--;
    guests->dials--;
    guests_forget(guests, guest);
}

void guests_leave_flow(struct guests *guests, struct guest *guest)
{
    guest->flows--;
    guests->flows--;
    guests_forget(guests, guest);
}

unsigned guests_flows(const struct guests *guests)
{
    return guests->flows;
}
