/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random sequences of frames through the segmenter, some trouble on the way, then through the
 * coalescer, and what comes out of it through the segmenter again:
 *  - the segments hold the payload that went in, byte for byte, and every checksum is right;
 *  - segmenting what was coalesced gives back the coalescer's input, frame for frame and byte for
 *    byte, in order (but for IPv4 ids that mean nothing).
 * VMLAN_PROPERTY_RUNS: sequences (100000); VMLAN_PROPERTY_SEED: where they begin.
 */
#include "adapter/coalesce.h"
#include "adapter/test-frames.h"

enum {
    LIMIT = 1500 + FRAME_HEAD_MAX,
    FLOWS = 3,
    LARGES = 6,    /* super-frames of a sequence */
    SEGMENTS = 40, /* of a super-frame, at most */
    FRAMES = LARGES * SEGMENTS * 2,
    PAYLOAD = 64000,
    STORE = 1 << 20,
};

static uint64_t state;

static uint32_t chance(uint32_t below)
{
    state ^= state << 13; /* xorshift64 */
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32) % below;
}

/* The frames of a sequence, as the coalescer gets them. */
struct item {
    uint8_t *data;
    size_t size;
    bool partial; /* its checksum was taken out */
};
static struct item items[FRAMES];
static unsigned item_count, item_next, merged;
static uint8_t store[STORE], noise[PAYLOAD * 2], input[BATCH_PREFIX + FRAME_MAX];
static size_t stored;
static struct batch batch;
static unsigned long current;
static bool finished;

static void flow_random(struct flow *f)
{
    *f = (struct flow){
        .v6 = chance(2),
        .udp = chance(8) == 0,
        .tags = chance(4) == 0 ? 1 + chance(2) : 0,
        .ip_options = chance(6) == 0 ? 8 * (1 + chance(3)) : 0,
        .tcp_options = chance(2) ? 12 : 4 * chance(11),
        .tos = (uint8_t)chance(4),
        .ttl = 64,
        .flags = TH_ACK,
        .option = 1,
        .dont_fragment = chance(4),
        .id = (uint16_t)chance(65536),
        .port = (uint16_t)(1024 + chance(4)),
        .window = (uint16_t)chance(65536),
        .seq = chance(4) ? chance(UINT32_MAX) : UINT32_MAX - chance(3000),
        .ack = chance(UINT32_MAX),
    };
}

static struct item *item_add(const uint8_t *data, size_t size)
{
    struct item *item = &items[item_count++];

    CHECK(item_count <= FRAMES && stored + size <= STORE);
    *item = (struct item){store + stored, size, false};
    memcpy(item->data, data, size);
    stored += size;
    return item;
}

/* A segment of f's that is to hold body, after those before it. */
static void segment_check(const struct flow *f, const uint8_t *data, size_t size,
                          const uint8_t *body, size_t body_size, uint32_t seq)
{
    struct frame at;

    CHECK(frame_parse(data, size, &at) && at.end == size && frame_is_right(data, &at));
    CHECK(size - at.payload == body_size && memcmp(data + at.payload, body, body_size) == 0);
    CHECK(f->udp || frame_get32(data + at.l4 + TCP_SEQ) == seq);
}

static void batch_take(const struct flow *f, const uint8_t *payload, size_t size, size_t step)
{
    for (unsigned i = 0; i < batch.count; i++) {
        static uint8_t data[FRAME_MAX];
        size_t got = batch_copy(&batch, i, data), done = i * step;
        size_t body = size - done < step ? size - done : step;

        segment_check(f, data, got, payload + done, body, f->seq + (uint32_t)done);
        item_add(data, got);
    }
}

/* What may change from one segment to the next, so that a run has an end that only it shows. */
static void flow_change(struct flow *f)
{
    switch (chance(5)) {
    case 0:
        f->window++;
        break;
    case 1:
        f->ack++;
        break;
    case 2:
        f->option ^= 1;
        break;
    case 3:
        f->tos ^= 3;
        break;
    case 4:
        f->ttl--;
    }
}

static void large_make(struct flow *f)
{
    size_t step = chance(4) ? 1 + chance(60) : 1 + chance(1370);
    size_t size = 1 + chance((uint32_t)step * (1 + chance(SEGMENTS - 1)));
    const uint8_t *payload = noise + chance(PAYLOAD);
    uint8_t flags = f->flags;
    struct virtio_net_hdr header;
    struct segment_run run;
    size_t total;

    if (!f->udp && chance(6) == 0)
        f->flags |= (uint8_t)(1u << chance(8));
    total = flow_large(f, payload, size, (unsigned)step, input + BATCH_PREFIX, &header);
    batch_clear(&batch);
    CHECK(segment_begin(&run, &header, input + BATCH_PREFIX, total, LIMIT, false) == 0);
    while (segment_next(&run, &batch))
        ;
    batch_take(f, payload, size, step);
    f->flags = flags;
    if (chance(3) == 0)
        flow_change(f);
    f->seq += (uint32_t)size;
    f->id = (uint16_t)(f->id + batch.count);
}

/* Lost, twice, swapped, damaged. */
static void trouble(bool partial)
{
    unsigned i = chance(item_count), j = chance(item_count);
    struct item item = items[i];

    switch (chance(4)) {
    case 0:
        items[i] = items[--item_count];
        break;
    case 1:
        item_add(item.data, item.size);
        break;
    case 2:
        items[i] = items[j];
        items[j] = item;
        break;
    case 3:
        if (!partial)
            item.data[14 + chance((uint32_t)item.size - 14)] ^= (uint8_t)(1u << chance(8));
    }
}

static void checksum_take(struct item *item)
{
    uint8_t copy[FRAME_MAX];
    struct frame at;

    memcpy(copy, item->data, item->size);
    CHECK(frame_parse(copy, item->size, &at));
    frame_put16(copy + frame_checksum_at(&at), plain_pseudo(copy, &at));
    memcpy(item->data, copy, item->size);
    item->partial = true;
}

/* What the frame must be at the end: complete. */
static void checksum_restore(const struct item *item, uint8_t *data)
{
    struct frame at;
    uint16_t sum;

    memcpy(data, item->data, item->size);
    if (!item->partial)
        return;
    CHECK(frame_parse(data, item->size, &at));
    sum = (uint16_t)~plain_sum(0, data + at.l4, at.end - at.l4);
    frame_put16(data + frame_checksum_at(&at), sum ? sum : 0xffff);
}

/* The IPv4 id of a frame that must not be fragmented, if it is that. */
static void id_forget(uint8_t *data, size_t size)
{
    struct frame at;

    if (!frame_parse(data, size, &at) || at.v6 || !(frame_get16(data + at.l3 + 6) & IP_DF))
        return;
    frame_put16(data + at.l3 + IP4_ID, 0);
    frame_put16(data + at.l3 + IP4_CHECKSUM, 0);
}

static void expect(uint8_t *data, size_t size)
{
    static uint8_t wanted[FRAME_MAX];
    const struct item *item = &items[item_next++];

    CHECK(item_next <= item_count && item->size == size);
    checksum_restore(item, wanted);
    if (memcmp(wanted, data, size) == 0)
        return;
    id_forget(wanted, size);
    id_forget(data, size);
    CHECK(memcmp(wanted, data, size) == 0);
}

static void emit(void *context, const struct iovec *iov, int count, unsigned frames)
{
    static uint8_t data[BATCH_PREFIX + FRAME_MAX], got[FRAME_MAX];
    struct virtio_net_hdr header;
    struct segment_run run;
    size_t size = 0;

    (void)context;
    memcpy(&header, iov[0].iov_base, sizeof(header));
    for (int i = 1; i < count; i++) {
        memcpy(data + BATCH_PREFIX + size, iov[i].iov_base, iov[i].iov_len);
        size += iov[i].iov_len;
    }
    batch_clear(&batch);
    CHECK(segment_begin(&run, &header, data + BATCH_PREFIX, size, LIMIT, false) == 0);
    while (segment_next(&run, &batch))
        ;
    CHECK_INT(batch.count, frames);
    for (unsigned i = 0; i < frames; i++)
        expect(got, batch_copy(&batch, i, got));
    merged += frames - 1;
}

static void sequence(void)
{
    struct coalesce c = {.emit = emit, .partial = chance(3) == 0};
    struct flow flows[FLOWS];

    item_count = item_next = 0;
    stored = 0;
    for (int i = 0; i < FLOWS; i++)
        flow_random(&flows[i]);
    for (uint32_t i = 0, count = 1 + chance(LARGES); i < count; i++)
        large_make(&flows[chance(2) ? 0 : chance(FLOWS)]);
    for (uint32_t i = chance(2) ? chance(8) : 0; i > 0 && item_count > 1; i--)
        trouble(c.partial);
    if (c.partial) {
        for (unsigned i = 0; i < item_count; i++) {
            if (chance(2) && !items[i].partial)
                checksum_take(&items[i]);
        }
    }
    for (unsigned i = 0; i < item_count; i++) {
        coalesce_add(&c, items[i].data, items[i].size);
        if (chance(50) == 0)
            coalesce_flush(&c);
    }
    coalesce_flush(&c);
    CHECK_INT(item_next, item_count);
}

static unsigned long number(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);

    return text ? strtoul(text, NULL, 0) : otherwise;
}

/* A failed CHECK says where in the program; this where in the sequences. */
static void sequence_name(void)
{
    if (!finished)
        printf("# again with VMLAN_PROPERTY_RUNS=1 VMLAN_PROPERTY_SEED=%lu\n", current);
}

static void test_property(void)
{
    unsigned long runs = number("VMLAN_PROPERTY_RUNS", 100000);
    unsigned long seed = number("VMLAN_PROPERTY_SEED", 1);
    uint64_t frames = 0, all_merged = 0;

    atexit(sequence_name);
    state = 0x9e3779b97f4a7c15;
    for (size_t i = 0; i < sizeof(noise); i++)
        noise[i] = (uint8_t)chance(256);
    for (unsigned long i = 0; i < runs; i++) {
        state = (seed + i) * 0x9e3779b97f4a7c15 | 1;
        for (int warm = 0; warm < 4; warm++)
            chance(2);
        merged = 0;
        current = seed + i;
        sequence();
        frames += item_count;
        all_merged += merged;
    }
    printf("# %lu sequences, %llu frames, %llu of them merged\n", runs, (unsigned long long)frames,
           (unsigned long long)all_merged);
    finished = true;
    CHECK(all_merged > frames / 4);
}

static const struct test tests[] = {
    {"segment, coalesce and segment again", test_property},
};
TEST_MAIN(tests)
