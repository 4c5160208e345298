/* SPDX-License-Identifier: Apache-2.0 */
/* The metrics' text against tests/golden/metrics, and requests that are right and wrong. */
#include "metrics/metrics.h"

#include "base/golden.h"
#include "metrics/http.h"

static void test_text(void)
{
    static const char counters[] =
        "[{\"network\": \"shared\", \"ports\": ["
        "{\"port\": \"vm0\", \"backend\": \"tap\", \"name\": \"al\\\"pha\\\\\","
        " \"receive\": {\"bytes\": 9007199254740993, \"packets\": 2, \"dropped\": 3},"
        " \"transmit\": {\"bytes\": 4, \"packets\": 5, \"dropped\": 6}},"
        "{\"port\": \"vm1\", \"backend\": \"stream\","
        " \"receive\": {\"bytes\": 0, \"packets\": 0, \"dropped\": 0},"
        " \"transmit\": {\"bytes\": 0, \"packets\": 0, \"dropped\": 0}}],"
        " \"gateway\": {\"receive\": {\"bytes\": 7, \"packets\": 8, \"dropped\": 0},"
        " \"transmit\": {\"bytes\": 9, \"packets\": 10, \"dropped\": 0}},"
        " \"flows\": {\"tcp\": 11, \"udp\": 12, \"ping\": 13}},"
        "{\"network\": \"host\", \"ports\": []}]";
    OWN(json) json_t *networks = json_loads(counters, 0, NULL);
    OWN(buf) struct buf text = BUF_NULL;

    CHECK(networks);
    metrics_text(networks, &text);
    golden_check("tests/golden/metrics/two-networks.txt", buf_text(&text));
}

static int status_of(const char *text)
{
    struct http_request request;

    return http_request_parse(text, strlen(text), "/metrics", &request) ? request.status : 0;
}

static void test_requests(void)
{
    static const struct {
        const char *text;
        int status; /* 0: not complete */
    } requests[] = {
        {"GET /metrics HTTP/1.1\r\nHost: vmlan\r\n\r\n", 200},
        {"GET / HTTP/1.0\n\n", 200},
        {"HEAD /metrics?a=b HTTP/1.0\r\n\r\n", 200},
        {"GET /metrics HTTP/1.1\r\nHost: vmlan\r\n", 0},
        {"", 0},
        {"GET /metric HTTP/1.1\r\n\r\n", 404},
        {"GET /metricsx HTTP/1.1\r\n\r\n", 404},
        {"POST /metrics HTTP/1.1\r\n\r\n", 405},
        {"GET /metrics\r\n\r\n", 400},
        {"GET  HTTP/1.1\r\n\r\n", 404},
        {"GET /metrics HTTP/2.0\r\n\r\n", 400},
        {"GET /metrics HTTP/1.1 more\r\n\r\n", 400},
        {"\r\n\r\n", 400},
        {"\n\n", 400},
    };

    for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
        printf("# %zu\n", i);
        CHECK_INT(status_of(requests[i].text), requests[i].status);
    }
}

static void test_too_long(void)
{
    char text[HTTP_HEAD_MAX + 1];
    struct http_request request;

    memset(text, 'x', sizeof(text));
    CHECK(!http_request_parse(text, HTTP_HEAD_MAX, "/metrics", &request));
    CHECK(http_request_parse(text, sizeof(text), "/metrics", &request));
    CHECK_INT(request.status, 431);
}

static void test_answers(void)
{
    OWN(buf) struct buf body = BUF_NULL, good = BUF_NULL, head = BUF_NULL, bad = BUF_NULL;

    buf_printf(&body, "x 1\n");
    http_answer(&(struct http_request){.status = 200}, METRICS_TYPE, &body, &good);
    CHECK_TEXT(buf_text(&good), "HTTP/1.0 200 OK\r\nContent-Type: " METRICS_TYPE
                                "\r\nContent-Length: 4\r\nConnection: close\r\n\r\nx 1\n");
    http_answer(&(struct http_request){.status = 200, .head = true}, "t", &body, &head);
    CHECK_TEXT(buf_text(&head), "HTTP/1.0 200 OK\r\nContent-Type: t\r\nContent-Length: 4\r\n"
                                "Connection: close\r\n\r\n");
    http_answer(&(struct http_request){.status = 405}, "t", NULL, &bad);
    CHECK_TEXT(buf_text(&bad), "HTTP/1.0 405 Method Not Allowed\r\nContent-Type: text/plain\r\n"
                               "Content-Length: 19\r\nAllow: GET, HEAD\r\nConnection: close\r\n\r\n"
                               "Method Not Allowed\n");
}

static const struct test tests[] = {
    {"two networks", test_text},
    {"requests and what they get", test_requests},
    {"a head that is too long", test_too_long},
    {"whole answers", test_answers},
};
TEST_MAIN(tests)
