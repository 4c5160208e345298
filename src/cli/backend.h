/* SPDX-License-Identifier: Apache-2.0 */
/* Backends of a port by the words people use for them, QEMU's and Lima's among them. */
#pragma once

#include "base/error.h"

#define BACKEND_WORDS "tap, tap_next, stream, socket, dgram, dgram_next, datagram or datagram_next"

/* Of a tap inside the network's namespace, which a hypervisor there opens by its name. */
#define BACKEND_NAMED "named_tap"

/* Whether it is one of them: -EINVAL with a message. */
int backend_check(const char *word, struct error *error);

/* The protocol's word for it; another text is returned as it is. */
const char *backend_protocol(const char *word);

/* What the environment says: $VMLAN_BACKEND, else variable's value (NULL: none is asked), borrowed,
 * and which of the two it was; both are NULL where neither is set. -EINVAL when it is no backend.
 */
int backend_from_environment(const char *variable, const char **ret, const char **ret_variable,
                             struct error *error);
