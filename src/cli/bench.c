/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmlan bench: what a network reaches on this machine, beside the machine's own loopback. Three
 * processes help: a server on the host, a server that is a guest, and a guest that measures what
 * this process asks of it. The loopback is measured by turns with it, so the ratios hold on a
 * machine with other work, too.
 */
#include "cli/bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "base/alloc.h"
#include "cli/guest.h"
#include "cli/load.h"
#include "cli/session.h"

enum {
    TURNS = 3,
    ATTACHES = 20,
    SECONDS_MAX = 60,
};

struct bench {
    struct cli *cli;
    const char *network;
    double seconds;
    uint8_t token[16];
};

/* What a helper says when it is ready. */
struct hello {
    struct load_server server; /* of a server */
    struct in_addr gateway;    /* of a guest: the network's */
};

struct helper {
    pid_t pid;
    int fd; /* a SOCK_SEQPACKET */
    struct hello hello;
};

typedef int measure_fn(const struct load_server *server, double seconds, double *ret);

/* A question to the guest that measures, which runs the same program as this process. */
struct question {
    measure_fn *measure;
    struct load_server server;
    double seconds;
};

struct answer {
    int result; /* negative errno */
    double value;
};

static void helper_done(struct helper *helper)
{
    if (helper->pid > 0) {
        kill(helper->pid, SIGKILL);
        waitpid(helper->pid, NULL, 0);
        close(helper->fd);
    }
}

static inline void own_helper(struct helper *helper)
{
    helper_done(helper);
}

/* This process becomes a guest, or prints why not. */
static int guest_become(const struct bench *bench, struct guest *guest, struct hello *hello)
{
    OWN(nics) struct nics nics = {0};
    OWN(mem) char *identity = alloc_printf("bench %d", (int)getpid());
    struct error error;
    int r = nics_add(&nics, bench->network, &error);

    if (r < 0)
        return cli_fail(bench->cli, &error), r;
    nics.items[0].backend = alloc_text("namespace");
    r = nics_attach(bench->cli, &nics, identity, NULL);
    if (r < 0)
        return r;
    r = guest_enter(guest, &nics.items[0], &error);
    if (r >= 0 && !guest->leased) {
        r = error_set(&error, -EADDRNOTAVAIL, ERROR_UNAVAILABLE,
                      "network %s has no DHCP, so its guests have no address to measure with",
                      bench->network);
        error_hint(&error, "measure a network with \"dhcp: true\"");
    }
    if (r < 0)
        return cli_fail(bench->cli, &error), r;
    hello->server.address.sin_addr = guest->lease.address;
    inet_pton(AF_INET, nic_text(&nics.items[0], "gateway"), &hello->gateway);
    return 0;
}

/* From here on this process ends with its parent; entering namespaces would have undone that. */
static int hello_send(int fd, const struct hello *hello)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    return send(fd, hello, sizeof(*hello), MSG_NOSIGNAL) > 0 ? 0 : -errno;
}

/* Serves at the address that hello has. */
static void serve(int fd, struct hello *hello)
{
    int listener = load_listen(&hello->server);

    if (listener >= 0 && hello_send(fd, hello) >= 0)
        load_serve(listener, &hello->server);
}

static void run_host(const struct bench *bench, int fd, struct hello *hello)
{
    (void)bench;
    serve(fd, hello);
}

static void run_server(const struct bench *bench, int fd, struct hello *hello)
{
    struct guest guest = {0};

    if (guest_become(bench, &guest, hello) >= 0)
        serve(fd, hello);
}

static void run_client(const struct bench *bench, int fd, struct hello *hello)
{
    struct guest guest = {0};
    struct question question;

    if (guest_become(bench, &guest, hello) < 0 || hello_send(fd, hello) < 0)
        return;
    while (recv(fd, &question, sizeof(question), 0) == sizeof(question)) {
        struct answer answer = {0};

        answer.result = question.measure(&question.server, question.seconds, &answer.value);
        send(fd, &answer, sizeof(answer), MSG_NOSIGNAL);
    }
}

/* Starts a helper and waits until it is ready; it has printed why it can't be. */
static int helper_start(const struct bench *bench, struct helper *helper,
                        void (*run)(const struct bench *bench, int fd, struct hello *hello))
{
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
        return -errno;
    helper->pid = fork();
    if (helper->pid < 0) {
        close(fds[0]);
        close(fds[1]);
        return -errno;
    }
    if (helper->pid == 0) {
        close(fds[0]);
        memcpy(helper->hello.server.token, bench->token, sizeof(bench->token));
        run(bench, fds[1], &helper->hello);
        _exit(1);
    }
    close(fds[1]);
    helper->fd = fds[0];
    return recv(helper->fd, &helper->hello, sizeof(helper->hello), 0) > 0 ? 0 : -ECHILD;
}

static int ask(const struct helper *client, const struct question *question, double *ret)
{
    struct answer answer;

    if (send(client->fd, question, sizeof(*question), MSG_NOSIGNAL) < 0 ||
        recv(client->fd, &answer, sizeof(answer), 0) != sizeof(answer))
        return -ECHILD;
    *ret = answer.value;
    return answer.result;
}

static const struct row {
    const char *name, *unit;
    measure_fn *measure;
    double scale;
    bool to_host; /* else guest to guest */
} rows[] = {
    {"guest to guest", "Gbit/s", load_rate, 1e-9, false},
    {"guest to host", "Gbit/s", load_rate, 1e-9, true},
    {"round trip, guest to guest", "us", load_round_trip, 1e6, false},
    {"round trip, guest to host", "us", load_round_trip, 1e6, true},
};

static void row_print(const struct bench *bench, json_t *list, const struct row *row,
                      const double *values)
{
    double value = values[0] * row->scale, reference = values[1] * row->scale;

    if (bench->cli->json)
        json_array_append_new(list, json_pack("{ss ss sf sf}", "name", row->name, "unit", row->unit,
                                              "value", value, "loopback", reference));
    else
        printf("%-28s %8.2f %-6s  %8.2f %-6s  %6.2f\n", row->name, value, row->unit, reference,
               row->unit, value / reference);
}

static void row_print_failure(const struct bench *bench, json_t *list, const struct row *row,
                              int failure)
{
    if (bench->cli->json)
        json_array_append_new(list, json_pack("{ss ss ss}", "name", row->name, "unit", row->unit,
                                              "failure", strerror(-failure)));
    else
        printf("%-28s %8s  (%s)\n", row->name, "-", strerror(-failure));
}

/* Medians of both, by turns. */
static int row_measure(const struct bench *bench, const struct row *row,
                       const struct helper *client, const struct load_server *ours,
                       const struct load_server *loopback, double *ret)
{
    struct question question = {row->measure, *ours, bench->seconds};
    double values[2][TURNS];
    int r = 0;

    for (int i = 0; i < TURNS && r >= 0; i++) {
        r = ask(client, &question, &values[0][i]);
        if (r >= 0)
            r = row->measure(loopback, bench->seconds, &values[1][i]);
    }
    for (int i = 0; i < 2 && r >= 0; i++)
        ret[i] = load_median(values[i], TURNS);
    return r;
}

/* Milliseconds from nothing but the network to a port that is there. */
static int attach_measure(const struct bench *bench, double *ret)
{
    double times[ATTACHES];

    for (int i = 0; i < ATTACHES; i++) {
        OWN(nics) struct nics nics = {0};
        OWN(mem) char *identity = alloc_printf("bench %d %d", (int)getpid(), i);
        struct timespec before, after;
        struct error error;
        int r;

        clock_gettime(CLOCK_MONOTONIC, &before);
        if (nics_add(&nics, bench->network, &error) < 0)
            return -EINVAL;
        r = nics_attach(bench->cli, &nics, identity, NULL);
        clock_gettime(CLOCK_MONOTONIC, &after);
        if (r < 0)
            return r;
        times[i] = (double)(after.tv_sec - before.tv_sec) * 1e3 +
                   (double)(after.tv_nsec - before.tv_nsec) / 1e6;
    }
    *ret = load_median(times, ATTACHES);
    return 0;
}

static void measure_all(const struct bench *bench, json_t *list, const struct helper *host,
                        const struct helper *server, const struct helper *client)
{
    struct load_server loopback = host->hello.server, gateway = loopback;

    loopback.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    gateway.address.sin_addr = client->hello.gateway;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        double values[2];
        int r = row_measure(bench, &rows[i], client,
                            rows[i].to_host ? &gateway : &server->hello.server, &loopback, values);

        if (r < 0)
            row_print_failure(bench, list, &rows[i], r);
        else
            row_print(bench, list, &rows[i], values);
    }
}

static int measure_attach(const struct bench *bench, json_t *list)
{
    double value;
    int r = attach_measure(bench, &value);

    if (r < 0)
        return r;
    if (bench->cli->json)
        json_array_append_new(
            list, json_pack("{ss ss sf}", "name", "attach", "unit", "ms", "value", value));
    else
        printf("%-28s %8.2f ms\n", "attach", value);
    return 0;
}

static int seconds_parse(const char *text, double *ret)
{
    char *end;

    *ret = text ? strtod(text, &end) : 0.5;
    return text && (*end || end == text || !(*ret >= 0.01 && *ret <= SECONDS_MAX)) ? -EINVAL : 0;
}

static void head_print(const struct bench *bench)
{
    double load = 0;

    getloadavg(&load, 1);
    printf("network %s; %ld processors, load %.1f; TCP with cubic, medians of %d x %g s\n",
           bench->network, sysconf(_SC_NPROCESSORS_ONLN), load, TURNS, bench->seconds);
    printf("%-28s %8s %-6s  %8s %-6s  %6s\n", "", "vmlan", "", "loopback", "", "ratio");
}

static int bench_run(struct cli *cli)
{
    OWN(json) json_t *list = json_array();
    OWN(helper) struct helper host = {0}, server = {0}, client = {0};
    struct bench bench = {.cli = cli,
                          .network = cli->argument_count ? cli->arguments[0] : "shared"};

    if (seconds_parse(cli_option(cli, "seconds"), &bench.seconds) < 0)
        return cli_fail_text(cli, "--seconds %s: not a time; use 0.01 to %d",
                             cli_option(cli, "seconds"), SECONDS_MAX);
    if (getrandom(bench.token, sizeof(bench.token), 0) != sizeof(bench.token) ||
        helper_start(&bench, &host, run_host) < 0)
        return cli_fail_text(cli, "cannot start a server: %s", strerror(errno));
    if (helper_start(&bench, &server, run_server) < 0 ||
        helper_start(&bench, &client, run_client) < 0)
        return 1;
    if (!cli->json)
        head_print(&bench);
    measure_all(&bench, list, &host, &server, &client);
    if (measure_attach(&bench, list) < 0)
        return 1;
    if (cli->json)
        session_print_json(list);
    return 0;
}

static const struct verb_option bench_options[] = {
    {"seconds", 's', "SECONDS", "how long each measurement takes, 0.5 if not given"},
    {0},
};

const struct verb verb_bench = {
    .name = "bench",
    .arguments = "[NET]",
    .summary = "measure what a network reaches on this machine",
    .text = "Two guests of its own join the network (shared if none is named) and send by TCP "
            "over IPv4: to each other, and to this host by the gateway's address. The machine's "
            "loopback is measured by turns, so that the ratio says what vmlan costs, whatever else "
            "the machine does. attach is the time until a new port is there.",
    .options = bench_options,
    .arguments_max = 1,
    .run = bench_run,
};
