/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See client.h. Starting a broker, race-free: whoever finds nothing listening takes a lock on the
 * runtime directory, looks again, makes the listening socket itself and hands it to a new broker
 * (sd_listen_fds(3)). From the moment it is bound the socket takes connections, so nobody has to
 * wait for the broker to be ready, and of many who start at once only one makes it.
 */
#include "lib/client.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/own.h"
#include "base/paths.h"
#include "base/role.h"

/* A broker that ends just now closes what it did not accept: ask the next one. */
enum { TRIES = 5, BACKLOG = 128, LOG_MAX_BYTES = 4 * 1024 * 1024 };

struct client {
    struct loop loop;
    struct conn *conn;
    enum client_start start;
    bool closed, answered; /* answered: this connection carried a reply already */
};

static int socket_connect(const struct sockaddr_un *address)
{
    OWN(fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
        return -errno;
    return take_fd(&fd);
}

static int socket_listen(const struct sockaddr_un *address, struct error *error)
{
    OWN(fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    unlink(address->sun_path); /* of a broker that died */
    if (fd < 0 || bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ||
        listen(fd, BACKLOG) < 0) {
        error_system(error, -errno, "cannot listen at %s", address->sun_path);
        error->id = ERROR_UNAVAILABLE;
        error_hint(error, "this user must be able to write that directory");
        return error->code;
    }
    return take_fd(&fd);
}

/* What broker and holders say goes to the file "log" in the state directory; a new broker starts a
 * new one when it has grown. */
static int log_open(void)
{
    char path[PATHS_MAX];
    int fd;

    if (paths_state(path, NULL) < 0 || strlen(path) + 5 > sizeof(path))
        return -1;
    strcat(path, "/log");
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd >= 0 && lseek(fd, 0, SEEK_END) > LOG_MAX_BYTES && ftruncate(fd, 0) < 0)
        fd_close(&fd);
    return fd;
}

static int broker_spawn(int listener, struct error *error)
{
    OWN(fd) int out = log_open();
    int r = role_start("broker", NULL, listener, out);

    return r < 0 ? error_system(error, r, "cannot start the broker") : 0;
}

/* Called with the lock held. */
static int broker_start(const struct sockaddr_un *address, struct error *error)
{
    OWN(fd) int fd = socket_connect(address); /* somebody may have been quicker */
    OWN(fd) int listener = -1;
    int r;

    if (fd >= 0)
        return take_fd(&fd);
    listener = socket_listen(address, error);
    if (listener < 0)
        return listener;
    r = broker_spawn(listener, error);
    if (r < 0) {
        unlink(address->sun_path);
        return r;
    }
    fd = socket_connect(address);
    return fd < 0 ? error_system(error, fd, "cannot connect to %s", address->sun_path)
                  : take_fd(&fd);
}

static bool networks_exist(const char *runtime)
{
    char path[PATHS_MAX + 8];
    OWN(dir) DIR *dir = NULL;
    struct dirent *entry;

    snprintf(path, sizeof(path), "%s/net", runtime);
    dir = opendir(path);
    while (dir && (entry = readdir(dir)))
        if (entry->d_name[0] != '.')
            return true;
    return false;
}

/* A connected socket, or negative errno. */
static int broker_connect(enum client_start start, struct error *error)
{
    struct sockaddr_un address;
    OWN(fd) int lock = -1;
    char runtime[PATHS_MAX];
    int fd, r = paths_runtime(runtime, error);

    if (r >= 0)
        r = paths_socket(&address, error, "broker.sock");
    if (r < 0)
        return r;
    fd = socket_connect(&address);
    if (fd >= 0 || (fd != -ENOENT && fd != -ECONNREFUSED))
        return fd >= 0 ? fd : error_system(error, fd, "cannot connect to %s", address.sun_path);
    if (start == CLIENT_IF_NETWORKS && !networks_exist(runtime))
        return -ENOENT;
    lock = open(runtime, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0 || flock(lock, LOCK_EX) < 0)
        return error_system(error, -errno, "cannot lock %s", runtime);
    return broker_start(&address, error);
}

static void client_closed(struct conn *conn, int error)
{
    struct client *client = conn_owner(conn);

    (void)error;
    conn_free(conn);
    client->conn = NULL;
    client->closed = true;
}

static int client_connect(struct client *client, struct error *error)
{
    int fd = broker_connect(client->start, error), r;

    if (fd < 0)
        return fd;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    client->closed = client->answered = false;
    r = conn_new(&client->loop, fd, "broker", NULL, client, client_closed, &client->conn);
    return r < 0 ? error_system(error, r, "cannot use the connection to the broker") : 0;
}

int client_open(enum client_start start, struct client **ret, struct error *error)
{
    struct client *client = alloc_new(struct client);
    int r;

    client->start = start;
    r = loop_init(&client->loop);
    if (r < 0)
        error_system(error, r, "cannot wait for events");
    else
        r = client_connect(client, error);
    if (r < 0) {
        client_free(client);
        return r;
    }
    *ret = client;
    return 0;
}

void client_free(struct client *client)
{
    if (!client)
        return;
    conn_free(client->conn);
    loop_done(&client->loop);
    free(client);
}

void client_fds_done(struct client_fds *fds)
{
    for (size_t i = 0; i < fds->count; i++)
        fd_close(&fds->fds[i]);
    fds->count = 0;
}

/* What became of a call. */
struct outcome {
    struct client *client;
    const char *method;
    bool done, lost;
    int result;
    json_t *reply;
    struct client_fds fds;
    struct error *error;
    client_more_fn *more;
    void *context;
};

/* A broker that has been running since before an upgrade. */
static void explain_older(const char *method, const struct error *told, struct error *error)
{
    error_set(error, told->code, ERROR_UNAVAILABLE,
              "the broker that runs is of an older vmlan: it does not know %s",
              strchr(told->where, '.') ? told->where : method);
    error_hint(error, "vmlan service restart; networks and guests go on");
}

static void outcome_error(struct outcome *outcome, const struct error *error)
{
    outcome->done = true;
    outcome->result = error->code;
    outcome->lost = error->code == -ECONNRESET;
    if (outcome->error && error->code == -ENOSYS)
        explain_older(outcome->method, error, outcome->error);
    else if (outcome->error)
        *outcome->error = *error;
}

static void outcome_reply(void *context, json_t *reply, int *fds, size_t fd_count, bool more,
                          const struct error *error)
{
    struct outcome *outcome = context;

    if (error) {
        outcome_error(outcome, error);
        return;
    }
    outcome->client->answered = true;
    if (outcome->more) {
        outcome->result = outcome->more(outcome->context, reply);
        outcome->done = outcome->result != 0 || !more;
        return;
    }
    outcome->done = true;
    outcome->reply = json_incref(reply);
    for (size_t i = 0; i < fd_count; i++)
        outcome->fds.fds[outcome->fds.count++] = take_fd(&fds[i]);
}

static int outcome_wait(struct outcome *outcome, int timeout_ms)
{
    uint64_t until = clock_ms() + (uint64_t)(timeout_ms < 0 ? 0 : timeout_ms);

    while (!outcome->done) {
        int64_t left = timeout_ms < 0 ? -1 : (int64_t)(until - clock_ms());
        int r;

        if (timeout_ms >= 0 && left <= 0)
            return error_set(outcome->error, -ETIMEDOUT, ERROR_FAILED, "timed out");
        r = loop_turn(&outcome->client->loop, (int)left);
        if (r < 0)
            return error_system(outcome->error, r, "cannot wait for the broker");
    }
    return outcome->result;
}

/* One call; asked again of the next broker when this one ended before it answered anything. */
static int client_ask(struct client *client, const char *method, json_t *parameters, bool more,
                      int timeout_ms, struct outcome *outcome)
{
    char full[80];
    int r = -ECONNRESET;

    snprintf(full, sizeof(full), "io.vmlan.Broker.%s", method);
    outcome->method = method;
    for (int try = 0; try < TRIES && r == -ECONNRESET; try++) {
        if (!client->conn && (r = client_connect(client, outcome->error)) < 0)
            return r;
        outcome->done = outcome->lost = false;
        r = conn_call(client->conn, full, json_incref(parameters), NULL, 0, more, outcome_reply,
                      outcome);
        if (r < 0)
            return error_system(outcome->error, r, "cannot ask the broker");
        r = outcome_wait(outcome, timeout_ms);
        if (outcome->lost && client->answered)
            break;
        if (outcome->lost)
            loop_turn(&client->loop, 0); /* lets client_closed() run */
    }
    return r;
}

int client_call(struct client *client, const char *method, json_t *parameters, json_t **ret,
                struct client_fds *ret_fds, struct error *error)
{
    OWN(json) json_t *owned = parameters ? parameters : json_object();
    struct outcome outcome = {.client = client, .error = error};
    int r = client_ask(client, method, owned, false, -1, &outcome);

    if (r < 0)
        return r;
    *ret = outcome.reply;
    if (ret_fds)
        *ret_fds = outcome.fds;
    else
        client_fds_done(&outcome.fds);
    return 0;
}

int client_stream(struct client *client, const char *method, json_t *parameters, int timeout_ms,
                  client_more_fn *call, void *context, struct error *error)
{
    OWN(json) json_t *owned = parameters ? parameters : json_object();
    struct outcome outcome = {.client = client, .error = error, .more = call, .context = context};

    return client_ask(client, method, owned, true, timeout_ms, &outcome);
}
