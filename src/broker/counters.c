/* SPDX-License-Identifier: Apache-2.0 */
/* See counters.h. */
#include "broker/counters.h"

#include "base/alloc.h"
#include "broker/tally.h"

struct counting {
    struct call *call;
    struct tally *tally;
    json_t *networks;
};

static void counting_free(struct counting *counting)
{
    tally_free(counting->tally);
    json_decref(counting->networks);
    free(counting);
}

static void counting_gone(struct call *call, void *context)
{
    call_drop(call);
    counting_free(context);
}

/* counters NULL: those were all. */
static void counted(void *context, json_t *counters)
{
    struct counting *counting = context;
    struct call *call = counting->call;

    if (!counters) {
        call_reply(call, json_pack("{sO}", "networks", counting->networks), NULL, 0);
        counting_free(counting);
    } else if (!call_wants_more(call)) {
        json_array_append(counting->networks, counters);
    } else if (call_continue(call, json_pack("{s[O]}", "networks", counters)) < 0) {
        counting_gone(call, counting);
    }
}

int counters_call(struct broker *broker, struct call *call, const char *name, struct error *error)
{
    struct counting *counting;

    if (name && !registry_find(&broker->registry, name, error))
        return error->code;
    counting = alloc_new(struct counting);
    *counting = (struct counting){.call = call, .networks = json_array()};
    call_on_gone(call, counting_gone, counting);
    counting->tally = tally_new(&broker->loop, &broker->registry, name, counted, counting);
    return 0;
}
