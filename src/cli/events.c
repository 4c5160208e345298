/* SPDX-License-Identifier: Apache-2.0 */
/* vmlan events: what happens, as it happens. Goes on whatever becomes of the broker. */
#include "cli/events.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/stamp.h"
#include "cli/session.h"
#include "lib/await.h"

/* A broker that ends as soon as it is asked is not asked more often. */
enum { AGAIN_MS = 100 };

struct watching {
    bool json;
    bool lost; /* the broker went without a word: its successor is one that was restarted */
    bool over; /* … of the present broker's answers */
    int result;
    struct error *error;
};

/* --- as text --- */

static void print_text(const json_t *event)
{
    static const struct {
        const char *key, *head;
    } shown[] = {
        {"port", ""},      {"service", ""}, {"forward", ""},        {"address", ""},
        {"backend", ""},   {"mode", ""},    {"subnet", ""},         {"gateway", "gateway "},
        {"name", "name "}, {"mac", ""},     {"reason", "because "},
    };
    const char *network = json_string_value(json_object_get(event, "network"));
    const json_t *pid = json_object_get(event, "pid");
    char now[16];
    time_t seconds = time(NULL);
    struct tm local;

    strftime(now, sizeof(now), "%H:%M:%S", localtime_r(&seconds, &local));
    printf("%s  %-12s %-17s", now, network ? network : "-",
           json_string_value(json_object_get(event, "event")));
    for (size_t i = 0; i < ARRAY_SIZE(shown); i++) {
        const char *text = json_string_value(json_object_get(event, shown[i].key));

        if (text)
            printf("  %s%s", shown[i].head, text);
    }
    if (pid)
        printf("  pid %lld", (long long)json_integer_value(pid));
    puts(json_is_true(json_object_get(event, "present")) ? "  (present)" : "");
}

static void print_event(const struct watching *watching, const json_t *event)
{
    if (watching->json) {
        json_dumpf(event, stdout, JSON_COMPACT);
        putchar('\n');
    } else {
        print_text(event);
    }
    fflush(stdout);
}

/* --- the stream --- */

static bool is_broker(const json_t *event)
{
    const char *service = json_string_value(json_object_get(event, "service"));

    return service && strcmp(service, "broker") == 0;
}

static void event_print(struct watching *watching, const json_t *reply)
{
    OWN(json) json_t *event = json_copy(json_object_get(reply, "event"));

    if (watching->lost && is_broker(event)) {
        watching->lost = false;
        json_object_set_new(event, "event", json_string("service-restarted"));
        json_object_del(event, "present");
    }
    print_event(watching, event);
}

static void event_came(void *context, json_t *reply, int *fds, size_t fd_count, bool more,
                       const struct error *error)
{
    struct watching *watching = context;

    (void)fds, (void)fd_count;
    watching->over = !more;
    if (error) {
        *watching->error = *error;
        watching->result = error->code;
    } else {
        event_print(watching, reply);
    }
}

static void print_lost(const struct watching *watching, const struct error *error)
{
    char now[STAMP_SIZE];
    OWN(json)
    json_t *event =
        json_pack("{ss ss ss}", "time", stamp_now(now), "event", "lost", "reason", error->reason);

    print_event(watching, event);
}

/* Answers until the broker ends, or who reads what is printed (-EPIPE). */
static int stream(struct client *client, json_t *networks, struct watching *watching)
{
    struct pollfd fds[] = {{.fd = client_fd(client), .events = POLLIN}, {.fd = STDOUT_FILENO}};
    int r = client_ask(client, "Monitor", json_pack("{sO}", "networks", networks), true, event_came,
                       watching, NULL, watching->error);

    watching->over = false;
    watching->result = 0;
    while (r >= 0 && !watching->over && !ferror(stdout)) {
        if (poll(fds, ARRAY_SIZE(fds), -1) > 0 && fds[1].revents)
            return error_system(watching->error, -EPIPE, "nobody reads");
        r = client_turn(client, 0);
    }
    return r < 0 ? r : watching->result;
}

/* Watches one broker until it ends; negative errno when there is no point in asking the next. */
static int watch(json_t *networks, struct watching *watching)
{
    /* Not client_open(): a connection that only waits would keep the broker. */
    const struct launch launch = {.if_networks = true};
    OWN(client) struct client *client = NULL;
    int r = await_networks(STDOUT_FILENO, watching->error);

    if (r >= 0 && (r = client_new(&launch, &client)) < 0)
        error_system(watching->error, r, "cannot wait for events");
    if (r >= 0)
        r = stream(client, networks, watching);
    if (r == -ENOSPC)
        print_lost(watching, watching->error);
    watching->lost = r == -ECONNRESET;
    /* -ENOENT: the network has just ended. */
    return r == -ECONNRESET || r == -ENOSPC || r == -ENOENT ? 0 : r;
}

static int events(struct cli *cli)
{
    struct error error;
    struct watching watching = {.json = cli->json || !isatty(STDOUT_FILENO), .error = &error};
    OWN(json) json_t *networks = json_array();

    for (int i = 0; i < cli->argument_count; i++)
        json_array_append_new(networks, json_string(cli->arguments[i]));
    while (watch(networks, &watching) >= 0 && !ferror(stdout))
        poll(NULL, 0, AGAIN_MS);
    if (ferror(stdout))
        return 1; /* cli_main() says so */
    if (error.code == -EPIPE)
        raise(SIGPIPE); /* as the next event would */
    return cli_fail(cli, &error);
}

const struct verb verb_events = {
    .name = "events",
    .arguments = "[NET…]",
    .summary = "show what happens on networks, as it happens",
    .text = "First comes what there is (present), then the line ready, then each change: networks, "
            "ports, leases, forwards, and processes of vmlan that were started again. On a "
            "terminal the lines are for reading; otherwise, and with --json, each is a JSON "
            "object.\n\n"
            "It keeps no network from ending, and starts none: where there is none it waits for "
            "the first. It goes on when the broker is killed or replaced; then everything that is "
            "there is said once more. When nobody reads what it writes, events are left out and "
            "the line lost says so, again followed by what is there.",
    .arguments_max = -1,
    .run = events,
};
