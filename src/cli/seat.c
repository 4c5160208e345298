/* SPDX-License-Identifier: Apache-2.0 */
/* See seat.h. */
#include "cli/seat.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/buf.h"
#include "guest/seat.h"
#include "kernel/capabilities.h"
#include "kernel/ns.h"

static int seat_take(const json_t *reply, struct error *error)
{
    static const char *const servers[] = {"gateway", "gateway6"};
    OWN(buf) struct buf text = BUF_NULL;

    buf_printf(&text, "search %s\n", json_string_value(json_object_get(reply, "domain")));
    for (size_t i = 0; i < ARRAY_SIZE(servers); i++)
        if (json_is_string(json_object_get(reply, servers[i])))
            buf_printf(&text, "nameserver %s\n",
                       json_string_value(json_object_get(reply, servers[i])));
    return seat_resolver(buf_text(&text), error);
}

int seat_enter(const struct cli *cli, const char *network)
{
    OWN(json) json_t *reply = NULL;
    OWN(client_fds) struct client_fds fds = {0};
    struct error error;
    json_t *parameters;
    struct ns ns;
    int r = session_parameters(cli, network, &parameters);

    /* A user's broker could not see what program we are (host-link.c), and root has what it needs.
     */
    if (r >= 0 && geteuid() != 0)
        r = capabilities_drop();
    if (r >= 0)
        r = session_ask(cli, "Acquire", parameters, &reply, &fds);
    if (r < 0)
        return r;
    session_warn_differs(cli, network, reply);
    ns = (struct ns){fds.fds[0], fds.fds[1]};
    r = ns_enter(&ns, &error);
    if (r >= 0)
        r = seat_take(reply, &error);
    if (r < 0) {
        cli_fail(cli, &error);
        return r;
    }
    fcntl(fds.fds[2], F_SETFD, 0);
    take_fd(&fds.fds[2]);
    return 0;
}
