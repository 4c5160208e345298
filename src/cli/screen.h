/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A terminal as a page that is drawn anew again and again, by ECMA-48 sequences that every terminal
 * of today knows. What was on it before comes back, whatever ends the program short of SIGKILL.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"

struct screen {
    int signals; /* owned; SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH */
    bool keys;   /* stdin is a terminal too, and gives single keys */
    bool shown;
};

/* Negative errno. */
int screen_open(struct screen *screen);
void screen_close(struct screen *screen);

/* How many lines and columns there are. */
void screen_size(unsigned *ret_lines, unsigned *ret_columns);
/* text: whole lines; what does not fit is left out. */
void screen_draw(const struct buf *text);

enum screen_event { SCREEN_TIME, SCREEN_DRAW, SCREEN_QUIT };
/* Waits until the time is over, the page is to be drawn anew, or the user has seen enough. */
enum screen_event screen_wait(struct screen *screen, int timeout_ms);
