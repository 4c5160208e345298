/* SPDX-License-Identifier: Apache-2.0 */
/* The networks there are: found by name, started on demand, adopted from an earlier broker. */
#pragma once

#include "network/network.h"

struct registry {
    struct loop *loop;
    struct list networks;                       /* struct network */
    void (*changed)(struct registry *registry); /* a network came or went */
    const struct activation *activation;        /* borrowed; NULL: none */
};

void registry_init(struct registry *registry, struct loop *loop,
                   void (*changed)(struct registry *registry));
/* Takes over every network whose holder answers, and clears away what is left of others. */
int registry_adopt(struct registry *registry, struct error *error);
void registry_done(struct registry *registry);

bool registry_empty(const struct registry *registry);
/* The names of all networks; a new array. */
json_t *registry_names(const struct registry *registry);
/* NULL with a message when no such network runs. */
struct network *registry_find(struct registry *registry, const char *name, struct error *error);
/* The network that runs, or a new one. configuration: of a request, NULL: what the user's own
 * networks.yaml says. where: of the configuration in the request, for messages. */
struct network *registry_get(struct registry *registry, const char *name,
                             const json_t *configuration, const char *where, struct error *error);
