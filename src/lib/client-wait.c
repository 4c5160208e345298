/* SPDX-License-Identifier: Apache-2.0 */
/* Asking the broker and waiting for the answer. See client.h. */
#include <errno.h>

#include "base/own.h"
#include "lib/client.h"

void client_fds_take(struct client_fds *ret_fds, int *fds, size_t count)
{
    *ret_fds = (struct client_fds){0};
    for (size_t i = 0; i < count; i++)
        ret_fds->fds[ret_fds->count++] = take_fd(&fds[i]);
}

void client_fds_done(struct client_fds *fds)
{
    for (size_t i = 0; i < fds->count; i++)
        fd_close(&fds->fds[i]);
    fds->count = 0;
}

/* What became of a call. */
struct outcome {
    bool done;
    int result;
    json_t *reply;
    struct client_fds fds;
    struct error *error;
    client_more_fn *more;
    void *context;
    struct client_call *call; /* NULL: over */
};

static void outcome_reply(void *context, json_t *reply, int *fds, size_t fd_count, bool more,
                          const struct error *error)
{
    struct outcome *outcome = context;

    outcome->done = !more;
    if (!more)
        outcome->call = NULL;
    if (error) {
        outcome->result = error->code;
        if (outcome->error)
            *outcome->error = *error;
    } else if (outcome->more) {
        outcome->result = outcome->more(outcome->context, reply);
        outcome->done |= outcome->result != 0;
    } else {
        outcome->reply = json_incref(reply);
        client_fds_take(&outcome->fds, fds, fd_count);
    }
}

static int outcome_wait(struct outcome *outcome, struct client *client, int timeout_ms)
{
    uint64_t until = clock_ms() + (uint64_t)(timeout_ms < 0 ? 0 : timeout_ms);

    while (!outcome->done) {
        int64_t left = timeout_ms < 0 ? -1 : (int64_t)(until - clock_ms());
        int r;

        if (timeout_ms >= 0 && left <= 0)
            return error_set(outcome->error, -ETIMEDOUT, ERROR_FAILED, "timed out");
        r = client_turn(client, (int)left);
        if (r == -ECANCELED)
            outcome->call = NULL; /* went with the client */
        if (r < 0)
            return error_system(outcome->error, r, "cannot wait for the broker");
    }
    return outcome->result;
}

static int client_wait(struct client *client, const char *method, json_t *parameters,
                       struct outcome *outcome, int timeout_ms)
{
    int r;

    if (client_turning(client)) {
        json_decref(parameters);
        error_set(outcome->error, -EDEADLK, ERROR_FAILED, "a callback must not wait for an answer");
        error_hint(outcome->error, "ask asynchronously");
        return -EDEADLK;
    }
    r = client_ask(client, method, parameters, outcome->more, outcome_reply, outcome,
                   &outcome->call, outcome->error);
    if (r >= 0)
        r = outcome_wait(outcome, client, timeout_ms);
    if (outcome->call)
        client_cancel(outcome->call);
    return r;
}

int client_call(struct client *client, const char *method, json_t *parameters, json_t **ret,
                struct client_fds *ret_fds, struct error *error)
{
    struct outcome outcome = {.error = error};
    int r = client_wait(client, method, parameters, &outcome, -1);

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
    struct outcome outcome = {.error = error, .more = call, .context = context};

    return client_wait(client, method, parameters, &outcome, timeout_ms);
}
