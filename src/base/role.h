/* SPDX-License-Identifier: Apache-2.0 */
/* Starting vmlan in one of its roles (main.c). */
#pragma once

/* Detached, with our log level and format. program: the executable; NULL: this very one, which is
 * vmlan. argument may be NULL. listener: a listening socket the
 * role gets as fd 3 (sd_listen_fds(3)), -1: none; borrowed. out: its stdout and stderr, -1: ours;
 * borrowed. Negative errno. */
int role_start(const char *program, const char *role, const char *argument, int listener, int out);
