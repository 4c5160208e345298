/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frames NETWORK [NAME]: takes a place on a network and prints the frames that come. Those with the
 * EtherType for experiments it sends back to where they came from; examples/frames.py sends some.
 *
 *     cc examples/frames.c -o frames $(pkg-config --cflags --libs vmlan) && ./frames shared
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <vmlan.h>

#define HEADER     10 /* struct virtio_net_hdr in front of each frame; zeroed: nothing asked for */
#define EXPERIMENT "\x88\xb5"

static void print_mac(const unsigned char *mac)
{
    printf("%02x:%02x:%02x:%02x:%02x:%02x ", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

static int frame_take(int tap, const char *mac)
{
    unsigned char buffer[HEADER + 65536], *frame = buffer + HEADER;
    ssize_t size = read(tap, buffer, sizeof(buffer));

    if (size < HEADER + 14)
        return -1;
    print_mac(frame + 6);
    printf("> ");
    print_mac(frame);
    printf("type 0x%02x%02x, %zd bytes\n", frame[12], frame[13], size - HEADER);
    if (memcmp(frame + 12, EXPERIMENT, 2) != 0)
        return 0;
    memset(buffer, 0, HEADER);
    memcpy(frame, frame + 6, 6);
    sscanf(mac, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", frame + 6, frame + 7, frame + 8, frame + 9,
           frame + 10, frame + 11);
    return write(tap, buffer, (size_t)size) == size ? 0 : -1;
}

int main(int argc, char **argv)
{
    struct vmlan_options options = VMLAN_OPTIONS_INIT;
    struct pollfd tap = {.events = POLLIN};
    struct vmlan_port *port;
    struct vmlan *v;

    options.network = argc > 1 ? argv[1] : "shared";
    options.name = argc > 2 ? argv[2] : NULL;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (vmlan_open(0, &v) < 0)
        return 1;
    if (vmlan_attach(v, &options, &port) < 0) {
        fprintf(stderr, "%s: %s\n%s\n", vmlan_error(v)->field, vmlan_error(v)->reason,
                vmlan_error(v)->hint);
        vmlan_close(v);
        return 1;
    }
    printf("%s on %s, mac %s, gateway %s\n", port->id, port->network, port->mac, port->gateway);
    vmlan_close(v); /* the port is its descriptor */
    tap.fd = port->fds[0];
    while (poll(&tap, 1, -1) > 0 && frame_take(tap.fd, port->mac) >= 0)
        ;
    perror("the tap");
    vmlan_port_free(port);
    return 1;
}
