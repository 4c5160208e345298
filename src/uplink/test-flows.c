/* SPDX-License-Identifier: Apache-2.0 */
/* The flow table: finding, limits, expiry. */
#include "uplink/flows.h"

#include <arpa/inet.h>

#include "base/test.h"

enum { LONG, SHORT };

static struct loop loop;
static struct flow table[300];
static struct flow *last_ended;
static unsigned ended;

static void flow_ended(void *context, struct flow *flow)
{
    (void)context;
    last_ended = flow;
    ended++;
}

static union endpoint endpoint4(unsigned address, unsigned port)
{
    return (union endpoint){.v4 = {.sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(address),
                                   .sin_port = htons((uint16_t)port)}};
}

static struct flows *table_new(unsigned total, unsigned per_guest)
{
    struct flows_limits limits = {.total = total,
                                  .per_guest = per_guest,
                                  .idle_ms = {[LONG] = 60000, [SHORT] = 1},
                                  .name = "test",
                                  .network = "test"};
    struct flows *flows = NULL;

    ended = 0;
    CHECK_INT(loop_init(&loop), 0);
    CHECK_INT(flows_new(&loop, &limits, flow_ended, NULL, &flows), 0);
    return flows;
}

static void table_free(struct flows *flows)
{
    flows_free(flows);
    loop_done(&loop);
}

/* table[i]: from guest, port i, to 1.2.3.4:i+1. */
static void add(struct flows *flows, unsigned i, unsigned guest, unsigned kind)
{
    table[i] = (struct flow){.guest = endpoint4(guest, i), .remote = endpoint4(0x01020304, i + 1)};
    flows_add(flows, &table[i], kind);
}

static struct flow *find(struct flows *flows, unsigned i)
{
    return flows_find(flows, &table[i].guest, &table[i].remote);
}

static void test_find(void)
{
    struct flows *flows = table_new(300, 300);
    union endpoint other = endpoint4(9, 1);

    for (unsigned i = 0; i < 300; i++)
        add(flows, i, i % 7, LONG);
    CHECK_INT(flows_count(flows), 300);
    for (unsigned i = 0; i < 300; i++)
        CHECK(find(flows, i) == &table[i]);
    CHECK(!flows_find(flows, &other, &table[0].remote));
    CHECK(!flows_find(flows, &table[0].guest, &table[1].remote));
    flows_end(flows, &table[5]);
    CHECK(last_ended == &table[5] && !find(flows, 5) && find(flows, 12));
    table_free(flows);
    CHECK_INT(ended, 300);
}

/* A guest at its limit ends its own flows, and no other's. */
static void test_guest_limit(void)
{
    struct flows *flows = table_new(300, 10);

    add(flows, 100, 2, LONG);
    for (unsigned i = 0; i < 50; i++)
        add(flows, i, 1, LONG);
    CHECK_INT(flows_count(flows), 11);
    CHECK_INT(ended, 40);
    CHECK(find(flows, 100) && find(flows, 40) && !find(flows, 39));
    table_free(flows);
}

static void test_total_limit(void)
{
    struct flows *flows = table_new(20, 10);

    for (unsigned i = 0; i < 30; i++)
        add(flows, i, i % 15, LONG);
    CHECK_INT(flows_count(flows), 20);
    CHECK(!find(flows, 9) && find(flows, 10));
    table_free(flows);
}

static void test_evict(void)
{
    struct flows *flows = table_new(20, 20);

    add(flows, 0, 1, LONG);
    add(flows, 1, 1, SHORT);
    add(flows, 2, 1, LONG);
    table[0].used -= 3000;
    table[1].used -= 2000;
    flows_touch(flows, &table[0], LONG);
    CHECK(flows_evict(flows));
    CHECK(last_ended == &table[1]);
    CHECK(flows_evict(flows) && flows_evict(flows) && !flows_evict(flows));
    table_free(flows);
}

static void test_expiry(void)
{
    struct flows *flows = table_new(20, 20);
    uint64_t end = clock_ms() + 5000;

    add(flows, 0, 1, SHORT);
    add(flows, 1, 1, SHORT);
    add(flows, 2, 1, LONG);
    flows_touch(flows, &table[1], LONG);
    while (ended == 0 && clock_ms() < end)
        CHECK(loop_turn(&loop, 100) >= 0);
    CHECK_INT(ended, 1);
    CHECK(last_ended == &table[0]);
    CHECK_INT(flows_count(flows), 2);
    table_free(flows);
}

static const struct test tests[] = {
    {"flows are found by guest and remote", test_find},
    {"a guest at its limit", test_guest_limit},
    {"all guests at their limit", test_total_limit},
    {"the longest idle one is evicted", test_evict},
    {"idle flows end, each kind in its time", test_expiry},
};
TEST_MAIN(tests)
