/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as packets of a guest. The input is a row of packets, each with its size (2 bytes,
 * big-endian) and the first two bytes of its vnet header in front. The host's side is a network
 * namespace with nothing but loopback, which has the two addresses the corpus uses; where no
 * namespace can be had, nothing is reachable. Whatever is written to the guest must be a packet
 * that can be parsed, to a guest.
 */
#include "uplink/tun.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "kernel/ns.h"
#include "kernel/rtnl.h"
#include "uplink/test-uplink.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool isolated;
static int guest_end;

int host_destination(const struct uplink *u, const union endpoint *to, union endpoint *ret,
                     union endpoint *ret_second)
{
    (void)u;
    if (!isolated)
        return -EHOSTUNREACH;
    *ret = *to;
    ret_second->any.sa_family = AF_UNSPEC;
    return 0;
}

static bool host_setup(void)
{
    OWN(rtnl) struct rtnl *rtnl = NULL;
    struct in_addr address = {htonl(0x01020304)};
    struct in6_addr address6;

    inet_pton(AF_INET6, "2001:db8::1", &address6);
    return ns_unshare(NULL) == 0 && ns_sysctl("net/ipv4/ping_group_range", "0 0") == 0 &&
           rtnl_open(&rtnl, NULL) == 0 &&
           rtnl_set_link(rtnl, 1, &(struct rtnl_link){.up = 1}, NULL) == 0 &&
           rtnl_add_address(rtnl, 1, AF_INET, &address, 32, NULL) == 0 &&
           rtnl_add_address(rtnl, 1, AF_INET6, &address6, 128, NULL) == 0;
}

static void uplink_setup(void)
{
    static const uint8_t net4[4] = {10, 7, 0, 0}, net6[16] = {0xfd, 0, 0, 7};
    int ends[2];

    isolated = host_setup();
    uplink.config = (struct uplink_config){
        .network = "fuzz", .prefix = 24, .prefix6 = 64, .nat44 = true, .nat66 = true, .mtu = 1500};
    memcpy(&uplink.config.subnet, net4, 4);
    memcpy(&uplink.config.gateway, net4, 4);
    memcpy(&uplink.config.subnet6, net6, 16);
    memcpy(&uplink.config.gateway6, net6, 16);
    ((uint8_t *)&uplink.config.gateway)[3] = 1;
    ((uint8_t *)&uplink.config.gateway6)[15] = 1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0 ||
        loop_init(&uplink.loop) < 0)
        abort();
    uplink.fds.tun = ends[0];
    guest_end = ends[1];
}

/* libFuzzer calls this while the process has one thread: unshare() wants that. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    uplink_setup();
    return 0;
}

/* Everything that was written to the guest. */
static void answers_check(const struct tun *tun)
{
    static uint8_t buffer[70000];
    ssize_t got;

    while ((got = recv(guest_end, buffer, sizeof(buffer), 0)) > 0) {
        size_t header = sizeof(struct virtio_net_hdr);
        struct packet p;

        if ((size_t)got <= header || packet_parse(buffer + header, (size_t)got - header, &p) < 0 ||
            p.cut || !tun_is_guest(tun, &p.dst))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tun *tun = NULL;
    uint8_t *packets[64];
    unsigned count = 0;

    if (uplink.config.mtu == 0)
        uplink_setup();
    if (tun_new(&uplink, &tun) < 0)
        abort();
    while (size >= 4 && count < 64) {
        struct virtio_net_hdr hdr = {.flags = data[2], .gso_type = data[3], .gso_size = 1000};
        size_t part = (size_t)(data[0] << 8 | data[1]);

        data += 4;
        size -= 4;
        part = part < size ? part : size;
        packets[count] = malloc(part ? part : 1); /* exact, for the address sanitizer */
        if (!packets[count])
            abort();
        memcpy(packets[count], data, part);
        tun_input(tun, &hdr, packets[count++], part);
        data += part;
        size -= part;
    }
    tun_flush(tun);
    for (int i = 0; i < 3; i++)
        loop_turn(&uplink.loop, 0);
    answers_check(tun);
    tun_free(tun);
    while (count > 0)
        free(packets[--count]);
    return 0;
}
