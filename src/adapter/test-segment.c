/* SPDX-License-Identifier: Apache-2.0 */
/* Super-frames of every shape, cut: sizes, fields and checksums. */
#include "adapter/test-frames.h"

#include <errno.h>

enum { LIMIT = 1500 + FRAME_HEAD_MAX };

static uint8_t storage[BATCH_PREFIX + FRAME_MAX], *const input = storage + BATCH_PREFIX;
static uint8_t payload[64000];
static struct batch batch;

static unsigned cut(const struct virtio_net_hdr *header, size_t size, bool tso)
{
    struct segment_run run;

    batch_clear(&batch);
    CHECK_INT(segment_begin(&run, header, input, size, LIMIT, tso), 0);
    while (segment_next(&run, &batch))
        CHECK(!batch_full(&batch));
    return batch.count;
}

static void payload_fill(void)
{
    for (size_t i = 0; i < sizeof(payload); i++)
        payload[i] = (uint8_t)(i * 7 + i / 251);
}

/* All of it, in order, in frames that are right. */
static void check_flow(const struct flow *f, size_t size, unsigned step)
{
    struct virtio_net_hdr header;
    size_t total = flow_large(f, payload, size, step, input, &header), done = 0;
    unsigned count = cut(&header, total, false);

    CHECK_INT(count, (size + step - 1) / step);
    for (unsigned i = 0; i < count; i++) {
        uint8_t data[LIMIT];
        struct frame at;
        size_t got = batch_copy(&batch, i, data), body;

        CHECK(frame_parse(data, got, &at) && at.end == got && frame_is_right(data, &at));
        body = got - at.payload;
        CHECK(body == (i + 1 < count ? step : size - done));
        CHECK(memcmp(data + at.payload, payload + done, body) == 0);
        if (!f->v6)
            CHECK_INT(frame_get16(data + at.l3 + IP4_ID), (uint16_t)(f->id + i));
        if (f->udp)
            CHECK_INT(frame_get16(data + at.l4 + UDP_LENGTH), 8 + body);
        else
            CHECK(frame_get32(data + at.l4 + TCP_SEQ) == (uint32_t)(f->seq + done));
        done += body;
    }
    CHECK(done == size);
}

static void test_shapes(void)
{
    struct flow f = FLOW;

    payload_fill();
    f.id = 65534;
    f.seq = UINT32_MAX - 5000;
    for (int shape = 0; shape < 2 * 2 * 3 * 2 * 2; shape++) {
        f.v6 = shape & 1;
        f.udp = shape & 2;
        f.tags = (unsigned)(shape >> 2) % 3;
        f.ip_options = (shape / 12) & 1 ? 24 : 0;
        f.tcp_options = (shape / 24) & 1 ? 12 : 0;
        check_flow(&f, 14600, 1400);
        check_flow(&f, 1401, 1400);
        check_flow(&f, 64000, 1399);
        check_flow(&f, 100, 7);
    }
}

static uint8_t flags_of(unsigned i)
{
    uint8_t data[LIMIT];
    struct frame at;

    CHECK(frame_parse(data, batch_copy(&batch, i, data), &at));
    return data[at.l4 + TCP_FLAGS];
}

static void test_flags(void)
{
    struct virtio_net_hdr header;
    struct flow f = FLOW;
    size_t size;

    f.flags = TH_ACK | TH_PUSH | TH_FIN | 0x40 /* ECE */ | TCP_CWR;
    size = flow_large(&f, payload, 3000, 1000, input, &header);
    header.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
    CHECK_INT(cut(&header, size, false), 3);
    CHECK_INT(flags_of(0), TH_ACK | 0x40 | TCP_CWR);
    CHECK_INT(flags_of(1), TH_ACK | 0x40);
    CHECK_INT(flags_of(2), TH_ACK | 0x40 | TH_PUSH | TH_FIN);
}

static void check_whole(const struct flow *f, size_t size, const struct virtio_net_hdr *header)
{
    static uint8_t data[FRAME_MAX];
    struct frame at;

    CHECK_INT(cut(header, size, true), 1);
    CHECK(batch_copy(&batch, 0, data) == size && frame_parse(data, size, &at));
    CHECK(frame_is_right(data, &at) && at.payload == flow_head_size(f));
}

static void test_whole(void)
{
    struct virtio_net_hdr header;
    struct flow f = FLOW;

    for (int shape = 0; shape < 8; shape++) {
        f.v6 = shape & 1;
        f.udp = shape & 2;
        f.tags = shape & 4 ? 1 : 0;
        check_whole(&f, flow_frame(&f, payload, 999, input, &header), &header);
        f.udp = false;
        check_whole(&f, flow_large(&f, payload, 64000, 1400, input, &header), &header);
    }
    f.udp = true; /* one large datagram would be another thing than many */
    CHECK_INT(cut(&header, flow_large(&f, payload, 14000, 1400, input, &header), true), 10);
}

/* A checksum that comes out as 0 would mean "none" to UDP. */
static void test_zero(void)
{
    struct flow f = FLOW;

    f.udp = true;
    for (int large = 0; large < 2; large++) {
        struct virtio_net_hdr header;
        uint8_t body[100] = {0};
        struct frame at;

        flow_frame(&f, body, sizeof(body), input, NULL);
        memcpy(body, input + flow_head_size(&f) - 2, 2);
        if (large)
            cut(&header, flow_large(&f, body, sizeof(body), 100, input, &header), false);
        else
            cut(&header, flow_frame(&f, body, sizeof(body), input, &header), false);
        CHECK(frame_parse(input, batch_copy(&batch, 0, input), &at));
        CHECK_INT(frame_get16(input + frame_checksum_at(&at)), 0xffff);
    }
}

static void refused(const struct virtio_net_hdr *header, size_t size)
{
    struct segment_run run;

    CHECK_INT(segment_begin(&run, header, input, size, LIMIT, false), -EBADMSG);
}

static void test_refused(void)
{
    struct virtio_net_hdr header, good;
    struct flow f = FLOW;
    size_t size = flow_large(&f, payload, 3000, 1000, input, &good);

    header = good, header.gso_size = 0, refused(&header, size);
    header = good, header.gso_size = 1500, refused(&header, size);
    header = good, header.gso_type = VIRTIO_NET_HDR_GSO_TCPV6, refused(&header, size);
    header = good, header.gso_type = VIRTIO_NET_HDR_GSO_UDP, refused(&header, size);
    header = good, header.gso_type = SEGMENT_GSO_UDP_L4, refused(&header, size);
    header = good, header.gso_type = 0, refused(&header, size);
    header = good, header.flags = 0, refused(&header, size);
    header = good, header.csum_start--, refused(&header, size);
    header = good, header.csum_offset = 6, refused(&header, size);
    refused(&good, size - 1);
    refused(&good, size + 1); /* padding */
    refused(&good, 60);
    header = good, header.gso_type = 0, header.csum_start = 99, refused(&header, 114);
}

static const struct test tests[] = {
    {"every shape of header, every size", test_shapes},  {"FIN, PSH and CWR", test_flags},
    {"whole frames, checksums completed", test_whole},   {"a checksum of zero", test_zero},
    {"headers that contradict the frame", test_refused},
};
TEST_MAIN(tests)
