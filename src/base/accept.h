/* SPDX-License-Identifier: Apache-2.0 */
/* Taking connections of processes at a stream socket of unix(7), for programs with a loop. */
#pragma once

#include <sys/socket.h>

/* Takes the descriptor that the process keeps for when it has no other; accept_next() does it, too.
 * For a listener that may never have to accept: so that the first does not make it have one more.
 */
void accept_spare(int listener);

/* The next connection of a listener, close-on-exec and non-blocking, and who made it, as
 * credentials_of() says it; the caller owns it. Negative errno: -EAGAIN when none waits; -EMFILE or
 * -ENFILE when there was no descriptor for it: then it was closed, and the listener is not readable
 * because of it any more. */
int accept_next(int listener, struct ucred *ret_who);
