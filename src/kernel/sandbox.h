/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The forwarder's sandbox: no capabilities, no new privileges, and only the system calls it makes
 * (seccomp(2), by libseccomp). It reads bytes that guests choose, so what it could be talked into
 * is kept to what it does anyway.
 */
#pragma once

#include "base/error.h"

/* From here on a system call that is not on the list ends the process (SIGSYS). */
int sandbox_enter(struct error *error);
