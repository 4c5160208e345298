/* SPDX-License-Identifier: Apache-2.0 */
/*
 * networks.yaml: which file is ours, what it says, and the networks that exist without any file.
 *
 * Look-up order: the path given; $VMLAN_CONFIG; $XDG_CONFIG_HOME/vmlan/networks.yaml (root:
 * /etc/vmlan/networks.yaml); the `vmnet:` section of $LIMA_HOME/_config/networks.yaml; built-in.
 * A file that was named and is missing is an error; the later ones are passed over when missing.
 */
#pragma once

#include "config/spec.h"

struct networks {
    char *source;  /* path of the file, or "built-in defaults" */
    bool lima;     /* Lima's file: only its vmnet section counts, other keys are Lima's business */
    json_t *vmnet; /* object: network name -> configuration as written (checked) */
    json_t *clients; /* array of absolute paths: programs that may Acquire; may be empty */
};

/* given: --config, may be NULL. On failure faults has one line for each thing wrong, with
 * file:line:column; nothing is half-applied. */
int networks_load(const char *given, struct networks *ret, struct faults *faults);
/* The same for a text that is already at hand (tests, fuzzing); source names it in messages. */
int networks_parse(const char *text, size_t size, const char *source, bool lima,
                   struct networks *ret, struct faults *faults);
void networks_done(struct networks *networks);
static inline void own_networks(struct networks *networks)
{
    networks_done(networks);
}

/* The configuration of a network, borrowed; NULL with a message that lists the names there are. */
json_t *networks_find(const struct networks *networks, const char *name, struct error *error);
