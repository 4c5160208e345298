/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One Varlink connection (https://varlink.org/Wire-Protocol), either side of it: NUL-terminated
 * JSON objects over a unix stream socket, with file descriptors (SCM_RIGHTS) beside the message
 * they belong to. A connection serves the interfaces it was given and may call those of its peer.
 *
 * A message and its fds are one queue item on the way out: one sendmsg(2) carries the first byte of
 * the message and all its fds. On the way in the kernel ends a read behind the fragment that
 * carried fds (unix_stream_read_generic in net/unix/af_unix.c), so fds belong to the last message
 * that began in that read.
 *
 * Limits are counted here: CONN_MESSAGE_MAX bytes a message (its NUL included), CONN_FDS_MAX fds a
 * message, CONN_PENDING_MAX calls of ours without a reply, CONN_OUT_MAX bytes that a peer which
 * never reads can pile up. A peer that breaks one gets a typed error where it can still be told,
 * and is closed. Requests are served one at a time; others wait, in the end in the peer's socket
 * buffer.
 *
 * Callbacks and handlers run from the loop only, never from within a function called here, and may
 * free their connection or any other.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/credentials.h"
#include "base/error.h"
#include "base/json.h"
#include "base/loop.h"

#define CONN_MESSAGE_MAX (256 * 1024)
#define CONN_FDS_MAX     40
#define CONN_PENDING_MAX 64
#define CONN_OUT_MAX     (4 * 1024 * 1024)

struct conn;
struct call;      /* a request being served; lives until call_reply() or call_fail() */
struct interface; /* idl.h: the parsed text of an interface, and its methods' handlers */

/* The connection ended: error is 0 (EOF), or negative errno. Called once; free it from here. */
typedef void conn_closed_fn(struct conn *conn, int error);

/* A reply to conn_call(). Exactly one of reply and error is set; both are borrowed, and so are the
 * fds: take one by setting its slot to -1. more: another reply to this call follows. When the
 * connection ends, every pending call gets an error with code -ECONNRESET first. A peer that does
 * not know the method or one of its fields, so is older than we are: code -ENOSYS. */
typedef void conn_reply_fn(void *context, json_t *reply, int *fds, size_t fd_count, bool more,
                           const struct error *error);

/* Takes fd in every case, even when it fails. interfaces: NULL-terminated; the list is copied, what
 * is in it is borrowed; NULL: serves nothing but org.varlink.service. owner: for handlers,
 * conn_owner(). name: for log lines; copied. */
int conn_new(struct loop *loop, int fd, const char *name, struct interface *const *interfaces,
             void *owner, conn_closed_fn *closed, struct conn **ret_conn);
/* Closes without calling closed or call_on_gone()'s callback. Pending outgoing calls are dropped
 * silently, calls being served become orphans: replying to them is allowed and does nothing.
 * Accepts NULL. */
void conn_free(struct conn *conn);

void *conn_owner(const struct conn *conn);
const char *conn_name(const struct conn *conn);
/* Who was at the other end when it connected (base/credentials.h). */
const struct ucred *conn_peer(const struct conn *conn);
int conn_fd(const struct conn *conn);        /* borrowed; for getsockopt(2) */
size_t conn_queued(const struct conn *conn); /* bytes that the peer has not taken yet */
/* Reads no more; ends the connection (through closed, error 0) when what is queued was written. A
 * call that is then still in hand is told that its peer is gone. */
void conn_finish(struct conn *conn);

/* Calls "interface.Method". parameters: stolen, may be NULL. fds: duplicated, stay the caller's.
 * reply may be NULL: a oneway call. more: asks for a stream of replies. Negative errno, and reply
 * is not called: -EBUSY, -EMSGSIZE, -E2BIG (fds) for a limit, -ENOTCONN when the connection is
 * over, or what broke it: it then ends from the loop. */
int conn_call(struct conn *conn, const char *method, json_t *parameters, const int *fds,
              size_t fd_count, bool more, conn_reply_fn *reply, void *context);

/* --- serving --- */

struct conn *call_conn(const struct call *call); /* NULL once the connection is gone */
/* Borrowed; already checked against the interface's text: known fields, right types. */
json_t *call_parameters(const struct call *call);
bool call_wants_more(const struct call *call);
/* fd_count fds came with the request; call_take_fd() hands one over, -1 if there is none. */
size_t call_fd_count(const struct call *call);
int call_take_fd(struct call *call, size_t index);

/* Ends the call. parameters: stolen, may be NULL. fds: duplicated, stay the caller's. */
void call_reply(struct call *call, json_t *parameters, const int *fds, size_t fd_count);
/* One of several replies; the call goes on. Returns negative errno when the peer is gone or can't
 * keep up; the call must then be ended with call_drop(). */
int call_continue(struct call *call, json_t *parameters);
/* Ends the call with "<interface>.<error id>" and {field, reason, hint}. */
void call_fail(struct call *call, const struct error *error);
/* Ends the call without a reply: for one whose peer is gone. */
void call_drop(struct call *call);

/* A call whose peer went away is told so here, so that what it holds can be given back; it must
 * still be ended. May be NULL. */
void call_on_gone(struct call *call, void (*gone)(struct call *call, void *context), void *context);
