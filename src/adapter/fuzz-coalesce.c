/* SPDX-License-Identifier: Apache-2.0 */
/* Any frames, each behind 2 bytes of its length, as a peer sends them: none is lost, and those that
 * are not merged come out as they went in, in order. First byte: whether checksums may be partial.
 */
#include "adapter/coalesce.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fed {
    struct {
        uint8_t *data;
        size_t size;
    } frames[256];
    unsigned count, emitted;
};

static void check(bool good)
{
    if (!good)
        abort();
}

static void emit(void *context, const struct iovec *iov, int count, unsigned frames)
{
    struct virtio_net_hdr header;
    struct fed *fed = context;
    size_t size = 0;

    memcpy(&header, iov[0].iov_base, sizeof(header));
    for (int i = 1; i < count; i++)
        size += iov[i].iov_len;
    check(iov[0].iov_len == sizeof(header) && frames > 0 && fed->emitted + frames <= fed->count);
    check(size <= FRAME_MAX && (frames > 1) == (header.gso_type != 0));
    if (frames == 1) {
        check(size == fed->frames[fed->emitted].size);
        check(memcmp(iov[1].iov_base, fed->frames[fed->emitted].data, size) == 0);
    } else {
        check(header.gso_size > 0 && header.hdr_len + header.gso_size < size);
        check(size - header.hdr_len > (size_t)header.gso_size * (frames - 1));
        check(size - header.hdr_len <= (size_t)header.gso_size * frames);
    }
    fed->emitted += frames;
}

static void run(struct coalesce *c, struct fed *fed, const uint8_t *data, size_t size)
{
    while (size >= 2 && fed->count < 256) {
        size_t length = frame_get16(data);

        data += 2, size -= 2;
        if (length > size)
            break;
        /* A copy without room behind it, so that the address sanitizer sees the end. */
        fed->frames[fed->count].data = malloc(length ? length : 1);
        fed->frames[fed->count].size = length;
        check(fed->frames[fed->count].data);
        memcpy(fed->frames[fed->count].data, data, length);
        fed->count++;
        coalesce_add(c, fed->frames[fed->count - 1].data, length);
        data += length, size -= length;
    }
    coalesce_flush(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fed fed;
    struct coalesce c = {.emit = emit, .context = &fed};

    if (size < 1)
        return 0;
    fed.count = fed.emitted = 0;
    c.partial = data[0] & 1;
    run(&c, &fed, data + 1, size - 1);
    check(fed.emitted == fed.count);
    for (unsigned i = 0; i < fed.count; i++)
        free(fed.frames[i].data);
    return 0;
}
