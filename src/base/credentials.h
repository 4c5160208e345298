/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is at the other end of a stream socket of unix(7): the process that connected it, as it was
 * then (SO_PEERCRED). One whose user has no number in our user namespace has the overflow uid.
 */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

/* fd: connected; borrowed. Negative errno. */
int credentials_of(int fd, struct ucred *ret_who);

/* Whether that is a process of our own user, or of root. */
bool credentials_trusted(const struct ucred *who);
