/* SPDX-License-Identifier: Apache-2.0 */
/* What an adapter is without any trouble taken: the reference the benchmark compares with. */
#pragma once

#include <stdbool.h>

/* Moves frames between tap and socket, one a system call and without any offload, for ever. The
 * fds are non-blocking and borrowed. */
void naive_run(int tap, int peer, bool stream);
