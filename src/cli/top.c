/* SPDX-License-Identifier: Apache-2.0 */
/* vmlan top: what goes through each port now; a page on a terminal, else lines. */
#include "cli/top.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/loop.h"
#include "base/own.h"
#include "base/stamp.h"
#include "cli/counters.h"
#include "cli/screen.h"

struct top {
    json_t *before, *now; /* arrays of NetworkCounters */
    uint64_t before_ms, now_ms;
    uint64_t interval_ms;
    long count; /* intervals still to be shown; -1: no end */
    bool json;
};

/* --- rates --- */

enum { BITS, PACKETS, DROPS, RATES };
static const char *const fields[RATES] = {"bytes", "packets", "dropped"};
static const double factors[RATES] = {8, 1, 1};

struct rates {
    double receive[RATES], transmit[RATES];
};

static const json_t *item_named(const json_t *array, const char *key, const char *name)
{
    const json_t *item;
    size_t index;

    json_array_foreach(array, index, item)
        if (strcmp(json_text(item, key, "-"), name) == 0)
            return item;
    return NULL;
}

/* Of a port that came within the interval, or came anew under the same name, all it has counted. */
static double rate(const struct top *top, const json_t *now, const json_t *before, const char *way,
                   const char *field)
{
    json_int_t to = json_integer_value(json_object_get(json_object_get(now, way), field));
    json_int_t from = json_integer_value(json_object_get(json_object_get(before, way), field));
    double seconds = (double)(top->now_ms - top->before_ms) / 1000;

    return seconds > 0 ? (double)(to >= from ? to - from : to) / seconds : 0;
}

static void rates_of(const struct top *top, const json_t *network, const json_t *port,
                     struct rates *ret)
{
    const json_t *was = item_named(top->before, "network", json_text(network, "network", "-"));
    const json_t *before =
        item_named(json_object_get(was, "ports"), "port", json_text(port, "port", "-"));

    for (int i = 0; i < RATES; i++) {
        ret->receive[i] = factors[i] * rate(top, port, before, "receive", fields[i]);
        ret->transmit[i] = factors[i] * rate(top, port, before, "transmit", fields[i]);
    }
}

/* --- lines --- */

/* What stands before the rates. */
enum { NETWORK, PORT, NAME, KIND, CELLS };
static const struct {
    const char *key, *head;
} cells[CELLS] = {
    [NETWORK] = {"network", "NETWORK"},
    [PORT] = {"port", "PORT"},
    [NAME] = {"name", "NAME"},
    [KIND] = {"backend", "KIND"},
};

/* The rates of one way, and how wide they and other things are. */
#define WAY_FORMAT "%8s %6s %6s"
enum { WAY_WIDTH = 22, GAP = 2, NARROWEST = 7 };

/* "12.3M": four places at most, and a unit of a thousand. */
static const char *short_number(double value, char text[16])
{
    static const char units[] = " kMGTP";
    size_t unit = 0;

    for (; value >= 999.5 && unit + 2 < sizeof(units); unit++)
        value /= 1000;
    snprintf(text, 16, unit && value < 99.95 ? "%.1f%c" : "%.0f%c", value, units[unit]);
    return text;
}

static void way_print(struct buf *out, const double *rates)
{
    char text[RATES][16];

    buf_printf(out, WAY_FORMAT, short_number(rates[BITS], text[BITS]),
               short_number(rates[PACKETS], text[PACKETS]),
               short_number(rates[DROPS], text[DROPS]));
}

static const char *cell_text(const json_t *network, const json_t *port, int cell)
{
    return json_text(cell == NETWORK ? network : port, cells[cell].key, "-");
}

/* As wide as what stands in them. */
static void widths_want(const struct top *top, int widths[CELLS])
{
    const json_t *network, *port;
    size_t i, k;

    for (int cell = 0; cell < CELLS; cell++)
        widths[cell] = (int)strlen(cells[cell].head);
    json_array_foreach(top->now, i, network)
        json_array_foreach(json_object_get(network, "ports"), k, port)
            for (int cell = 0; cell < CELLS; cell++) {
                int width = (int)strlen(cell_text(network, port, cell));

                widths[cell] = width > widths[cell] ? width : widths[cell];
            }
}

/* So that the rates are seen whole: the widest is cut until a line fits. */
static void widths_fit(int widths[CELLS], int columns)
{
    int total = CELLS * GAP + WAY_WIDTH + GAP + WAY_WIDTH, widest = 0;

    for (int cell = 0; cell < CELLS; cell++)
        total += widths[cell];
    while (total > columns) {
        for (int cell = 0; cell < CELLS; cell++)
            if (widths[cell] > widths[widest])
                widest = cell;
        if (widths[widest] <= NARROWEST)
            return;
        widths[widest]--;
        total--;
    }
}

static void cell_print(struct buf *out, int width, const char *text)
{
    buf_printf(out, "%-*.*s%*s", width, width, text, GAP, "");
}

static void head_print(struct buf *out, const int widths[CELLS])
{
    for (int cell = 0; cell < CELLS; cell++)
        cell_print(out, widths[cell], cells[cell].head);
    buf_printf(out, WAY_FORMAT "%*s" WAY_FORMAT "\n", "RX bit/s", "pkt/s", "drop/s", GAP, "",
               "TX bit/s", "pkt/s", "drop/s");
}

static void row_print(struct buf *out, const json_t *network, const json_t *port,
                      const struct rates *rates, const int widths[CELLS])
{
    for (int cell = 0; cell < CELLS; cell++)
        cell_print(out, widths[cell], cell_text(network, port, cell));
    way_print(out, rates->receive);
    buf_printf(out, "%*s", GAP, "");
    way_print(out, rates->transmit);
    buf_printf(out, "\n");
}

static json_t *way_json(const double *rates)
{
    return json_pack("{sI sI sI}", "bits", (json_int_t)rates[BITS], "packets",
                     (json_int_t)rates[PACKETS], "dropped", (json_int_t)rates[DROPS]);
}

static void row_json(struct buf *out, const json_t *network, const json_t *port,
                     const struct rates *rates)
{
    char time[STAMP_SIZE];
    OWN(json)
    json_t *row =
        json_pack("{ss ss ss ss so so}", "time", stamp_now(time), "network",
                  json_text(network, "network", "-"), "port", json_text(port, "port", "-"),
                  "backend", json_text(port, "backend", "-"), "receive", way_json(rates->receive),
                  "transmit", way_json(rates->transmit));
    OWN(mem) char *text = NULL;

    if (json_object_get(port, "name"))
        json_object_set(row, "name", json_object_get(port, "name"));
    text = json_dumps(row, JSON_COMPACT);
    buf_printf(out, "%s\n", text);
}

static void rows_print(const struct top *top, struct buf *out, int columns)
{
    const json_t *network, *port;
    int widths[CELLS];
    struct rates rates;
    size_t i, k;

    widths_want(top, widths);
    widths_fit(widths, columns);
    if (!top->json)
        head_print(out, widths);
    json_array_foreach(top->now, i, network)
        json_array_foreach(json_object_get(network, "ports"), k, port) {
            rates_of(top, network, port, &rates);
            if (top->json)
                row_json(out, network, port, &rates);
            else
                row_print(out, network, port, &rates, widths);
        }
}

static void page_print(const struct top *top, struct buf *out)
{
    const json_t *network;
    size_t index, ports = 0;
    unsigned lines, columns;
    time_t now = time(NULL);
    char clock[16];
    struct tm local;

    strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&now, &local));
    json_array_foreach(top->now, index, network)
        ports += json_array_size(json_object_get(network, "ports"));
    screen_size(&lines, &columns);
    buf_printf(out,
               "vmlan top  %s  networks: %zu  ports: %zu  (RX and TX are the guest's; q ends)\n\n",
               clock, json_array_size(top->now), ports);
    rows_print(top, out, (int)columns);
}

/* --- time --- */

static int sample(struct top *top, struct error *error)
{
    json_t *networks;
    int r = counters_get(NULL, &networks, error);

    if (r < 0)
        return r;
    json_decref(top->before);
    top->before = top->now;
    top->before_ms = top->now_ms;
    top->now = networks;
    top->now_ms = clock_ms();
    return 0;
}

/* Nor is there more to do where nobody gets it. */
static bool count_down(struct top *top)
{
    return !ferror(stdout) && (top->count < 0 || --top->count > 0);
}

static int run_lines(struct top *top, struct error *error)
{
    do {
        OWN(buf) struct buf out = BUF_NULL;

        poll(NULL, 0, (int)top->interval_ms);
        if (sample(top, error) < 0)
            return error->code;
        rows_print(top, &out, INT_MAX);
        fputs(buf_text(&out), stdout);
        fflush(stdout);
    } while (count_down(top));
    return 0;
}

static int run_page(struct top *top, struct error *error)
{
    enum screen_event event = SCREEN_DRAW;
    struct screen screen;
    int r = screen_open(&screen);

    if (r < 0)
        return error_system(error, r, "cannot use the terminal");
    while (r >= 0 && event != SCREEN_QUIT) {
        OWN(buf) struct buf out = BUF_NULL;
        uint64_t next = top->now_ms + top->interval_ms, now = clock_ms();

        page_print(top, &out);
        screen_draw(&out);
        event = screen_wait(&screen, next > now ? (int)(next - now) : 0);
        if (event != SCREEN_TIME)
            continue;
        r = sample(top, error);
        if (r >= 0 && !count_down(top))
            break;
    }
    screen_close(&screen);
    return r;
}

static int options_take(const struct cli *cli, struct top *top)
{
    const char *interval = cli_option(cli, "interval"), *count = cli_option(cli, "count");
    char *end = "";
    double seconds = interval ? strtod(interval, &end) : 1;

    if (*end || !(seconds >= 0.1 && seconds <= 3600))
        return cli_fail_text(cli, "--interval %s: not a number of seconds from 0.1 to 3600",
                             interval);
    top->interval_ms = (uint64_t)(seconds * 1000);
    top->count = count ? strtol(count, &end, 10) : -1;
    if (*end || (count && top->count < 1))
        return cli_fail_text(cli, "--count %s: not a number from 1 on", count);
    return 0;
}

/* One that can be drawn on: terminfo(5) calls the others dumb. */
static bool on_terminal(void)
{
    const char *terminal = getenv("TERM");

    return isatty(STDOUT_FILENO) && terminal && *terminal && strcmp(terminal, "dumb") != 0;
}

static int top(struct cli *cli)
{
    struct top top = {.json = cli->json};
    bool page = !cli->json && on_terminal();
    struct error error;
    int r = options_take(cli, &top);

    if (r != 0)
        return r;
    r = sample(&top, &error);
    if (r >= 0)
        r = page ? run_page(&top, &error) : run_lines(&top, &error);
    json_decref(top.before);
    json_decref(top.now);
    return r < 0 ? cli_fail(cli, &error) : 0;
}

static const struct verb_option top_options[] = {
    {"interval", 'i', "SECONDS", "from one look to the next; 1 when not given"},
    {"count", 'c', "N", "end after N intervals"},
    {0},
};

const struct verb verb_top = {
    .name = "top",
    .arguments = "",
    .summary = "show what goes through each port, live",
    .text = "On a terminal it is a page that q or Ctrl-C ends; otherwise lines, those of an "
            "interval behind a head, or with --json an object for each port. RX is what the guest "
            "receives, TX what it sends. It keeps no network from ending.",
    .options = top_options,
    .run = top,
};
