/* SPDX-License-Identifier: Apache-2.0 */
/* See listing.h. */
#include "broker/listing.h"

#include "base/alloc.h"
#include "broker/description.h"
#include "broker/leases.h"
#include "broker/peer.h"

/* A List under way: it asks one network after the other, by name, because any may end meanwhile. */
struct listing {
    struct call *call;
    struct registry *registry;
    struct network *asking;
    json_t *names, *networks;
    size_t next;
};

static void listing_next(struct listing *listing);

static void listing_free(struct listing *listing)
{
    json_decref(listing->names);
    json_decref(listing->networks);
    free(listing);
}

static void listing_gone(struct call *call, void *context)
{
    struct listing *listing = context;

    if (listing->asking)
        network_forget(listing->asking, listing);
    call_drop(call);
    listing_free(listing);
}

static void listed(void *context, json_t *reply, int *fds, size_t fd_count, bool more,
                   const struct error *error)
{
    struct listing *listing = context;
    const struct spec *spec = network_spec(listing->asking);
    OWN(json) json_t *leases = NULL;

    (void)fds, (void)fd_count, (void)more;
    if (!error && spec && leases_of_network(spec->name, &leases, NULL) >= 0)
        json_array_append_new(listing->networks, description_of(reply, spec, leases));
    listing->asking = NULL; /* one that ended meanwhile is not listed */
    listing_next(listing);
}

static void listing_next(struct listing *listing)
{
    while (listing->next < json_array_size(listing->names)) {
        const char *name = json_string_value(json_array_get(listing->names, listing->next++));

        listing->asking = registry_find(listing->registry, name, NULL);
        if (listing->asking) {
            network_ask(listing->asking, &(struct network_question){.method = "Describe"}, listed,
                        listing);
            return;
        }
    }
    call_reply(listing->call, json_pack("{sO}", "networks", listing->networks), NULL, 0);
    listing_free(listing);
}

void listing_call(struct call *call)
{
    struct listing *listing = alloc_new(struct listing);

    listing->call = call;
    listing->registry = &call_peer(call)->broker->registry;
    listing->names = registry_names(listing->registry);
    listing->networks = json_array();
    call_on_gone(call, listing_gone, listing);
    listing_next(listing);
}
