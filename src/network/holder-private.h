/* SPDX-License-Identifier: Apache-2.0 */
/* What holder.c (its life) and the other files of the holder (what it does) share. */
#pragma once

#include "base/loop.h"
#include "base/presence.h"
#include "network/dnsmasq.h"
#include "network/listeners.h"
#include "network/port.h"
#include "network/segment.h"
#include "wire/conn.h"
#include "wire/idl.h"

/* Room for the holder's directory and a name in it. */
enum { HOLDER_PATH = 2 * PATHS_MAX };

struct holder {
    struct loop loop;
    struct signals signals;
    struct interface *interface;
    int listener; /* owned */
    struct source listening;
    struct list peers; /* struct holder_peer */
    unsigned peer_count;

    char directory[PATHS_MAX + 48]; /* net/NAME in the runtime directory */
    char state[PATHS_MAX];          /* the user's, which inside the namespace looks like root */
    char socket[PATHS_MAX + 64];    /* holder.sock there */
    struct presence presence;       /* of that: what is there later may be another network's */
    bool started, ended;
    bool pinned;
    struct spec spec;
    struct plan plan;
    struct segment segment;
    char *services; /* dnsmasq's configuration; NULL: none is needed */
    struct dnsmasq dnsmasq;
    json_t *forwards;            /* texts; holder-forwards.c */
    json_t *failures;            /* of the forwarder, text -> [reason, hint] */
    json_int_t forwards_version; /* of the list, for the forwarder to refer to */
    json_int_t forwards_applied; /* the version the forwarder has answered; at first none */
    struct list adding;          /* requests that wait for the forwarder */
    struct call *watching;       /* the forwarder's; NULL: none */
    json_t *forwards_told;       /* text -> the event that was told of it last; holder-events.c */
    struct list monitors;        /* calls that are told what happens; holder-events.c */

    bool route6;            /* the host has a way out over IPv6 */
    bool served;            /* there was a forwarder since one was asked for */
    struct conn *forwarder; /* the peer that is the forwarder; NULL: none */
    struct call *cabling;   /* the forwarder's NextCable that waits; NULL: none */
    struct timer probe;     /* looks for datagram sockets whose other end was closed */
    int diag;               /* for it, owned; -1: not needed yet */
    int journal;            /* of all forwarders: adapter/journal.h; owned; -1: not needed yet */
    struct call *wanting;   /* a broker's ForwarderWanted that waits; NULL: none */
    struct timer wanted;    /* until then an old forwarder may come back */
    int monitor;            /* owned; tells of links */
    struct source monitoring;
    struct list ports;
    struct list seats;   /* struct holder_seat */
    struct list waiting; /* requests that wait for a port to leave: holder-calls.c */
    struct timer linger, patience;

    struct listeners listeners; /* where hypervisors connect: holder-paths.c */
    struct source streaming;
    struct timer breath; /* until connections are taken again */
};

/* A process at the host's seat (Acquire): it holds the writing end of a pipe. */
struct holder_seat {
    struct list link;
    struct source source;
    struct holder *holder;
    int pipe_read; /* owned */
};

extern const struct method holder_methods[];

static inline struct holder *holder_of(const struct call *call)
{
    return conn_owner(call_conn(call));
}

/* A new array of count numbers from first on: the descriptors a reply speaks of. */
json_t *holder_indexes(size_t first, size_t count);

/* Whether the network stays without ports; a file tells the next holder. */
int holder_pin(struct holder *holder, bool pinned, struct error *error);
/* Makes or enters the namespaces and starts everything. ns NULL: a new network. */
int holder_start(struct holder *holder, const json_t *configuration, const struct ns *ns,
                 struct error *error);
/* Answers the broker that waits to start a forwarder, if one is wanted and none is there. */
void holder_want_forwarder(struct holder *holder);
/* To be called after anything that may start or stop the linger time. */
void holder_consider(struct holder *holder);

/* holder-services.c */
/* The configuration text for dnsmasq as things are now, applied where it changed. */
int holder_serve(struct holder *holder, struct error *error);
/* Starts dnsmasq, which was stopped, with the configuration there is. */
int holder_start_services(struct holder *holder, struct error *error);
/* Writes or removes what dnsmasq is to know of a port, or of all. */
int holder_reserve(struct holder *holder, const struct port *port, struct error *error);
int holder_reserve_all(struct holder *holder, struct error *error);
void holder_unreserve(struct holder *holder, const struct port *port);

/* holder-leases.c: sees to it that there is an address for each port, also for one that is about to
 * be added; NULL: none is. */
void holder_make_room(struct holder *holder, const struct port *coming);
/* Refuses a port whose address (ip) a guest that is here has by DHCP. */
int holder_check_leased(struct holder *holder, const struct port *port, struct error *error);

/* holder-links.c: an address that no guest has. */
int holder_choose_ip(struct holder *holder, struct in_addr *ret, struct error *error);
/* Deletes the link of a tap by name when nobody is left to open it. */
void holder_follow_users(struct holder *holder, struct port *port);
/* holder-ports.c */
void holder_call_add_port(struct call *call);
/* Makes the link of a port whose other fields are set, and adds it to the list, which then owns
 * it; on failure it stays the caller's. */
int holder_add_port(struct holder *holder, struct port *port, struct port_fds *ret,
                    struct error *error);
/* The address of the first frame of a port whose MAC address was not known. False: it is another
 * port's, and there is no place for this one. */
bool holder_learn_mac(struct holder *holder, struct port *port, const uint8_t mac[6]);
/* A port has left, or patience is over: asks again for those who wait. */
void holder_retry(struct holder *holder);
void holder_drop_waiting(struct holder *holder);
/* holder-forwards.c */
void holder_forwards_load(struct holder *holder);
void holder_forwards_done(struct holder *holder);
void holder_call_forward_add(struct call *call);
void holder_call_forward_remove(struct call *call);
void holder_call_forward_list(struct call *call);
void holder_call_forwards_watch(struct call *call);
void holder_call_forwards_applied(struct call *call);
void holder_call_sockets(struct call *call);

/* holder-cables.c */
int holder_cables_init(struct holder *holder);
void holder_cables_done(struct holder *holder);
void holder_hand_cables(struct holder *holder);
void holder_forget_forwarder(struct holder *holder);
void holder_call_next_cable(struct call *call);
void holder_call_cable_met(struct call *call);
void holder_call_cable_ended(struct call *call);
void holder_call_cable_kept(struct call *call);

/* holder-capture.c */
void holder_call_capture(struct call *call);

/* holder-counters.c */
void holder_call_counters(struct call *call);
void holder_call_rules(struct call *call);

/* holder-events.c: tells those who want to know what happened. */
void holder_call_monitor(struct call *call);
void holder_events_begin(struct holder *holder, bool successor);
void holder_events_done(struct holder *holder);
/* fields: of this event besides time, event and network; stolen, may be NULL. */
void holder_tell(struct holder *holder, const char *event, json_t *fields);
void holder_tell_port(struct holder *holder, const char *event, const struct port *port);
/* pid 0: it has gone. */
void holder_tell_service(struct holder *holder, const char *service, pid_t pid);
void holder_tell_dnsmasq(struct dnsmasq *dnsmasq);
/* What has become of forwards since they were told of. */
void holder_tell_forwards(struct holder *holder);

/* holder-paths.c */
int holder_paths_init(struct holder *holder);
/* Takes who connects from now on. */
int holder_paths_start(struct holder *holder, struct error *error);
void holder_paths_done(struct holder *holder);
void holder_call_datagram_client(struct call *call);

/* Cuts off the ports, stops everything, removes the directory and ends the process. */
void holder_end(struct holder *holder, const char *why);
