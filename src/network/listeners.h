/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sockets at paths in a network's directory. Only this user (and root) may open them: their
 * mode is 0600.
 */
#pragma once

#include "base/error.h"

/* Makes net/NETWORK/FILE, in place of one that is there, and listens there if type is SOCK_STREAM.
 * An owned descriptor that does not block, or negative errno with a message. */
int listener_make(const char *network, const char *file, int type, struct error *error);
