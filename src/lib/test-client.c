/* SPDX-License-Identifier: Apache-2.0 */
/* The client: calls in flight, brokers that end, streams, and a broker started by it. */
#include "lib/client.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "lib/test-broker.h"

static struct client *client;

/* What a callback saw. */
struct seen {
    int replies, errors;
    bool more;
    char text[64];
    struct client_fds fds;
    struct error error;
    void (*act)(struct seen *seen); /* runs in the callback */
    struct client_call *call;
};

static void start(bool listening)
{
    const struct launch launch = {.library = true};

    broker_init(listening);
    CHECK_INT(client_new(&launch, &client), 0);
}

static void stop(void)
{
    client_free(take_ptr(client));
    broker_done();
}

static void seen_reply(void *context, json_t *reply, int *fds, size_t fd_count, bool more,
                       const struct error *error)
{
    struct seen *seen = context;
    const char *text = json_string_value(json_object_get(reply, "text"));

    CHECK(!reply == !!error);
    seen->replies += !error;
    seen->errors += !!error;
    seen->more = more;
    if (text)
        snprintf(seen->text, sizeof(seen->text), "%s", text);
    if (error)
        seen->error = *error;
    if (fd_count > 0)
        client_fds_take(&seen->fds, fds, fd_count);
    if (seen->act)
        seen->act(seen);
}

static void ask(const char *method, bool more, struct seen *seen)
{
    struct error error = {0};

    CHECK_INT(client_ask(client, method, NULL, more, seen_reply, seen, &seen->call, &error), 0);
}

static void turn(void)
{
    for (int i = 0; i < 8 && client; i++)
        CHECK_INT(client_turn(client, 0), 0);
}

static void test_two_in_flight(void)
{
    struct seen a = {0}, b = {0};

    start(true);
    ask("List", false, &a);
    ask("org.example.Other", false, &b);
    broker_accept();
    CHECK_TEXT(broker_receive(), ASKED("List"));
    CHECK_TEXT(broker_receive(), "{\"method\":\"org.example.Other\",\"parameters\":{}}");
    broker_answer("{\"parameters\":{\"text\":\"one\"}}", NULL);
    turn();
    CHECK_TEXT(a.text, "one");
    CHECK_INT(b.replies, 0);
    broker_answer("{\"error\":\"io.vmlan.Broker.Conflict\",\"parameters\":{\"field\":\"Other.x\","
                  "\"reason\":\"taken\",\"hint\":\"choose another\"}}",
                  NULL);
    turn();
    CHECK_INT(b.error.code, -EEXIST);
    CHECK_TEXT(b.error.where, "Other.x");
    CHECK_TEXT(b.error.hint, "choose another");
    CHECK_INT(a.replies + a.errors, 1);
    stop();
}

/* The broker answers one of two and is gone: the next one is asked for the other. */
static void test_broker_ends_between(void)
{
    struct seen a = {0}, b = {0};

    start(true);
    ask("List", false, &a);
    ask("Up", false, &b);
    broker_accept();
    broker_receive();
    broker_answer("{\"parameters\":{\"text\":\"one\"}}", NULL);
    fd_close(&broker.conn);
    turn();
    CHECK_TEXT(a.text, "one");
    CHECK_INT(b.replies + b.errors, 0);
    broker_accept();
    CHECK_TEXT(broker_receive(), ASKED("Up"));
    CHECK_TEXT(broker_receive(), "");
    broker_answer("{\"parameters\":{\"text\":\"two\"}}", NULL);
    turn();
    CHECK_TEXT(b.text, "two");
    stop();
}

static void test_gives_up(void)
{
    struct seen a = {0};
    int asked = 0;

    start(true);
    ask("List", false, &a);
    while (!a.errors && asked < 100) {
        broker_accept();
        CHECK_TEXT(broker_receive(), ASKED("List"));
        asked++;
        fd_close(&broker.conn);
        turn();
    }
    CHECK_INT(asked, 5);
    CHECK_INT(a.error.code, -ECONNRESET);
    CHECK_TEXT(a.error.reason, "the broker ended before it answered");
    CHECK_TEXT(a.error.where, "io.vmlan.Broker.List");
    stop();
}

/* An object that was idle while its broker went does not send its next call to nobody. */
static void test_idle_while_broker_ends(void)
{
    struct seen a = {0}, b = {0};

    start(true);
    ask("List", false, &a);
    broker_accept();
    broker_receive();
    broker_answer("{\"parameters\":{}}", NULL);
    turn();
    CHECK_INT(a.replies, 1);
    fd_close(&broker.conn);
    ask("Down", false, &b); /* without having looked */
    turn();
    broker_accept();
    CHECK_TEXT(broker_receive(), ASKED("Down"));
    broker_answer("{\"parameters\":{}}", NULL);
    turn();
    CHECK_INT(b.replies, 1);
    stop();
}

/* A stream does not hold up other calls; it does not survive its broker unnoticed. */
static void test_stream(void)
{
    OWN(fd) int stream = -1;
    struct seen a = {0}, b = {0};

    start(true);
    ask("Monitor", true, &a);
    broker_accept();
    CHECK_TEXT(broker_receive(), ASKED_MORE("Monitor"));
    broker_answer("{\"parameters\":{\"text\":\"one\"},\"continues\":true}", NULL);
    stream = take_fd(&broker.conn);
    ask("List", false, &b);
    broker_accept();
    CHECK_TEXT(broker_receive(), ASKED("List"));
    turn();
    CHECK_TEXT(a.text, "one");
    CHECK(a.more);
    fd_close(&stream);
    turn();
    CHECK_INT(a.errors, 1);
    CHECK_INT(a.error.code, -ECONNRESET);
    CHECK_TEXT(a.error.hint, "ask again");
    broker_answer("{\"parameters\":{}}", NULL);
    turn();
    CHECK_INT(b.replies, 1);
    stop();
}

static void test_descriptors(void)
{
    const struct fds fds = {.fd = {1, 2}, .count = 2};
    struct seen a = {0};

    start(true);
    ask("Attach", false, &a);
    broker_accept();
    broker_answer("{\"parameters\":{}}", &fds);
    turn();
    CHECK_INT(a.fds.count, 2);
    CHECK(fcntl(a.fds.fds[1], F_GETFD) & FD_CLOEXEC);
    client_fds_done(&a.fds);
    stop();
}

static void act_free(struct seen *seen)
{
    (void)seen;
    client_free(take_ptr(client));
}

static void test_free_in_callback(void)
{
    struct seen a = {.act = act_free}, b = {0}, c = {0};

    start(true);
    ask("List", false, &a);
    ask("Up", false, &b);
    ask("Monitor", true, &c);
    broker_accept();
    broker_answer("{\"parameters\":{}}", NULL);
    CHECK_INT(client_turn(client, 1000), -ECANCELED);
    CHECK_INT(a.replies, 1);
    CHECK_INT(b.replies + b.errors + c.replies + c.errors, 0);
    stop();
}

static void act_wait(struct seen *seen)
{
    json_t *reply;

    (void)seen;
    CHECK_INT(client_call(client, "List", NULL, &reply, NULL, NULL), -EDEADLK);
    CHECK_INT(client_turn(client, 0), -EDEADLK);
}

static void test_wait_in_callback(void)
{
    struct seen a = {.act = act_wait};

    start(true);
    ask("List", false, &a);
    broker_accept();
    broker_answer("{\"parameters\":{}}", NULL);
    turn();
    CHECK_INT(a.replies, 1);
    stop();
}

static void act_cancel(struct seen *seen)
{
    client_cancel(seen->call);
}

static void test_cancel(void)
{
    struct seen a = {0}, b = {0}, c = {.act = act_cancel};
    char byte;

    start(true);
    ask("List", false, &a);
    ask("Up", false, &b);
    broker_accept();
    client_cancel(a.call);
    broker_answer("{\"parameters\":{\"text\":\"one\"}}", NULL);
    broker_answer("{\"parameters\":{\"text\":\"two\"}}", NULL);
    turn();
    CHECK_INT(a.replies + a.errors, 0);
    CHECK_TEXT(b.text, "two");
    ask("Monitor", true, &c);
    broker_accept();
    broker_receive();
    broker_answer("{\"parameters\":{},\"continues\":true}", NULL);
    broker_answer("{\"parameters\":{},\"continues\":true}", NULL);
    turn();
    CHECK_INT(c.replies, 1);
    CHECK_INT(read(broker.conn, &byte, 1), 0); /* its connection went with it */
    stop();
}

static void test_timeout(void)
{
    struct error error = {0};

    start(true);
    CHECK_INT(client_stream(client, "Leases", NULL, 10, NULL, NULL, &error), -ETIMEDOUT);
    stop();
}

/* --- starting a broker --- */

static volatile sig_atomic_t children_ended;

static void child_ended(int number)
{
    (void)number;
    children_ended++;
}

static void test_no_program(void)
{
    struct error error = {0};
    json_t *reply;

    start(false);
    CHECK_INT(client_call(client, "List", NULL, &reply, NULL, &error), -ENOENT);
    CHECK_TEXT(error.reason, "/nonexistent/vmlan (VMLAN_PROGRAM) can't be run");
    CHECK_TEXT(error.hint, "correct VMLAN_PROGRAM, or unset it");
    stop();
}

/* The caller gets no SIGCHLD and has no child, its mask and its open files are its own. */
static void test_start_unnoticed(void)
{
    char path[64];
    struct error error = {0};
    sigset_t before = {0}, after = {0}; /* the kernel fills a part of them */
    json_t *reply;
    int ends[2];
    FILE *script;

    start(false);
    snprintf(path, sizeof(path), "%s/vmlan", broker.directory);
    CHECK_INT(pipe(ends), 0); /* not close-on-exec, as those of other programs may be */
    script = fopen(path, "we");
    CHECK(script);
    fprintf(script,
            "#!/bin/sh\n"
            "[ ! -e /proc/$$/fd/%d ] || inherited=yes\n"
            "echo \"fds $LISTEN_FDS $(($LISTEN_PID - $$))$inherited\" >>%s/told\n",
            ends[1], broker.directory);
    fclose(script);
    CHECK_INT(chmod(path, 0700), 0);
    setenv("VMLAN_PROGRAM", path, 1);
    signal(SIGCHLD, child_ended);
    sigprocmask(SIG_SETMASK, NULL, &before);

    CHECK_INT(client_call(client, "List", NULL, &reply, NULL, &error), -ECONNRESET);

    sigprocmask(SIG_SETMASK, NULL, &after);
    signal(SIGCHLD, SIG_DFL);
    CHECK_INT(memcmp(&before, &after, sizeof(before)), 0);
    CHECK_INT(children_ended, 0);
    CHECK_INT(waitpid(-1, NULL, 0), -1);
    CHECK_INT(errno, ECHILD);
    close(ends[0]);
    close(ends[1]);
    snprintf(path, sizeof(path), "%s/told", broker.directory);
    script = fopen(path, "re");
    CHECK(script && fgets(path, sizeof(path), script));
    fclose(script);
    CHECK_TEXT(path, "fds 1 0\n");
    stop();
}

static const struct test tests[] = {
    {"two calls in flight", test_two_in_flight},
    {"a broker that ends between two answers", test_broker_ends_between},
    {"brokers that end whenever asked", test_gives_up},
    {"a broker that ends while nothing is asked", test_idle_while_broker_ends},
    {"a stream beside other calls", test_stream},
    {"descriptors in an answer", test_descriptors},
    {"the client freed in a callback", test_free_in_callback},
    {"waiting in a callback", test_wait_in_callback},
    {"calls cancelled", test_cancel},
    {"no answer in time", test_timeout},
    {"no program to start", test_no_program},
    {"a broker started unnoticed", test_start_unnoticed},
};

TEST_MAIN(tests)
