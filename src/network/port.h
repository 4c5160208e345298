/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A port: one guest's place on the network. It is a link on the bridge, and it lives exactly as
 * long as that link does: nobody here keeps the guest's end open. What is known of a port (its MAC
 * address, name, …) is written into the link's ifalias, so the kernel is the one place that knows
 * which ports there are, and a new holder reads them back from it.
 */
#pragma once

#include <jansson.h>
#include <netinet/in.h>

#include "base/list.h"
#include "base/loop.h"
#include "kernel/ns.h"
#include "kernel/rtnl.h"
#include "kernel/tap.h"

#define PORT_NAME_SIZE 16
#define PORT_FDS_MAX   TAP_QUEUES_MAX

enum port_backend {
    PORT_TAP,
    PORT_NAMESPACE,
    PORT_HOST_LINK,
    PORT_NAMED_TAP,
    PORT_STREAM,
    PORT_DATAGRAM,
    PORT_DATAGRAM_NEXT
};

struct port {
    struct list link;
    char id[PORT_NAME_SIZE]; /* the link's name: vm0, vm1, … */
    int ifindex;
    enum port_backend backend;
    uint8_t mac[6];    /* of the guest; zeros: it will tell by its first frame */
    char name[64];     /* of the guest; "" if none was given */
    struct in_addr ip; /* reserved for it; 0.0.0.0: none */
    pid_t pid;         /* that asked for it */
    unsigned queues;   /* of a tap */

    /* Of a tap that is opened by its name: it goes when this says that nobody will any more; owned.
     * The reading end of a pipe that the command has or, for a later holder, a pidfd of it. */
    int users;
    struct source using;
    struct holder *holder; /* whose port it is; for using */

    /* A port whose guest has a socket: the tap and the network's end of the socket, owned, which an
     * adapter of the forwarder joins (-1: another backend, or not known yet). A copy stays here, so
     * the guest does not notice when a forwarder dies. */
    int tap, peer;
    bool tso, checksum_offload; /* what the guest can do: adapter.h */
    bool learns;                /* it was not asked: its MAC address, and what it can, show */
    char *address; /* of a client of datagram.sock, owned; it has no peer. NULL: none */
    bool handed;   /* the forwarder of now has them */
    bool ended;    /* the guest has closed its end, and the link is about to go */
};
struct port *port_new(void);
void port_free(struct port *port); /* accepts NULL */
/* Closes what the network holds of the guest's end: the link goes when the forwarder has too. */
void port_close(struct port *port);
bool port_has_cable(const struct port *port);
bool port_mac_known(const struct port *port);

/* What the guest's side gets; owned fds. */
struct port_fds {
    int fds[PORT_FDS_MAX];
    unsigned count;
    int vhost[PORT_FDS_MAX];
    unsigned vhost_count;
};
void port_fds_done(struct port_fds *fds);
static inline void own_port_fds(struct port_fds *fds)
{
    port_fds_done(fds);
}

/* What a request for a port (Attach, AddPort) says of it: backend, queues, mac, name, ip, tso,
 * checksumOffload. What is missing is tap, 1, zeros, "", 0.0.0.0 and false. Says nothing of whether
 * the network has room for it. -EINVAL with a message. */
int port_parse(const json_t *parameters, struct port *ret, struct error *error);
const char *port_backend_name(enum port_backend backend);

/* The network side's part of what a port needs. */
struct port_segment {
    struct rtnl *rtnl;
    int bridge; /* ifindex */
    unsigned mtu;
    bool isolated;
};

/* Makes the link of a port whose other fields are set, puts it on the bridge, and opens the guest's
 * end. Sets ifindex. On failure nothing is left. */
int port_open(struct port *port, const struct port_segment *segment, struct port_fds *ret,
              struct error *error);

/* The name that the host's own link has in here until it is a port. */
#define PORT_HOST_LINK_NAME "host0"

/* Writes what is known of a port into its link, after a change. */
int port_describe(const struct port *port, struct rtnl *rtnl, struct error *error);

/* A port from what the kernel tells of its link; NULL if the link is not a port. */
struct port *port_from_link(const struct rtnl_link_info *link);

/* Takes the port off the segment and leaves its link to the guest: a tap that is deleted below a
 * running QEMU makes it spin (its read returns EBADFD and poll keeps firing). The host's own link
 * is deleted. */
void port_cut(const struct port *port, const struct port_segment *segment);

json_t *port_to_json(const struct port *port);
