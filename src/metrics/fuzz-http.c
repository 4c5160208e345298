/* SPDX-License-Identifier: Apache-2.0 */
/* Requests for metrics, of anybody: whatever it is gets a whole answer, also in pieces. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "metrics/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1); /* of this size, for the sanitizer to see each byte beyond */
    struct buf body = BUF_NULL, answer = BUF_NULL;
    struct http_request whole, begun;

    memcpy(text, data, size);
    buf_printf(&body, "x 1\n");
    if (http_request_parse(text, size, "/metrics", &whole)) {
        http_answer(&whole, "text/plain", &body, &answer);
        assert(memmem(answer.data, answer.size, "\r\n\r\n", 4));
        assert(whole.status == 200 || whole.status >= 400);
    }
    http_request_parse(text, size / 2, "/metrics", &begun);
    buf_done(&body);
    buf_done(&answer);
    free(text);
    return 0;
}
