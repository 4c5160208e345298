/* SPDX-License-Identifier: Apache-2.0 */
/* What is merged, and everything that must not be. */
#include "adapter/coalesce.h"
#include "adapter/test-frames.h"

enum { FRAMES = 200, PAYLOAD = 1000 };

static uint8_t frames[FRAMES][1600], payload[PAYLOAD];
static size_t sizes[FRAMES];
static unsigned made;

/* What came out: how many of the peer's frames each had, and the last one's bytes. */
static unsigned emitted[FRAMES], emissions;
static struct virtio_net_hdr header;
static uint8_t last[FRAME_MAX];
static size_t last_size;
static struct coalesce c;

static void emit(void *context, const struct iovec *iov, int count, unsigned merged)
{
    (void)context;
    CHECK(iov[0].iov_len == sizeof(header));
    memcpy(&header, iov[0].iov_base, sizeof(header));
    last_size = 0;
    for (int i = 1; i < count; i++) {
        CHECK(last_size + iov[i].iov_len <= sizeof(last));
        memcpy(last + last_size, iov[i].iov_base, iov[i].iov_len);
        last_size += iov[i].iov_len;
    }
    emitted[emissions++] = merged;
}

static void begin(void)
{
    made = emissions = 0;
    c = (struct coalesce){.emit = emit};
    memset(payload, 0x5a, sizeof(payload));
}

/* Adds the flow's next segment. */
static void add(struct flow *f, size_t size)
{
    sizes[made] = flow_frame(f, payload, size, frames[made], NULL);
    f->seq += (uint32_t)size;
    f->id++;
    coalesce_add(&c, frames[made], sizes[made]);
    made++;
}

static void check_emissions(unsigned first, unsigned second)
{
    coalesce_flush(&c);
    CHECK_INT(emissions, second ? 2 : 1);
    CHECK_INT(emitted[0], first);
    CHECK(!second || emitted[1] == second);
}

static void test_merge(void)
{
    for (int shape = 0; shape < 12; shape++) {
        struct flow f = FLOW;
        struct frame at;

        begin();
        f.v6 = shape & 1;
        f.tags = (unsigned)shape / 4;
        f.tcp_options = shape & 2 ? 12 : 0;
        for (int i = 0; i < 5; i++)
            add(&f, PAYLOAD);
        f.flags |= TH_PUSH;
        add(&f, 1);
        check_emissions(6, 0);
        CHECK_INT(header.gso_type, f.v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4);
        CHECK_INT(header.gso_size, PAYLOAD);
        CHECK(frame_parse(last, last_size, &at) && at.end == last_size);
        CHECK_INT(last_size - at.payload, 5 * PAYLOAD + 1);
        CHECK_INT(header.hdr_len, at.payload);
        CHECK_INT(header.csum_start, at.l4);
        CHECK_INT(frame_get16(last + at.l4 + 16), plain_pseudo(last, &at));
        CHECK_INT(last[at.l4 + TCP_FLAGS], TH_ACK | TH_PUSH);
    }
}

/* The flow's next segment, each time with one thing changed; returns how many there are. */
static size_t changes_make(const struct flow *f, struct flow *changed)
{
    struct flow *next = changed;

    for (int bit = 0; bit < 8; bit++) {
        if ((1 << bit) != TH_ACK && (1 << bit) != TH_PUSH)
            *next = *f, next++->flags |= (uint8_t)(1 << bit);
    }
    *next = *f, next++->flags = 0;
    *next = *f, next++->ack++;
    *next = *f, next++->window++;
    *next = *f, next++->port++;
    *next = *f, next++->tos = 3;
    *next = *f, next++->ttl--;
    *next = *f, next++->id++;
    *next = *f, next++->seq++;
    *next = *f, next++->seq -= PAYLOAD;
    *next = *f, next++->dont_fragment = false;
    *next = *f, next++->tcp_options = 8;
    *next = *f, next++->option = 0;
    *next = *f, next++->ip_options = 8;
    *next = *f, next++->tags = 1;
    *next = *f, next++->v6 = true;
    return (size_t)(next - changed);
}

static void test_kept_apart(void)
{
    struct flow changed[32];
    size_t count = 1;

    for (size_t i = 0; i < count; i++) {
        struct flow f = FLOW;

        f.tcp_options = 12;
        begin();
        add(&f, PAYLOAD);
        count = changes_make(&f, changed);
        add(&changed[i], PAYLOAD);
        check_emissions(1, 1);
        CHECK(last_size == sizes[1] && memcmp(last, frames[1], last_size) == 0);
        CHECK(header.flags == 0 && header.gso_type == 0);
    }
}

static void test_sizes(void)
{
    struct flow f = FLOW;

    begin(); /* a shorter one is the last */
    add(&f, PAYLOAD), add(&f, 999), add(&f, 999);
    check_emissions(2, 1);
    begin(); /* a longer one begins anew */
    add(&f, 999), add(&f, PAYLOAD);
    check_emissions(1, 1);
    begin(); /* none has nothing to merge */
    add(&f, PAYLOAD), add(&f, 0);
    check_emissions(1, 1);
    begin(); /* PSH is the last */
    f.flags |= TH_PUSH;
    add(&f, PAYLOAD);
    f.flags = TH_ACK;
    add(&f, PAYLOAD);
    check_emissions(1, 1);
    begin(); /* at most so many, and 64 KiB */
    for (int i = 0; i < COALESCE_SEGMENTS + 1; i++)
        add(&f, 10);
    check_emissions(COALESCE_SEGMENTS, 1);
}

static void test_longest(void)
{
    static uint8_t big[9][9000];
    static const uint8_t zeros[9000];
    struct flow f = FLOW;

    begin();
    for (int i = 0; i < 9; i++) {
        size_t size = flow_frame(&f, zeros, 8900, big[i], NULL);

        f.seq += 8900;
        f.id++;
        coalesce_add(&c, big[i], size);
    }
    check_emissions(7, 2);
}

static void test_ids(void)
{
    struct flow f = FLOW;

    begin(); /* all the same: may not be fragmented, so the id says nothing */
    for (int i = 0; i < 3; i++)
        add(&f, PAYLOAD), f.id--;
    check_emissions(3, 0);
    begin(); /* but not half and half */
    add(&f, PAYLOAD), f.id--;
    add(&f, PAYLOAD), f.id++;
    add(&f, PAYLOAD);
    check_emissions(2, 1);
    begin();
    add(&f, PAYLOAD);
    add(&f, PAYLOAD), f.id = (uint16_t)(f.id - 2);
    add(&f, PAYLOAD);
    check_emissions(2, 1);
    begin(); /* and not where it counts */
    f.dont_fragment = false;
    add(&f, PAYLOAD), f.id--;
    add(&f, PAYLOAD);
    check_emissions(1, 1);
}

static void test_damaged(void)
{
    struct flow f = FLOW;

    for (size_t i = 14; i < 54; i++) {
        begin();
        add(&f, PAYLOAD);
        sizes[1] = flow_frame(&f, payload, PAYLOAD, frames[1], NULL);
        frames[1][i] ^= 0x10;
        coalesce_add(&c, frames[1], sizes[1]);
        check_emissions(1, 1);
        CHECK(last_size == sizes[1] && memcmp(last, frames[1], last_size) == 0);
        CHECK(header.flags == 0);
    }
}

static void test_padding(void)
{
    struct flow f = FLOW;

    begin();
    add(&f, 2);
    sizes[1] = flow_frame(&f, payload, 2, frames[1], NULL);
    memset(frames[1] + sizes[1], 0, 4);
    coalesce_add(&c, frames[1], 60);
    check_emissions(1, 1);
    CHECK_INT(last_size, 60);
}

/* First fragments have a TCP header too. */
static void test_fragments(void)
{
    struct flow f = FLOW;

    begin();
    for (int i = 0; i < 2; i++, f.seq += PAYLOAD, f.id++) {
        uint8_t *ip = frames[i] + ETH_HLEN;

        sizes[i] = flow_frame(&f, payload, PAYLOAD, frames[i], NULL);
        frame_put16(ip + IP4_FRAGMENT, IP_MF);
        frame_put16(ip + IP4_CHECKSUM, 0);
        frame_put16(ip + IP4_CHECKSUM, (uint16_t)~plain_sum(0, ip, 20));
        coalesce_add(&c, frames[i], sizes[i]);
    }
    check_emissions(1, 1);
}

static void add_partial(struct flow *f)
{
    struct virtio_net_hdr unused;

    sizes[made] = flow_frame(f, payload, PAYLOAD, frames[made], &unused);
    f->seq += PAYLOAD;
    f->id++;
    coalesce_add(&c, frames[made], sizes[made]);
    made++;
}

static void test_partial(void)
{
    struct flow f = FLOW;

    begin(); /* a peer that may not leave its checksums to us */
    add_partial(&f), add_partial(&f);
    check_emissions(1, 1);
    CHECK(header.flags == 0);
    begin();
    c.partial = true;
    add_partial(&f), add(&f, PAYLOAD), add_partial(&f);
    check_emissions(3, 0);
    begin();
    c.partial = true;
    add_partial(&f);
    f.udp = true;
    add_partial(&f);
    check_emissions(1, 1);
    CHECK(header.flags == VIRTIO_NET_HDR_F_NEEDS_CSUM && header.csum_offset == 6);
}

static const struct test tests[] = {
    {"segments of one flow become one", test_merge},
    {"what differs is kept apart", test_kept_apart},
    {"sizes, PSH and limits", test_sizes},
    {"no longer than an IP packet", test_longest},
    {"IPv4 ids", test_ids},
    {"damaged segments pass as they are", test_damaged},
    {"padding", test_padding},
    {"fragments", test_fragments},
    {"partial checksums", test_partial},
};
TEST_MAIN(tests)
