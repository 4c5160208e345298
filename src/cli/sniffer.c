/* SPDX-License-Identifier: Apache-2.0 */
/* See sniffer.h. */
#include "cli/sniffer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/checksum.h"
#include "base/own.h"

enum {
    VLAN_BYTES = 4,
    /* A ring that the kernel fills, as it is not limited by net.core.rmem_max: 32 MiB in blocks,
     * each handed over when it is full or has waited this long. */
    BLOCK_BYTES = 1024 * 1024,
    BLOCKS = 32,
    BLOCK_MS = 20,
    UNIT = 2048, /* must divide a block; frames take what they need */
    /* A protocol for experiments (IEEE 802, 9.2.3), to hear of nothing but the bridge's end. */
    PROTOCOL_NONE = 0x88b5,
};

/* --- the filter: a prefix that picks each frame of the segment once, and libpcap's program --- */

struct program {
    struct sock_filter code[BPF_MAXINSNS];
    unsigned short size;
};

static void program_add(struct program *program, uint16_t code, uint8_t yes, uint8_t no,
                        uint32_t value)
{
    if (program->size < BPF_MAXINSNS)
        program->code[program->size++] = (struct sock_filter){code, yes, no, value};
}

/* Jumps are relative, so libpcap's program can follow. */
static void program_prefix(struct program *program, const json_t *capture)
{
    const json_t *others = json_object_get(capture, "others"), *other;
    uint32_t bridge = (uint32_t)json_integer_value(json_object_get(capture, "bridge"));
    uint32_t type = (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE);
    size_t index;

    program_add(program, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)(SKF_AD_OFF + SKF_AD_IFINDEX));
    json_array_foreach(others, index, other) {
        program_add(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, (uint32_t)json_integer_value(other));
        program_add(program, BPF_RET | BPF_K, 0, 0, 0);
    }
    program_add(program, BPF_JMP | BPF_JEQ | BPF_K, 3, 0, bridge);
    program_add(program, BPF_LD | BPF_B | BPF_ABS, 0, 0, type); /* a port: in */
    program_add(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 4, PACKET_OUTGOING);
    program_add(program, BPF_RET | BPF_K, 0, 0, 0);
    program_add(program, BPF_LD | BPF_B | BPF_ABS, 0, 0, type); /* the bridge: out */
    program_add(program, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, PACKET_OUTGOING);
    program_add(program, BPF_RET | BPF_K, 0, 0, 0);
}

static int program_compile(struct program *program, const char *filter, unsigned snaplen,
                           struct error *error)
{
    pcap_t *pcap = pcap_open_dead(DLT_EN10MB, (int)snaplen);
    struct bpf_program compiled;
    int r = 0;

    if (!pcap)
        return error_system(error, -ENOMEM, "cannot use libpcap");
    if (pcap_compile(pcap, &compiled, filter, 1, PCAP_NETMASK_UNKNOWN) < 0) {
        r = error_set(error, -EINVAL, ERROR_INVALID, "the filter \"%s\": %s", filter,
                      pcap_geterr(pcap));
        error_hint(error, "pcap-filter(7) has the words");
        pcap_close(pcap);
        return r;
    }
    for (unsigned i = 0; i < compiled.bf_len; i++)
        program_add(program, compiled.bf_insns[i].code, compiled.bf_insns[i].jt,
                    compiled.bf_insns[i].jf, compiled.bf_insns[i].k);
    pcap_freecode(&compiled);
    pcap_close(pcap);
    if (program->size == BPF_MAXINSNS)
        r = error_set(error, -E2BIG, ERROR_INVALID, "the filter is too long for the kernel");
    return r;
}

static int program_attach(int fd, const json_t *capture, const char *filter, unsigned snaplen,
                          struct error *error)
{
    OWN(mem) struct program *program = alloc_new(struct program);
    struct sock_fprog attached = {.filter = program->code};
    int r;

    if (!json_integer_value(json_object_get(capture, "link")))
        program_prefix(program, capture);
    r = program_compile(program, filter, snaplen, error);
    if (r < 0)
        return r;
    attached.len = program->size;
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &attached, sizeof(attached)) < 0)
        return error_system(error, -errno, "the kernel would not take the filter");
    return 0;
}

/* --- the sockets --- */

static int socket_bind(int fd, int link, uint16_t protocol, struct error *error)
{
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = link};

    return bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0
               ? error_system(error, -errno, "cannot listen on the network")
               : 0;
}

static int ring_make(struct sniffer *sniffer, struct error *error)
{
    static const struct tpacket_req3 ring = {.tp_block_size = BLOCK_BYTES,
                                             .tp_block_nr = BLOCKS,
                                             .tp_frame_size = UNIT,
                                             .tp_frame_nr = BLOCK_BYTES / UNIT * BLOCKS,
                                             .tp_retire_blk_tov = BLOCK_MS};
    int fd = sniffer->packets;
    void *room;

    if (setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &(int){1}, sizeof(int)) < 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_VERSION, &(int){TPACKET_V3}, sizeof(int)) < 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof(ring)) < 0)
        return error_system(error, -errno, "cannot set up the packet socket");
    room = mmap(NULL, (size_t)BLOCK_BYTES * BLOCKS, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (room == MAP_FAILED)
        return error_system(error, -errno, "cannot map the packet socket");
    sniffer->room = room;
    return 0;
}

int sniffer_open(struct sniffer *sniffer, const json_t *capture, const char *filter,
                 unsigned snaplen, int packets, int end, struct error *error)
{
    int link = (int)json_integer_value(json_object_get(capture, "link"));
    int bridge = (int)json_integer_value(json_object_get(capture, "bridge"));
    int r;

    *sniffer = (struct sniffer){.packets = packets, .end = end};
    r = program_attach(packets, capture, filter, snaplen, error);
    if (r >= 0)
        r = ring_make(sniffer, error);
    if (r >= 0)
        r = socket_bind(end, bridge, PROTOCOL_NONE, error);
    if (r >= 0)
        r = socket_bind(packets, link, ETH_P_ALL, error);
    if (r < 0)
        sniffer_close(sniffer);
    return r;
}

void sniffer_close(struct sniffer *sniffer)
{
    if (sniffer->room)
        munmap(sniffer->room, (size_t)BLOCK_BYTES * BLOCKS);
    sniffer->room = NULL;
    fd_close(&sniffer->packets);
    fd_close(&sniffer->end);
}

void sniffer_count(struct sniffer *sniffer)
{
    struct tpacket_stats_v3 stats; /* since they were asked for last; drops are packets too */
    socklen_t size = sizeof(stats);

    if (getsockopt(sniffer->packets, SOL_PACKET, PACKET_STATISTICS, &stats, &size) < 0)
        return;
    sniffer->seen += stats.tp_packets;
    sniffer->dropped += stats.tp_drops;
}

void sniffer_link_name(const struct sniffer *sniffer, int link, char *name, size_t size)
{
    struct ifreq request = {.ifr_ifindex = link};

    if (ioctl(sniffer->packets, SIOCGIFNAME, &request) == 0)
        snprintf(name, size, "%.*s", IFNAMSIZ - 1, request.ifr_name);
    else
        snprintf(name, size, "%d", link);
}

/* --- frames --- */

/* A checksum that the sender left to its device: where it stands there is that of the pseudo
 * header. Of a frame that was cut it can't be told. */
static void checksum_complete(uint8_t *frame, size_t size, const struct virtio_net_hdr *header)
{
    size_t start = header->csum_start, at = start + header->csum_offset;
    uint16_t sum;

    if (!(header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) || at + 2 > size)
        return;
    sum = checksum_fold(checksum_add(0, frame + start, size - start));
    if (sum == 0)
        sum = 0xffff; /* UDP: none (RFC 768); for TCP it is the same */
    memcpy(frame + at, &sum, sizeof(sum));
}

/* The kernel takes a VLAN tag out of the frame before it shows it. There is room before the frame:
 * the header that has been read by now. */
static uint8_t *vlan_restore(uint8_t *frame, const struct tpacket3_hdr *head)
{
    uint16_t tag[2];

    if (!(head->tp_status & TP_STATUS_VLAN_VALID) || head->tp_snaplen < 2 * ETH_ALEN)
        return frame;
    tag[0] =
        htons(head->tp_status & TP_STATUS_VLAN_TPID_VALID ? head->hv1.tp_vlan_tpid : ETH_P_8021Q);
    tag[1] = htons((uint16_t)head->hv1.tp_vlan_tci);
    memmove(frame - VLAN_BYTES, frame, 2 * ETH_ALEN);
    memcpy(frame - VLAN_BYTES + 2 * ETH_ALEN, tag, VLAN_BYTES);
    return frame - VLAN_BYTES;
}

/* tpacket_rcv() in net/packet/af_packet.c has the layout: head, address, virtio-net header, frame.
 */
static void frame_take(struct tpacket3_hdr *head, struct sniffer_frame *ret)
{
    uint8_t *bytes = (uint8_t *)head, *frame = bytes + head->tp_mac, *whole;
    const struct sockaddr_ll *from =
        (const struct sockaddr_ll *)(bytes + TPACKET_ALIGN(sizeof(*head)));
    struct virtio_net_hdr header;

    memcpy(&header, frame - sizeof(header), sizeof(header));
    if (head->tp_snaplen == head->tp_len)
        checksum_complete(frame, head->tp_snaplen, &header);
    whole = vlan_restore(frame, head);
    *ret = (struct sniffer_frame){.link = from->sll_ifindex,
                                  .outgoing = from->sll_pkttype == PACKET_OUTGOING,
                                  .time = {head->tp_sec, head->tp_nsec},
                                  .data = whole,
                                  .size = head->tp_snaplen + (uint32_t)(frame - whole),
                                  .length = head->tp_len + (uint32_t)(frame - whole)};
}

/* The error of a link that is gone: of the bridge, or of the port whose frames are read. */
static int end_look(const struct sniffer *sniffer)
{
    struct pollfd ends[] = {{.fd = sniffer->end}, {.fd = sniffer->packets}};

    if (poll(ends, ARRAY_SIZE(ends), 0) <= 0)
        return 0;
    return (ends[0].revents | ends[1].revents) & POLLERR ? -ENETDOWN : 0;
}

int sniffer_read(struct sniffer *sniffer, struct sniffer_frame *ret)
{
    struct tpacket_block_desc *block =
        (struct tpacket_block_desc *)(sniffer->room + (size_t)sniffer->block * BLOCK_BYTES);
    struct tpacket_hdr_v1 *state = &block->hdr.bh1;

    if (sniffer->next && sniffer->left == 0) { /* all of it was read: the kernel's again */
        __atomic_store_n(&state->block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
        sniffer->block = (sniffer->block + 1) % BLOCKS;
        sniffer->next = NULL;
        return sniffer_read(sniffer, ret);
    }
    if (!sniffer->next) {
        if (!(__atomic_load_n(&state->block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
            return end_look(sniffer);
        sniffer->left = state->num_pkts;
        sniffer->next = (uint8_t *)block + state->offset_to_first_pkt;
        if (sniffer->left == 0)
            return sniffer_read(sniffer, ret);
    }
    frame_take((struct tpacket3_hdr *)sniffer->next, ret);
    sniffer->left--;
    sniffer->next += ((struct tpacket3_hdr *)sniffer->next)->tp_next_offset;
    return 1;
}

void sniffer_settle(void)
{
    poll(NULL, 0, 2 * BLOCK_MS);
}
