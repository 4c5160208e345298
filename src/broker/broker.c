/* SPDX-License-Identifier: Apache-2.0 */
/* See broker.h. */
#include "broker/broker.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/log.h"
#include "base/manager.h"
#include "base/paths.h"
#include "broker/peer.h"
#include "made/broker_varlink.h"

static void peer_arrived(struct source *source, uint32_t events)
{
    (void)events;
    peer_accept(container_of(source, struct broker, listening));
}

bool broker_is_unused(const struct broker *broker)
{
    return registry_empty(&broker->registry) && broker->peer_count == broker->monitor.count;
}

static void networks_changed(struct registry *registry)
{
    struct broker *broker = container_of(registry, struct broker, registry);

    monitor_follow(&broker->monitor);
    activation_follow(&broker->activation);
    if (broker_is_unused(broker))
        timer_set(&broker->idle, BROKER_IDLE_MS);
}

/* Takes the socket away and ends. The lock is the one clients hold while they make the socket
 * (lib/launch.c), so nobody is between "no broker" and "a new one". Whoever connected in the very
 * last moment sees the connection close before any answer, and asks again. */
static void broker_idle(struct timer *timer)
{
    struct broker *broker = container_of(timer, struct broker, idle);
    OWN(fd) int lock = -1;
    char runtime[PATHS_MAX];

    if (!broker->activated && paths_runtime(runtime, NULL) >= 0) {
        lock = open(runtime, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        flock(lock, LOCK_EX);
    }
    while (peer_accept(broker))
        ;
    if (!broker_is_unused(broker))
        return;
    if (presence_holds(&broker->presence))
        unlink(broker->address.sun_path);
    scrape_end(&broker->scrape);
    monitor_end(&broker->monitor);
    loop_stop(&broker->loop);
}

/* Nobody can reach us any more, and the next client starts another broker. */
static void socket_gone(struct presence *presence)
{
    struct broker *broker = container_of(presence, struct broker, presence);

    log_warn(NULL, "%s was removed: this broker ends, networks go on", broker->address.sun_path);
    loop_stop(&broker->loop);
}

static int socket_watch(struct broker *broker)
{
    int r = paths_socket(&broker->address, NULL, "broker.sock");

    if (r < 0 || broker->activated)
        return r;
    return presence_init(&broker->loop, &broker->presence, broker->address.sun_path, socket_gone);
}

static void told_to_end(struct signals *signals, int number)
{
    struct broker *broker = container_of(signals, struct broker, signals);

    (void)number;
    scrape_end(&broker->scrape);
    loop_stop(&broker->loop);
}

/* Our clients hand over one socket, without a name; the units of a service manager name theirs. */
static int listener_take(struct broker *broker, struct error *error)
{
    struct manager_fd given[MANAGER_FDS_MAX];
    int count = manager_listen(given);

    for (int i = 0; i < count; i++) {
        bool named = strcmp(given[i].name, "broker") == 0;

        if (broker->listener < 0 && (named || !given[i].name[0])) {
            broker->listener = given[i].fd;
            broker->activated = named;
        } else if (!activation_add(&broker->activation, given[i].name, given[i].fd)) {
            close(given[i].fd);
        }
    }
    if (broker->listener >= 0)
        return 0;
    error_set(error, -EBADF, ERROR_FAILED, "no socket was handed over to this broker");
    error_hint(error, "vmlan service register writes units that do; any vmlan command does, too");
    return -EBADF;
}

static int broker_init(struct broker *broker, struct error *error)
{
    int r;

    *broker = (struct broker){.loop.epoll = -1, .listener = -1, .peers_max = peer_limit()};
    list_init(&broker->peers);
    registry_init(&broker->registry, &broker->loop, networks_changed);
    activation_init(&broker->activation, &broker->loop, &broker->registry);
    monitor_init(&broker->monitor, &broker->loop, &broker->registry);
    scrape_init(&broker->scrape, &broker->loop, &broker->registry);
    r = listener_take(broker, error);
    if (r >= 0)
        r = interface_new(broker_varlink, broker_methods, &broker->interface, error);
    if (r < 0)
        return r;
    r = loop_init(&broker->loop);
    if (r >= 0)
        r = signals_init(&broker->loop, &broker->signals, told_to_end);
    if (r >= 0)
        r = timer_init(&broker->loop, &broker->idle, broker_idle);
    if (r >= 0)
        r = timer_init(&broker->loop, &broker->monitor.again, monitor_again);
    if (r >= 0)
        r = source_add(&broker->loop, &broker->listening, broker->listener, EPOLLIN, peer_arrived);
    if (r >= 0)
        r = socket_watch(broker);
    if (r < 0)
        return error_system(error, r, "cannot start the broker");
    scrape_begin(&broker->scrape);
    timer_set(&broker->idle, BROKER_IDLE_MS);
    r = registry_adopt(&broker->registry, error);
    if (r >= 0)
        activation_follow(&broker->activation);
    return r;
}

static void broker_done(struct broker *broker)
{
    struct peer *peer;

    scrape_done(&broker->scrape);
    monitor_done(&broker->monitor);
    list_each(peer, &broker->peers, link)
        peer_free(peer);
    registry_done(&broker->registry);
    activation_done(&broker->activation);
    source_remove(&broker->listening);
    presence_done(&broker->presence);
    fd_close(&broker->listener);
    timer_done(&broker->idle);
    signals_done(&broker->signals);
    loop_done(&broker->loop);
    interface_free(broker->interface);
}

int broker_main(int argc, char **argv)
{
    struct broker broker;
    struct error error = {0};
    char text[ERROR_TEXT_SIZE];
    int r;

    (void)argv;
    if (argc != 0)
        return 2; /* only a client or the service manager starts it */
    r = broker_init(&broker, &error);
    if (r >= 0) {
        log_debug(NULL, "ready");
        manager_notify("READY=1\nSTATUS=answers at broker.sock");
        r = loop_run(&broker.loop);
        manager_notify("STOPPING=1");
    }
    if (r < 0)
        log_error(NULL, "%s", error_text(&error, text, sizeof(text)));
    broker_done(&broker);
    return r < 0;
}
