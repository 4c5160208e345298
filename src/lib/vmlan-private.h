/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of libvmlan share: vmlan.c has the object and the calls, attach.c the ports. Both
 * only translate between include/vmlan.h and client.h.
 */
#pragma once

#include "base/list.h"
#include "lib/client.h"
#include "vmlan.h"

struct vmlan {
    struct client *client;
    struct list requests; /* struct vmlan_request */
    struct error error;
    struct vmlan_error told; /* its texts are those of error */
};

struct vmlan_request {
    struct list link;
    struct vmlan *v;
    struct client_call *call;
    vmlan_reply_fn *replied; /* one of the two */
    vmlan_attached_fn *attached;
    void *userdata;
};

/* Keeps error for vmlan_error() and returns its code. After -ECANCELED there is no object any more.
 */
int vmlan_fail(struct vmlan *v, const struct error *error);

/* Asks; request: a template, with v, its callback and userdata. parameters: stolen. */
int vmlan_ask(const struct vmlan_request *request, const char *method, json_t *parameters,
              bool more, struct vmlan_request **ret);

/* JSON text to an object; a new reference. field: of the error. */
int vmlan_parse(const char *text, const char *field, json_t **ret, struct error *error);

/* --- attach.c --- */

/* Tells the callback of a request about its reply (fds as in conn.h), or result alone. */
void attach_tell(const struct vmlan_request *request, int result, json_t *reply, int *fds,
                 size_t fd_count);
