/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as our networks.yaml, as Lima's, and as a lima.yaml. What is accepted must hold: each
 * network's canonical form is accepted again, prints the same, and does not differ from itself.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/own.h"
#include "config/instance.h"
#include "config/networks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void nowhere(const struct spec_places *places, const char *path, char *text, size_t size)
{
    (void)places;
    (void)path;
    if (size)
        text[0] = '\0';
}

static const struct spec_places places = {.where = nowhere};

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_spec(const char *name, json_t *configuration)
{
    OWN(faults) struct faults faults = {0};
    OWN(spec) struct spec spec = {0}, again = {0};
    OWN(json) json_t *first = NULL;
    OWN(json) json_t *second = NULL;
    OWN(json) json_t *differs = NULL;

    require(spec_from_json(name, configuration, &places, &spec, &faults) == 0);
    first = spec_to_json(&spec);
    require(spec_from_json(name, first, &places, &again, &faults) == 0);
    second = spec_to_json(&again);
    require(json_equal(first, second));
    differs = spec_differs(&spec, configuration);
    require(json_array_size(differs) == 0);
}

static void check_faults(const struct faults *faults, int r)
{
    require((r < 0) == (faults->total > 0));
    require(faults->count <= faults->total && faults->count <= FAULTS_MAX);
    for (size_t i = 0; i < faults->count; i++) {
        OWN(json) json_t *reason = json_string(faults->items[i].reason);
        OWN(json) json_t *hint = json_string(faults->items[i].hint);

        require(reason && hint); /* UTF-8: messages travel as JSON */
    }
}

static void check_networks(const uint8_t *data, size_t size, bool lima)
{
    OWN(faults) struct faults faults = {0};
    OWN(networks) struct networks networks = {0};
    const char *name;
    json_t *configuration;
    int r = networks_parse((const char *)data, size, "F", lima, &networks, &faults);

    check_faults(&faults, r);
    json_object_foreach(networks.vmnet, name, configuration)
        check_spec(name, configuration);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OWN(faults) struct faults faults = {0};
    OWN(instance) struct instance instance = {0};

    check_networks(data, size, false);
    check_networks(data, size, true);
    check_faults(&faults,
                 instance_parse((const char *)data, size, "/lima.yaml", &instance, &faults));
    return 0;
}
