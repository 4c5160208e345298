/* SPDX-License-Identifier: Apache-2.0 */
/* The time of day as text: RFC 3339, UTC, with milliseconds. */
#pragma once

#define STAMP_SIZE 48

/* Writes the time it is now and returns text. */
char *stamp_now(char text[STAMP_SIZE]);
