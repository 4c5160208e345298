/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program of somebody else's that uses libvmlan, for test_library.py: it has children and a
 * handler of SIGCHLD of its own, and asks for everything once. calls STOP kills brokers by running
 * STOP. Prints what it sees; a wrong step ends it with its line.
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vmlan.h>

#define CHECK(condition)                                                      \
    do {                                                                      \
        if (!(condition)) {                                                   \
            fprintf(stderr, "line %d: not true: %s\n", __LINE__, #condition); \
            exit(1);                                                          \
        }                                                                     \
    } while (0)

static volatile sig_atomic_t children_ended;

static void child_ended(int number)
{
    (void)number;
    children_ended++;
}

static int fds_open(void)
{
    DIR *directory = opendir("/proc/self/fd");
    int count = 0;

    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

struct seen {
    int count, result;
    struct vmlan_port *port;
    char *wanted; /* only what has this text counts */
};

static void attached(struct vmlan *v, int result, struct vmlan_port *port, void *userdata)
{
    struct seen *seen = userdata;

    if (result < 0)
        fprintf(stderr, "attached: %s\n", vmlan_error(v)->reason);
    seen->count++;
    seen->result = result;
    seen->port = port;
}

static void replied(struct vmlan *v, int result, struct vmlan_reply *reply, void *userdata)
{
    struct seen *seen = userdata;

    (void)v;
    seen->result = result;
    seen->count += result < 0 || !seen->wanted || strstr(reply->json, seen->wanted);
}

/* As a program with a loop of its own does. */
static void wait_for(struct vmlan *v, const struct seen *seen, int count)
{
    struct pollfd ready = {.fd = vmlan_fd(v), .events = POLLIN};

    while (seen->count < count) {
        CHECK(poll(&ready, 1, 20000) == 1);
        CHECK(vmlan_dispatch(v, 0) == 0);
    }
}

static void look(struct vmlan *v)
{
    struct seen none = {0};
    char *text;

    CHECK(vmlan_up(v, "shared", NULL) == 0);
    CHECK(vmlan_list(v, &text) == 0 && strstr(text, "\"network\":\"shared\""));
    free(text);
    CHECK(vmlan_inspect(v, "shared", &text) == 0 && strstr(text, "dnsmasq"));
    free(text);
    CHECK(vmlan_leases(v, "shared", &text) == 0 && strcmp(text, "{\"leases\":[]}") == 0);
    free(text);
    CHECK(vmlan_inspect(v, "other", &text) == -ENOENT);
    CHECK(strcmp(vmlan_error(v)->name, "NetworkNotFound") == 0 && *vmlan_error(v)->reason);
    CHECK(vmlan_call_async(v, "NoSuchMethod", NULL, 0, replied, &none, NULL) == 0);
    wait_for(v, &none, 1);
    CHECK(none.result == -ENOSYS && strstr(vmlan_error(v)->reason, "NoSuchMethod"));
}

/* Two ports asked for at once, and the broker killed before it can have answered both. */
static void attach(struct vmlan *v, const char *stop)
{
    struct vmlan_options options = VMLAN_OPTIONS_INIT;
    struct seen a = {0}, b = {0}, leases = {0};

    options.network = "shared";
    options.mac = "52:55:55:00:00:01";
    CHECK(vmlan_call_async(v, "Leases", "{\"network\": \"shared\"}", VMLAN_MORE, replied, &leases,
                           NULL) == 0);
    wait_for(v, &leases, 1);
    CHECK(vmlan_attach_async(v, &options, attached, &a, NULL) == 0);
    options.mac = "52:55:55:00:00:02";
    CHECK(vmlan_attach_async(v, &options, attached, &b, NULL) == 0);
    CHECK(system(stop) == 0);
    wait_for(v, &a, 1);
    wait_for(v, &b, 1);
    wait_for(v, &leases, 2);
    CHECK(leases.result == -ECONNRESET);
    CHECK(a.port && strcmp(a.port->mac, "52:55:55:00:00:01") == 0 && a.port->fd_count == 1);
    CHECK(b.port && strcmp(b.port->mac, "52:55:55:00:00:02") == 0);
    printf("%s and %s attached\n", a.port->id, b.port->id);
    vmlan_port_free(a.port);
    vmlan_port_free(b.port);
}

static void differ(struct vmlan *v)
{
    struct vmlan_options options = VMLAN_OPTIONS_INIT;
    struct vmlan_port *port;

    options.network = "shared";
    options.configuration = "{\"mtu\": 1400}";
    CHECK(vmlan_attach(v, &options, &port) == 0);
    CHECK(strcmp(port->differs[0], "mtu") == 0 && !port->differs[1] && port->mtu == 1500);
    vmlan_port_free(port);
    options.strict = 1;
    CHECK(vmlan_attach(v, &options, &port) == -EEXIST);
    printf("strict: %s\n", vmlan_error(v)->reason);
}

static void watch(struct vmlan *v)
{
    static const char *const networks[] = {"shared", NULL};
    struct vmlan_options options = VMLAN_OPTIONS_INIT;
    struct seen seen = {.wanted = "\"event\":\"ready\""};
    struct vmlan_request *request;
    struct vmlan_port *port;

    CHECK(vmlan_monitor(v, networks, replied, &seen, &request) == 0);
    wait_for(v, &seen, 1);
    options.network = "shared";
    options.name = "watched";
    seen.wanted = "\"event\":\"port-up\"";
    CHECK(vmlan_attach(v, &options, &port) == 0);
    wait_for(v, &seen, 2);
    vmlan_port_free(port);
    seen.wanted = "\"event\":\"port-down\"";
    wait_for(v, &seen, 3);
    CHECK(seen.result == 0);
    vmlan_cancel(request);
}

static void *thread_main(void *userdata)
{
    struct vmlan *v;
    char *text;

    (void)userdata;
    CHECK(vmlan_open(0, &v) == 0);
    for (int i = 0; i < 20; i++) {
        CHECK(vmlan_list(v, &text) == 0);
        free(text);
    }
    vmlan_close(v);
    return NULL;
}

/* Objects of two threads, which both find no broker at first. */
static void threads(void)
{
    pthread_t both[2];

    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&both[i], NULL, thread_main, NULL) == 0);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_join(both[i], NULL) == 0);
}

int main(int argc, char **argv)
{
    int before = fds_open(), status;
    pid_t child;
    struct vmlan *v;

    CHECK(argc == 2);
    signal(SIGCHLD, child_ended);
    child = fork(); /* one of the caller's own: the only one it must find */
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        pause();
        _exit(0);
    }
    threads();
    CHECK(vmlan_open(0, &v) == 0);
    look(v);
    CHECK(children_ended == 0);
    attach(v, argv[1]);
    differ(v);
    watch(v);
    CHECK(vmlan_down(v, "shared") == 0);
    vmlan_close(v);
    CHECK(fds_open() == before);
    kill(child, SIGTERM);
    CHECK(waitpid(-1, &status, 0) == child);
    CHECK(waitpid(-1, &status, 0) < 0 && errno == ECHILD);
    puts("done");
    return 0;
}
