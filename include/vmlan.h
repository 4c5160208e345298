/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libvmlan: ports on named local networks for virtual machines, from within a program.
 *
 *     struct vmlan_options options = VMLAN_OPTIONS_INIT;
 *     struct vmlan_port *port;
 *     struct vmlan *v;
 *
 *     options.network = "shared";
 *     if (vmlan_open(0, &v) < 0 || vmlan_attach(v, &options, &port) < 0)
 *         …
 *     the guest's frames come from and go to port->fds[0], a tap
 *
 * The library asks vmlan's broker, and starts one where none runs. It makes no threads, has no
 * global state, and touches neither signals nor children of its caller. An object is used by one
 * thread at a time; different threads may use different objects. See libvmlan(3).
 *
 * Functions that return int return 0 or a negative errno; what went wrong, and the cure, is then in
 * vmlan_error(). Output parameters are written only on success. Strings are UTF-8. Up to 64
 * requests of an object may wait for their answer (-EBUSY); those with VMLAN_MORE do not count.
 */
#ifndef VMLAN_H
#define VMLAN_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vmlan;         /* a client of the broker */
struct vmlan_request; /* something asked for whose callback is still to come */

/* --- the object --- */

/* Calls fail with -ENOENT rather than start a broker where no network runs. */
#define VMLAN_NO_START 1u

/* Makes an object; connects nowhere yet. -EINVAL (flags), -EMFILE, -ENFILE. */
int vmlan_open(unsigned int flags, struct vmlan **ret);

/* Ends the object and its connections; requests are dropped, their callbacks not called. Ports
 * stay: they live as long as their descriptors are open. Accepts NULL; may be called in a callback.
 */
void vmlan_close(struct vmlan *v);

/* The version of the library, such as "0.1.0"; static. */
const char *vmlan_version(void);

/* What went wrong. The library owns it. Later versions may add fields at the end. */
struct vmlan_error {
    int code;           /* negative errno, as the function returned it */
    const char *name;   /* the protocol's: "InvalidParameter", "NetworkNotFound", "Conflict",
                           "LimitReached", "PermissionDenied", "Unavailable" or "Failed" */
    const char *field;  /* where, such as "Attach.mac"; "" where there is no place */
    const char *reason; /* what is wrong */
    const char *hint;   /* what to do; "" when there is nothing better than the reason */
};

/* Of the last function that failed, or, in a callback, of its request. Valid until the next call of
 * a function with this object; never NULL. */
const struct vmlan_error *vmlan_error(const struct vmlan *v);

/* --- the event loop --- */

/* A descriptor for poll(2) and its like: while it is readable (POLLIN), vmlan_dispatch() has
 * something to do. The same as long as the object lives, which owns it. */
int vmlan_fd(const struct vmlan *v);

/* Runs the callbacks of what has come; waits up to timeout_ms milliseconds for it (0: does not
 * wait, -1: without limit). It may return early, as after a signal. -EDEADLK: called in a callback.
 * -ECANCELED: a callback closed the object. */
int vmlan_dispatch(struct vmlan *v, int timeout_ms);

/* --- ports --- */

/* What is wanted of a port. Fill with VMLAN_OPTIONS_INIT first: what is NULL or 0 is not asked for.
 * Later versions may add fields at the end. */
struct vmlan_options {
    size_t size;         /* sizeof(struct vmlan_options) */
    const char *network; /* the network's name; it starts if it does not run */
    const char *backend; /* "tap" when NULL; "namespace", "stream", "datagram", "datagram_next" */
    const char *name;    /* the guest's name on the network */
    const char *mac;     /* "52:55:55:00:00:01"; chosen when NULL */
    const char *ip;      /* an IPv4 address that is reserved for this guest */
    /* What a network that starts is to be like, as one JSON object with the keys of a network in
     * networks.yaml: the text of it, or a file that has it. Neither: the user's networks.yaml. */
    const char *configuration;
    const char *configuration_file;
    int queues;           /* of a tap: 1 to 16 */
    int tso;              /* of a socket: the guest takes and sends TCP frames of up to 64 KiB */
    int checksum_offload; /* of a socket: the guest may leave checksums to be completed */
    int strict;           /* fail (-EEXIST) if the network runs with another configuration */
};

#define VMLAN_OPTIONS_INIT                                                                 \
    {                                                                                      \
        sizeof(struct vmlan_options), NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0 \
    }

/* A port that was given. It lasts until the last copy of its descriptors is closed. To keep a
 * descriptor, take it out: copy it and set its slot to -1; vmlan_port_free() closes the others.
 * They are close-on-exec. Later versions may add fields at the end. */
struct vmlan_port {
    const char *network;
    const char *id; /* the port's name in "vmlan ls" */
    const char *backend;
    const char *mac;
    const char *subnet;   /* "192.168.107.0/24" */
    const char *gateway;  /* an IPv4 address */
    const char *gateway6; /* an IPv6 address, or NULL */
    const char *domain;   /* in which the network's names are: "shared.internal" */
    unsigned int mtu;
    int dhcp; /* whether addresses are given out */
    /* tap: one for each queue, O_NONBLOCK; frames behind a struct virtio_net_hdr of 10 bytes.
     * stream, datagram, datagram_next: a socket. namespace: the user and the network namespace. */
    int *fds;
    size_t fd_count;
    int *vhost_fds; /* /dev/vhost-net, as many as queues, or none */
    size_t vhost_fd_count;
    /* Keys in which the configuration asked for is not the one that runs; ends with NULL. */
    const char *const *differs;
    const char *json; /* the broker's whole answer */
};

/* Closes the descriptors that were not taken. Accepts NULL. */
void vmlan_port_free(struct vmlan_port *port);

/* Asks for a port and waits for it; the caller frees *ret. Callbacks of other requests may run
 * meanwhile. Not in a callback (-EDEADLK). */
int vmlan_attach(struct vmlan *v, const struct vmlan_options *options, struct vmlan_port **ret);

/* result: 0 and a port that the callback owns, or negative errno and NULL. */
typedef void vmlan_attached_fn(struct vmlan *v, int result, struct vmlan_port *port,
                               void *userdata);

/* Asks for a port; the callback runs from vmlan_dispatch(). On failure it is not called. ret may be
 * NULL. */
int vmlan_attach_async(struct vmlan *v, const struct vmlan_options *options,
                       vmlan_attached_fn *attached, void *userdata, struct vmlan_request **ret);

/* --- networks --- */

/* What there is, as JSON text that the caller frees with free(3): the replies of the protocol's
 * methods List, Inspect and Leases. */
int vmlan_list(struct vmlan *v, char **ret_json);
int vmlan_inspect(struct vmlan *v, const char *network, char **ret_json);
int vmlan_leases(struct vmlan *v, const char *network, char **ret_json);

/* Starts a network and keeps it without ports until vmlan_down(). configuration: as in struct
 * vmlan_options; may be NULL. */
int vmlan_up(struct vmlan *v, const char *network, const char *configuration);
/* Ends a network; its ports are cut off. */
int vmlan_down(struct vmlan *v, const char *network);

/* --- any method of the protocol --- */

/* Descriptors are kept as those of a port are. Later versions may add fields at the end. */
struct vmlan_reply {
    const char *json; /* the reply's parameters, one JSON object */
    int *fds;
    size_t fd_count;
    int more; /* of a request with VMLAN_MORE: another reply follows */
};

/* Closes the descriptors that were not taken. Accepts NULL. */
void vmlan_reply_free(struct vmlan_reply *reply);

/* Calls a method of io.vmlan.Broker ("Inspect"), or "interface.Method", and waits for its reply;
 * the caller frees *ret. parameters: a JSON object, may be NULL. Not in a callback (-EDEADLK). */
int vmlan_call(struct vmlan *v, const char *method, const char *parameters,
               struct vmlan_reply **ret);

/* result: 0 and a reply that is the library's, or negative errno and NULL: then it was the last. */
typedef void vmlan_reply_fn(struct vmlan *v, int result, struct vmlan_reply *reply, void *userdata);

/* Asks for replies until the request ends or is cancelled, for methods that have more than one. */
#define VMLAN_MORE 1u

/* Calls a method; the callback runs from vmlan_dispatch(), once, or with VMLAN_MORE for each reply.
 * On failure it is not called. ret may be NULL. */
int vmlan_call_async(struct vmlan *v, const char *method, const char *parameters,
                     unsigned int flags, vmlan_reply_fn *replied, void *userdata,
                     struct vmlan_request **ret);

/* Tells what happens on networks (an array of names that ends with NULL), or on all (NULL): each
 * reply's JSON is {"event": {…}}, the protocol's method Monitor. First comes what there is, then
 * "ready", then what changes. It keeps no network; when none is left, the last reply comes (more is
 * 0). */
int vmlan_monitor(struct vmlan *v, const char *const *networks, vmlan_reply_fn *replied,
                  void *userdata, struct vmlan_request **ret);

/* The request's callback is not called any more; the broker may carry it out nevertheless. A
 * request is over, and not to be cancelled, from its last callback on. */
void vmlan_cancel(struct vmlan_request *request);

#ifdef __cplusplus
}
#endif

#endif
