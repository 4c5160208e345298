/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a guest's packet: offsets stay inside, every answer to it reads back. */
#include <stdlib.h>
#include <string.h>

#include "uplink/dial.h"
#include "uplink/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
    if (!good)
        abort();
}

static void answer(const uint8_t *data, const struct packet *p)
{
    union endpoint gateway = {.any.sa_family = p->src.any.sa_family};
    uint8_t reply[PACKET_ERROR_MAX];
    struct packet r;

    for (int error = PACKET_NET_UNREACHABLE; error <= PACKET_TIME_EXCEEDED; error++) {
        size_t size = packet_icmp_error(reply, &gateway, (enum packet_error)error, 1280, data, p);

        check(size <= sizeof(reply));
        check(size == 0 || (packet_parse(reply, size, &r) == 0 && r.size == size));
    }
}

static void answer_syn(const uint8_t *data, const struct packet *p)
{
    uint8_t reply[PACKET_RESET_MAX];
    struct dial dial;
    struct packet r;

    check(packet_parse(reply, packet_reset(reply, data, p), &r) == 0);
    check(endpoint_equal(&r.dst, &p->src) && endpoint_equal(&r.src, &p->dst));
    dial_set_syn(&dial, data, p);
    check(dial.size <= DIAL_SYN_MAX && packet_parse(dial.bytes, dial.size, &r) == 0);
    check(endpoint_equal(&r.dst, &p->dst) && endpoint_equal(&r.src, &p->src) && !r.cut);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct packet p, again;
    uint8_t *copy;

    if (packet_parse(data, size, &p) < 0)
        return 0;
    check(p.size <= size && p.l4 <= p.size && p.next < p.size);
    check(p.src.any.sa_family == p.dst.any.sa_family);
    answer(data, &p);
    if (p.protocol == IPPROTO_TCP && !p.fragment)
        answer_syn(data, &p);
    copy = malloc(size);
    memcpy(copy, data, size);
    packet_checksum(copy, &p);
    check(packet_parse(copy, size, &again) == 0 && again.l4 == p.l4 && again.size == p.size);
    free(copy);
    return 0;
}
