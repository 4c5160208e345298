/* SPDX-License-Identifier: Apache-2.0 */
/* See coalesce.h. What may be merged is what the kernel's own receive offload merges:
 * tcp_gro_receive() and inet_gro_receive() in net/ipv4. */
#include "adapter/coalesce.h"

enum { FLAGS_MAY = TH_ACK | TH_PUSH };

static uint8_t flags_of(const uint8_t *data, const struct frame *at)
{
    return data[at->l4 + TCP_FLAGS];
}

/* A segment with data and nothing special about it, whole and without padding. IPv6 extension
 * headers don't come in bulk. */
static bool is_candidate(const uint8_t *data, size_t size, const struct frame *at)
{
    if (at->protocol != IPPROTO_TCP || at->end != size || at->payload == at->end)
        return false;
    if (at->v6 && at->l4 != at->l3 + sizeof(struct ip6_hdr))
        return false;
    return (flags_of(data, at) | TH_PUSH) == FLAGS_MAY;
}

static bool ip_is_right(const uint8_t *data, const struct frame *at)
{
    return at->v6 || checksum_fold(checksum_add(0, data + at->l3, at->l4 - at->l3)) == 0;
}

/* Where IPv4 ids go from the run's first frame to this one; false: not as one sender's do. */
static bool id_continues(struct coalesce *c, const uint8_t *ip, const uint8_t *first)
{
    uint16_t distance = (uint16_t)(frame_get16(ip + IP4_ID) - frame_get16(first + IP4_ID));
    bool may_stand = frame_get16(first + IP4_FRAGMENT) & IP_DF;
    int step = distance == 0 ? 0 : 1;

    if (distance != (step ? c->frames : 0) || (step == 0 && !may_stand))
        return false;
    if (c->id_step >= 0 && c->id_step != step)
        return false;
    c->id_step = step;
    return true;
}

static bool ip_continues(struct coalesce *c, const uint8_t *data)
{
    const uint8_t *ip = data + c->at.l3, *first = c->first + c->at.l3;
    size_t head = c->at.l4 - c->at.l3;

    if (c->at.v6)
        return memcmp(ip, first, IP6_LENGTH) == 0 &&
               memcmp(ip + IP6_LENGTH + 2, first + IP6_LENGTH + 2, head - IP6_LENGTH - 2) == 0;
    return memcmp(ip, first, IP4_LENGTH) == 0 &&
           memcmp(ip + IP4_FRAGMENT, first + IP4_FRAGMENT, IP4_CHECKSUM - IP4_FRAGMENT) == 0 &&
           memcmp(ip + IP4_CHECKSUM + 2, first + IP4_CHECKSUM + 2, head - IP4_CHECKSUM - 2) == 0 &&
           id_continues(c, ip, first);
}

static bool tcp_continues(const struct coalesce *c, const uint8_t *data)
{
    const uint8_t *tcp = data + c->at.l4, *first = c->first + c->at.l4;
    size_t head = c->at.payload - c->at.l4;

    return frame_get32(tcp + TCP_SEQ) == c->next_seq && memcmp(tcp, first, TCP_SEQ) == 0 &&
           memcmp(tcp + TCP_ACK, first + TCP_ACK, TCP_FLAGS - TCP_ACK) == 0 &&
           memcmp(tcp + TCP_WINDOW, first + TCP_WINDOW, 2) == 0 &&
           memcmp(tcp + TCP_URGENT, first + TCP_URGENT, head - TCP_URGENT) == 0;
}

static bool run_continues(struct coalesce *c, const uint8_t *data, const struct frame *at)
{
    size_t payload = at->end - at->payload;

    return c->frames > 0 && !c->closed && payload <= c->size && at->v6 == c->at.v6 &&
           at->l3 == c->at.l3 && at->l4 == c->at.l4 && at->payload == c->at.payload &&
           c->total + payload <= IP_MAXPACKET && memcmp(data, c->first, at->l3) == 0 &&
           tcp_continues(c, data) && ip_continues(c, data);
}

static void run_extend(struct coalesce *c, uint8_t *data, const struct frame *at)
{
    size_t payload = at->end - at->payload;

    c->iov[2 + c->frames] = (struct iovec){data + at->payload, payload};
    c->frames++;
    c->total += payload;
    c->next_seq += (uint32_t)payload;
    c->flags = flags_of(data, at);
    c->closed = payload < c->size || c->flags & TH_PUSH || c->frames == COALESCE_SEGMENTS;
}

static void run_start(struct coalesce *c, uint8_t *data, const struct frame *at,
                      enum offload_checksum checksum)
{
    c->checksum = checksum;
    c->first = data;
    c->at = *at;
    c->size = at->end - at->payload;
    c->total = at->payload - at->l3;
    c->next_seq = frame_get32(data + at->l4 + TCP_SEQ);
    c->id_step = -1;
    run_extend(c, data, at);
}

/* The head of a run of several: the first one's, with the length of all, the last one's PSH, and
 * the sum of the pseudo header instead of a checksum. */
static void head_make(struct coalesce *c)
{
    struct frame all = c->at;
    uint8_t *ip = c->head + c->at.l3;

    all.end = all.l3 + (uint32_t)c->total;
    memcpy(c->head, c->first, all.payload);
    c->head[all.l4 + TCP_FLAGS] = c->flags;
    if (all.v6) {
        frame_put16(ip + IP6_LENGTH, (uint32_t)(c->total - sizeof(struct ip6_hdr)));
    } else {
        frame_put16(ip + IP4_LENGTH, (uint32_t)c->total);
        frame_put_checksum(ip + IP4_CHECKSUM, 0);
        frame_put_checksum(ip + IP4_CHECKSUM, checksum_fold(checksum_add(0, ip, all.l4 - all.l3)));
    }
    offload_leave_checksum(c->head, &all, &c->header);
    c->header.gso_type = all.v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
    c->header.gso_size = (uint16_t)c->size;
    c->header.hdr_len = (uint16_t)all.payload;
    c->iov[1] = (struct iovec){c->head, all.payload};
}

static void emit_whole(struct coalesce *c, uint8_t *data, size_t size)
{
    c->iov[0] = (struct iovec){&c->header, sizeof(c->header)};
    c->iov[1] = (struct iovec){data, size};
    c->emit(c->context, c->iov, 2, 1);
}

void coalesce_flush(struct coalesce *c)
{
    unsigned frames = c->frames;

    if (frames == 0)
        return;
    c->frames = 0;
    c->header = (struct virtio_net_hdr){0};
    if (frames == 1) {
        if (c->checksum == OFFLOAD_PARTIAL)
            offload_place(&c->at, &c->header);
        emit_whole(c, c->first, c->at.end);
        return;
    }
    head_make(c);
    c->iov[0] = (struct iovec){&c->header, sizeof(c->header)};
    c->emit(c->context, c->iov, (int)(2 + frames), frames);
}

void coalesce_pass(struct coalesce *c, const struct virtio_net_hdr *header, uint8_t *data,
                   size_t size)
{
    coalesce_flush(c);
    c->header = *header;
    emit_whole(c, data, size);
}

void coalesce_add(struct coalesce *c, uint8_t *data, size_t size)
{
    enum offload_checksum checksum = OFFLOAD_WRONG;
    struct virtio_net_hdr header = {0};
    struct frame at;

    if (frame_parse(data, size, &at) && is_candidate(data, size, &at) && ip_is_right(data, &at))
        checksum = offload_checksum(data, &at, c->partial);
    if (checksum == OFFLOAD_WRONG) {
        if (c->partial)
            offload_infer(data, size, &header);
        coalesce_pass(c, &header, data, size);
    } else if (run_continues(c, data, &at)) {
        run_extend(c, data, &at);
    } else {
        coalesce_flush(c);
        run_start(c, data, &at, checksum);
    }
}
