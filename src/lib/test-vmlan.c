/* SPDX-License-Identifier: Apache-2.0 */
/* libvmlan as a program uses it, through include/vmlan.h alone. */
#include "vmlan.h"

#include <errno.h>

#include "lib/test-broker.h"

static struct vmlan *v;

/* What a callback saw. */
struct seen {
    int calls, result;
    struct vmlan_port *port;
    char text[128]; /* of a reply or an error */
    int more, fd;
    struct vmlan_request *request;
    void (*act)(struct seen *seen); /* runs in the callback */
};

static void start(void)
{
    broker_init(true);
    CHECK_INT(vmlan_open(0, &v), 0);
}

static void stop(void)
{
    vmlan_close(take_ptr(v));
    broker_done();
}

static void turn(void)
{
    for (int i = 0; i < 8 && v; i++)
        CHECK_INT(vmlan_dispatch(v, 0), 0);
}

static void seen_attached(struct vmlan *of, int result, struct vmlan_port *port, void *userdata)
{
    struct seen *seen = userdata;

    CHECK(of == v);
    seen->calls++;
    seen->result = result;
    seen->port = port;
    if (result < 0)
        snprintf(seen->text, sizeof(seen->text), "%s", vmlan_error(v)->reason);
    if (seen->act)
        seen->act(seen);
}

static void seen_replied(struct vmlan *of, int result, struct vmlan_reply *reply, void *userdata)
{
    struct seen *seen = userdata;

    CHECK(of == v);
    CHECK(!reply == (result < 0));
    seen->calls++;
    seen->result = result;
    snprintf(seen->text, sizeof(seen->text), "%s", reply ? reply->json : vmlan_error(v)->reason);
    seen->more = reply && reply->more;
    if (reply && reply->fd_count > 1)
        seen->fd = take_fd(&reply->fds[1]);
    if (seen->act)
        seen->act(seen);
}

#define ATTACHED                                                                    \
    "{\"parameters\":{\"network\":\"shared\",\"port\":\"vm0\",\"backend\":\"tap\"," \
    "\"mac\":\"52:55:55:00:00:01\",\"mtu\":1500,\"subnet\":\"192.168.107.0/24\","   \
    "\"gateway\":\"192.168.107.1\",\"domain\":\"shared.internal\",\"dhcp\":true,"   \
    "\"fds\":[1,0],\"vhostFds\":[2],\"differs\":[\"mtu\"]}}"

static void test_attach(void)
{
    const struct fds fds = {.fd = {0, 1, 2}, .count = 3};
    struct vmlan_options options = VMLAN_OPTIONS_INIT;
    struct seen seen = {0};
    int own;

    start();
    options.network = "shared";
    options.mac = "52:55:55:00:00:01";
    options.queues = 2;
    options.tso = options.strict = 1;
    options.configuration = "{\"mtu\": 1400}";
    CHECK_INT(vmlan_attach_async(v, &options, seen_attached, &seen, NULL), 0);
    broker_accept();
    CHECK_TEXT(broker_receive(),
               "{\"method\":\"io.vmlan.Broker.Attach\",\"parameters\":{\"network\":\"shared\","
               "\"mac\":\"52:55:55:00:00:01\",\"configuration\":{\"mtu\":1400},\"queues\":2,"
               "\"tso\":true,\"strict\":true}}");
    broker_answer(ATTACHED, &fds);
    turn();
    CHECK_INT(seen.result, 0);
    CHECK_TEXT(seen.port->id, "vm0");
    CHECK_TEXT(seen.port->gateway, "192.168.107.1");
    CHECK(!seen.port->gateway6);
    CHECK_INT(seen.port->mtu, 1500);
    CHECK_INT(seen.port->fd_count, 2);
    CHECK_INT(seen.port->vhost_fd_count, 1);
    CHECK_TEXT(seen.port->differs[0], "mtu");
    CHECK(!seen.port->differs[1]);
    CHECK(strstr(seen.port->json, "\"mtu\":1500"));
    own = take_fd(&seen.port->fds[1]);
    vmlan_port_free(seen.port);
    CHECK_INT(close(own), 0);
    stop();
}

/* Two in flight; the broker ends after the first. */
static void test_attach_twice(void)
{
    const struct fds fds = {.fd = {0, 1, 2}, .count = 3};
    struct vmlan_options options = VMLAN_OPTIONS_INIT;
    struct seen a = {0}, b = {0};

    start();
    options.network = "shared";
    CHECK_INT(vmlan_attach_async(v, &options, seen_attached, &a, NULL), 0);
    CHECK_INT(vmlan_attach_async(v, &options, seen_attached, &b, NULL), 0);
    broker_accept();
    broker_answer(ATTACHED, &fds);
    fd_close(&broker.conn);
    turn();
    CHECK_INT(a.calls, 1);
    CHECK_INT(b.calls, 0);
    broker_accept();
    broker_answer("{\"error\":\"io.vmlan.Broker.Conflict\",\"parameters\":{\"field\":"
                  "\"Attach.mac\",\"reason\":\"taken\"}}",
                  NULL);
    turn();
    CHECK_INT(b.calls, 1);
    CHECK_INT(b.result, -EEXIST);
    CHECK_TEXT(vmlan_error(v)->name, "Conflict");
    CHECK_TEXT(vmlan_error(v)->field, "Attach.mac");
    CHECK_TEXT(vmlan_error(v)->reason, "taken");
    CHECK_TEXT(vmlan_error(v)->hint, "");
    vmlan_port_free(a.port);
    stop();
}

static void wrong_options(const struct vmlan_options *options, int code, const char *field,
                          const char *reason)
{
    struct vmlan_port *port;

    CHECK_INT(vmlan_attach(v, options, &port), code);
    CHECK_INT(vmlan_error(v)->code, code);
    CHECK_TEXT(vmlan_error(v)->field, field);
    CHECK(strncmp(vmlan_error(v)->reason, reason, strlen(reason)) == 0);
}

static void test_wrong_options(void)
{
    struct vmlan_options options = VMLAN_OPTIONS_INIT;
    struct {
        struct vmlan_options options;
        long newer;
    } newer = {.newer = 1};

    start();
    newer.options.size = sizeof(newer);
    wrong_options(&newer.options, -E2BIG, "Attach", "the options have ");
    options.size = 0;
    wrong_options(&options, -E2BIG, "Attach", "the options have 0 bytes");
    options.size = sizeof(options);
    options.name = "\xff";
    wrong_options(&options, -EINVAL, "Attach.name", "not UTF-8");
    options.name = NULL;
    options.configuration = "{";
    wrong_options(&options, -EINVAL, "Attach.configuration", "line 1, column 1: ");
    options.configuration = "[]";
    wrong_options(&options, -EINVAL, "Attach.configuration", "not a JSON object");
    options.configuration_file = "/nonexistent";
    wrong_options(&options, -EINVAL, "Attach.configuration", "both ");
    options.configuration = NULL;
    wrong_options(&options, -EINVAL, "Attach.configuration", "unable to open /nonexistent");
    stop();
}

static void act_close(struct seen *seen)
{
    (void)seen;
    vmlan_close(take_ptr(v));
}

static void test_close_in_callback(void)
{
    struct seen a = {.act = act_close}, b = {0};
    struct vmlan *closed;

    start();
    CHECK_INT(vmlan_call_async(v, "List", NULL, 0, seen_replied, &a, NULL), 0);
    CHECK_INT(vmlan_call_async(v, "Monitor", NULL, VMLAN_MORE, seen_replied, &b, NULL), 0);
    broker_accept();
    broker_answer("{\"parameters\":{}}", NULL);
    closed = v;
    CHECK_INT(vmlan_dispatch(closed, 1000), -ECANCELED);
    CHECK_INT(a.calls, 1);
    CHECK_INT(b.calls, 0);
    stop();
}

static void act_cancel(struct seen *seen)
{
    if (seen->calls == 2)
        vmlan_cancel(seen->request);
}

static void test_stream(void)
{
    struct seen a = {.act = act_cancel};

    start();
    CHECK_INT(vmlan_call_async(v, "org.example.Watch", "{\"x\": [1]}", VMLAN_MORE, seen_replied, &a,
                               &a.request),
              0);
    broker_accept();
    CHECK_TEXT(broker_receive(),
               "{\"method\":\"org.example.Watch\",\"parameters\":{\"x\":[1]},\"more\":true}");
    for (int i = 0; i < 3; i++)
        broker_answer("{\"parameters\":{\"text\":\"one\"},\"continues\":true}", NULL);
    turn();
    CHECK_INT(a.calls, 2);
    CHECK_INT(a.more, 1);
    CHECK_TEXT(a.text, "{\"text\":\"one\"}");
    stop();
}

static void test_reply_descriptors(void)
{
    const struct fds fds = {.fd = {0, 1}, .count = 2};
    struct seen a = {.fd = -1};

    start();
    CHECK_INT(vmlan_call_async(v, "Acquire", NULL, 0, seen_replied, &a, NULL), 0);
    broker_accept();
    broker_answer("{\"parameters\":{}}", &fds);
    turn();
    CHECK(a.fd >= 0);
    CHECK_INT(close(a.fd), 0);
    stop();
}

static void test_wrong_calls(void)
{
    struct vmlan *other;
    char *text;

    CHECK_INT(vmlan_open(~0U, &other), -EINVAL);
    start();
    CHECK_TEXT(vmlan_error(v)->reason, "");
    CHECK_INT(vmlan_call_async(v, "List", NULL, 8, seen_replied, NULL, NULL), -EINVAL);
    CHECK_INT(vmlan_call_async(v, "List", "{\"a\":1,\"a\":2}", 0, seen_replied, NULL, NULL),
              -EINVAL);
    CHECK_TEXT(vmlan_error(v)->field, "parameters");
    CHECK_INT(vmlan_inspect(v, "\xff", &text), -EINVAL);
    CHECK_TEXT(vmlan_error(v)->field, "Inspect.network");
    CHECK_INT(vmlan_up(v, "shared", "1"), -EINVAL);
    CHECK_TEXT(vmlan_error(v)->field, "Up.configuration");
    stop();
}

static void test_no_start(void)
{
    char *text;

    broker_init(false);
    CHECK_INT(vmlan_open(VMLAN_NO_START, &v), 0);
    CHECK_INT(vmlan_list(v, &text), -ENOENT);
    CHECK_TEXT(vmlan_error(v)->reason, "no network runs");
    stop();
}

static const struct test tests[] = {
    {"a port", test_attach},
    {"two ports, and a broker that ends between", test_attach_twice},
    {"wrong options", test_wrong_options},
    {"closed in a callback", test_close_in_callback},
    {"several replies, until cancelled", test_stream},
    {"descriptors of a reply", test_reply_descriptors},
    {"wrong calls", test_wrong_calls},
    {"no broker started", test_no_start},
};

TEST_MAIN(tests)
