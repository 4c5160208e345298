/* SPDX-License-Identifier: Apache-2.0 */
/* See counters.h. */
#include "cli/counters.h"

#include <errno.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/own.h"
#include "base/paths.h"
#include "cli/session.h"
#include "lib/await.h"
#include "lib/client.h"
#include "metrics/metrics.h"

/* A network that does not answer is not waited for longer. */
enum { TIMEOUT_MS = 10000 };

static int networks_add(void *context, const json_t *reply)
{
    json_array_extend(context, json_object_get(reply, "networks"));
    return 0;
}

int counters_get(const char *network, json_t **ret, struct error *error)
{
    const struct launch launch = {.if_networks = true};
    OWN(client) struct client *client = NULL;
    OWN(json) json_t *networks = json_array();
    char runtime[PATHS_MAX];
    int r = paths_runtime(runtime, error);

    if (r >= 0 && await_exist(runtime)) {
        r = client_new(&launch, &client);
        r = r < 0 ? error_system(error, r, "cannot wait for answers")
                  : client_stream(client, "Counters",
                                  network ? json_pack("{ss}", "network", network) : NULL,
                                  TIMEOUT_MS, networks_add, networks, error);
    }
    if (r == -ENOENT && !network)
        r = 0; /* the last one has just ended */
    if (r >= 0)
        *ret = take_ptr(networks);
    return r < 0 ? r : 0;
}

static int metrics(struct cli *cli)
{
    OWN(json) json_t *networks = NULL;
    OWN(buf) struct buf text = BUF_NULL;
    struct error error;

    if (counters_get(NULL, &networks, &error) < 0)
        return cli_fail(cli, &error);
    if (cli->json) {
        session_print_json(networks);
        return 0;
    }
    metrics_text(networks, &text);
    fputs(buf_text(&text), stdout);
    return 0;
}

const struct verb verb_metrics = {
    .name = "metrics",
    .arguments = "",
    .summary = "print what networks have counted, for Prometheus",
    .text = "The same text is answered, while a network runs, on the unix socket metrics.sock in "
            "the runtime directory: curl --unix-socket $XDG_RUNTIME_DIR/vmlan/metrics.sock "
            "http://vmlan/metrics. With --json, the same figures as vmlan inspect has them.",
    .run = metrics,
};
