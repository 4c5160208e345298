/* SPDX-License-Identifier: Apache-2.0 */
/* See activation.h. */
#include "broker/activation.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "broker/registry.h"

/* A network that ends right after it was started for somebody who still waits, or that can't be
 * started, is tried again only after this time. */
enum { AGAIN_MS = 1000 };

struct place {
    struct list link;
    struct activation *activation;
    char network[SPEC_NAME_MAX + 1];
    struct listeners listeners;
    struct source stream, datagram; /* added while the broker waits */
    struct timer again;
    uint64_t tried; /* clock_ms(); 0: not yet */
};

static struct place *place_of(const struct activation *activation, const char *network)
{
    struct place *place;

    list_each(place, &activation->places, link)
        if (strcmp(place->network, network) == 0)
            return place;
    return NULL;
}

static void place_rest(struct place *place)
{
    source_remove(&place->stream);
    source_remove(&place->datagram);
    timer_stop(&place->again);
}

/* Whoever waits is not to wait for ever: connections are closed, datagrams dropped. */
static void place_refuse(const struct place *place)
{
    char byte;
    int fd;

    while ((fd = accept4(place->listeners.stream, NULL, NULL, SOCK_CLOEXEC)) >= 0)
        close(fd);
    while (recv(place->listeners.datagram, &byte, sizeof(byte), MSG_DONTWAIT) >= 0)
        ;
}

static void place_start(struct place *place)
{
    char text[ERROR_TEXT_SIZE];
    struct error error;

    place_rest(place);
    place->tried = clock_ms();
    if (registry_get(place->activation->registry, place->network, NULL, "", &error)) {
        log_info(place->network, "started by its path");
        return;
    }
    log_error(place->network, "somebody connects to its path, but it can't start: %s",
              error_text(&error, text, sizeof(text)));
    place_refuse(place);
    timer_set(&place->again, AGAIN_MS);
}

static void stream_asked(struct source *source, uint32_t events)
{
    (void)events;
    place_start(container_of(source, struct place, stream));
}

static void datagram_asked(struct source *source, uint32_t events)
{
    (void)events;
    place_start(container_of(source, struct place, datagram));
}

static void place_wait(struct place *place)
{
    struct loop *loop = place->activation->loop;

    place_rest(place);
    if (place->listeners.stream >= 0)
        source_add(loop, &place->stream, place->listeners.stream, EPOLLIN, stream_asked);
    if (place->listeners.datagram >= 0)
        source_add(loop, &place->datagram, place->listeners.datagram, EPOLLIN, datagram_asked);
}

static void again(struct timer *timer)
{
    place_wait(container_of(timer, struct place, again));
}

static void place_follow(struct place *place)
{
    bool waits = place->stream.loop || place->datagram.loop || timer_is_set(&place->again);

    if (registry_find(place->activation->registry, place->network, NULL)) {
        place_rest(place);
        return;
    }
    if (waits ||
        (!place->again.made && timer_init(place->activation->loop, &place->again, again) < 0))
        return;
    if (place->tried && clock_ms() - place->tried < AGAIN_MS)
        timer_set(&place->again, AGAIN_MS);
    else
        place_wait(place);
}

void activation_init(struct activation *activation, struct loop *loop, struct registry *registry)
{
    *activation = (struct activation){.loop = loop, .registry = registry};
    list_init(&activation->places);
    registry->activation = activation;
}

static void place_free(struct place *place)
{
    source_remove(&place->stream);
    source_remove(&place->datagram);
    timer_done(&place->again);
    listeners_done(&place->listeners);
    list_remove(&place->link);
    free(place);
}

void activation_done(struct activation *activation)
{
    struct place *place;

    list_each(place, &activation->places, link)
        place_free(place);
}

static struct place *place_get(struct activation *activation, const char *network)
{
    struct place *place = place_of(activation, network);

    if (place)
        return place;
    place = alloc_new(struct place);
    place->activation = activation;
    place->listeners = LISTENERS_NULL;
    snprintf(place->network, sizeof(place->network), "%s", network);
    list_append(&activation->places, &place->link);
    return place;
}

bool activation_add(struct activation *activation, const char *name, int fd)
{
    const char *network = strchr(name, '.');
    size_t length = network ? (size_t)(network - name) : 0;
    bool stream = length == 6 && strncmp(name, "stream", length) == 0;
    bool datagram = length == 8 && strncmp(name, "datagram", length) == 0;
    struct place *place;
    int *to;

    if ((!stream && !datagram) || spec_check_name(network + 1, NULL) < 0)
        return false;
    place = place_get(activation, network + 1);
    to = stream ? &place->listeners.stream : &place->listeners.datagram;
    if (*to >= 0)
        return false;
    *to = fd;
    return true;
}

struct listeners activation_listeners(const struct activation *activation, const char *network)
{
    const struct place *place = place_of(activation, network);

    return place ? place->listeners : LISTENERS_NULL;
}

void activation_follow(struct activation *activation)
{
    struct place *place;

    list_each(place, &activation->places, link)
        place_follow(place);
}
