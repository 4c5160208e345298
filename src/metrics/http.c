/* SPDX-License-Identifier: Apache-2.0 */
/* See http.h. */
#include "metrics/http.h"

#include <string.h>

#include "base/own.h"

static const struct status {
    int status;
    const char *words;
} statuses[] = {
    {200, "OK"},
    {400, "Bad Request"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {431, "Request Header Fields Too Large"},
};

static const char *status_words(int status)
{
    for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
        if (statuses[i].status == status)
            return statuses[i].words;
    return "Error";
}

/* Whether the empty line behind the head is there; a line may end without a carriage return (RFC
 * 9112, 2.2). */
static bool head_complete(const char *data, size_t size)
{
    return memmem(data, size, "\n\r\n", 3) || memmem(data, size, "\n\n", 2);
}

/* Up to the next space, or all of it. */
static size_t word_size(const char *text, size_t size)
{
    const char *space = memchr(text, ' ', size);

    return space ? (size_t)(space - text) : size;
}

static bool word_is(const char *word, size_t size, const char *text)
{
    return size == strlen(text) && memcmp(word, text, size) == 0;
}

/* line: without its end. Three words: method, target, version. */
static int line_judge(const char *line, size_t size, const char *target, bool *ret_head)
{
    size_t method = word_size(line, size), path, version;
    const char *second = line + method + 1, *third;

    if (method == size)
        return 400;
    path = word_size(second, size - method - 1);
    if (method + 1 + path == size)
        return 400;
    third = second + path + 1;
    version = size - (size_t)(third - line);
    if (version != 8 || memcmp(third, "HTTP/1.", 7) != 0)
        return 400;
    *ret_head = word_is(line, method, "HEAD");
    if (!*ret_head && !word_is(line, method, "GET"))
        return 405;
    if (memchr(second, '?', path)) /* a query changes nothing */
        path = (size_t)((const char *)memchr(second, '?', path) - second);
    return word_is(second, path, "/") || word_is(second, path, target) ? 200 : 404;
}

bool http_request_parse(const char *data, size_t size, const char *target, struct http_request *ret)
{
    const char *end = memchr(data, '\n', size);
    size_t line = end ? (size_t)(end - data) : size;

    *ret = (struct http_request){.status = 431};
    if (size > HTTP_HEAD_MAX)
        return true;
    if (!head_complete(data, size))
        return false;
    if (line > 0 && data[line - 1] == '\r')
        line--;
    ret->status = line_judge(data, line, target, &ret->head);
    return true;
}

void http_answer(const struct http_request *request, const char *type, const struct buf *body,
                 struct buf *out)
{
    const char *words = status_words(request->status);
    bool good = request->status == 200;
    size_t size = good ? body->size : strlen(words) + 1;

    buf_printf(out,
               "HTTP/1.0 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s"
               "Connection: close\r\n\r\n",
               request->status, words, good ? type : "text/plain", size,
               request->status == 405 ? "Allow: GET, HEAD\r\n" : "");
    if (request->head)
        return;
    if (good)
        buf_append(out, buf_text(body), body->size);
    else
        buf_printf(out, "%s\n", words);
}
