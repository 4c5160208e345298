/* SPDX-License-Identifier: Apache-2.0 */
/* See screen.h. */
#include "cli/screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "base/own.h"

/* The alternate page, without cursor: xterm's private modes. */
#define SHOW "\033[?1049h\033[?25l"
#define HIDE "\033[?25h\033[?1049l"
/* To the beginning; the rest of a line; the rest of the page. */
#define HOME      "\033[H"
#define LINE_REST "\033[K"
#define PAGE_REST "\033[J"

static struct termios terminal_before; /* a process has one */

static void put(const char *text, size_t size)
{
    while (size > 0) {
        ssize_t put = write(STDOUT_FILENO, text, size);

        if (put <= 0)
            return; /* the terminal is gone: SIGHUP follows */
        text += put;
        size -= (size_t)put;
    }
}

static void page_show(struct screen *screen)
{
    struct termios keys;

    put(SHOW, strlen(SHOW));
    screen->shown = true;
    screen->keys = tcgetattr(STDIN_FILENO, &terminal_before) == 0;
    if (!screen->keys)
        return;
    keys = terminal_before;
    keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &keys);
}

static void page_hide(struct screen *screen)
{
    if (!screen->shown)
        return;
    put(HIDE, strlen(HIDE));
    if (screen->keys)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal_before);
    screen->shown = false;
}

int screen_open(struct screen *screen)
{
    static const int wanted[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
        sigaddset(&set, wanted[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    *screen = (struct screen){.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)};
    if (screen->signals < 0)
        return -errno;
    page_show(screen);
    return 0;
}

void screen_close(struct screen *screen)
{
    page_hide(screen);
    fd_close(&screen->signals);
}

void screen_size(unsigned *ret_lines, unsigned *ret_columns)
{
    struct winsize size;
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col;

    *ret_lines = known ? size.ws_row : 24;
    *ret_columns = known ? size.ws_col : 80;
}

/* How many bytes of a line fit; one that begins a character within UTF-8 takes a column. */
static size_t line_fit(const char *line, size_t size, unsigned columns)
{
    size_t i = 0;

    for (; i < size; i++)
        if (((unsigned char)line[i] & 0xc0) != 0x80 && columns-- == 0)
            break;
    return i;
}

void screen_draw(const struct buf *text)
{
    OWN(buf) struct buf out = BUF_NULL;
    const char *line = buf_text(text), *end;
    unsigned lines, columns;

    screen_size(&lines, &columns);
    buf_printf(&out, HOME);
    for (; lines > 0 && (end = strchr(line, '\n')); line = end + 1, lines--) {
        buf_append(&out, line, line_fit(line, (size_t)(end - line), columns));
        buf_printf(&out, LINE_REST "%s", lines > 1 ? "\r\n" : "");
    }
    if (lines > 0)
        buf_printf(&out, PAGE_REST);
    put(out.data, out.size);
}

/* Ctrl-Z: the terminal is the shell's again until we are continued. */
static void pause_here(struct screen *screen)
{
    page_hide(screen);
    raise(SIGSTOP);
    page_show(screen);
}

static enum screen_event signal_take(struct screen *screen)
{
    struct signalfd_siginfo info;

    if (read(screen->signals, &info, sizeof(info)) != sizeof(info))
        return SCREEN_DRAW;
    if (info.ssi_signo == SIGTSTP)
        pause_here(screen);
    return info.ssi_signo == SIGTSTP || info.ssi_signo == SIGWINCH ? SCREEN_DRAW : SCREEN_QUIT;
}

static enum screen_event key_take(struct screen *screen)
{
    char key;

    if (read(STDIN_FILENO, &key, 1) != 1)
        screen->keys = false;
    else if (key == 'q' || key == 'Q')
        return SCREEN_QUIT;
    return SCREEN_DRAW;
}

enum screen_event screen_wait(struct screen *screen, int timeout_ms)
{
    struct pollfd fds[] = {{.fd = screen->signals, .events = POLLIN},
                           {.fd = screen->keys ? STDIN_FILENO : -1, .events = POLLIN}};

    if (poll(fds, ARRAY_SIZE(fds), timeout_ms) <= 0)
        return SCREEN_TIME;
    return fds[0].revents ? signal_take(screen) : key_take(screen);
}
