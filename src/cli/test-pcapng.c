/* SPDX-License-Identifier: Apache-2.0 */
/* A capture against tests/golden/pcapng, as hexadecimal text: tshark reads the same (tests/net). */
#include "cli/pcapng.h"

#include "base/golden.h"

static char *hex_of(const struct buf *bytes)
{
    struct buf text = BUF_NULL;

    for (size_t i = 0; i < bytes->size; i++)
        buf_printf(&text, "%02x%s", (unsigned char)bytes->data[i],
                   i % 16 == 15 || i + 1 == bytes->size ? "\n" : " ");
    return text.data;
}

static void test_capture(void)
{
    const struct timespec time = {.tv_sec = 1764000000, .tv_nsec = 123456789};
    const struct pcapng_interface bridge = {"br0", "", "", 262144};
    const struct pcapng_interface port = {"vm0", "alpha", "arp or icmp", 96};
    uint8_t frame[61];
    OWN(buf) struct buf out = BUF_NULL;
    OWN(mem) char *text = NULL;

    for (size_t i = 0; i < sizeof(frame); i++)
        frame[i] = (uint8_t)i;
    pcapng_section(&out, "vmlan");
    pcapng_interface(&out, &bridge);
    pcapng_interface(&out, &port);
    pcapng_packet(&out, &(struct pcapng_packet){1, time, frame, 61, 1514, PCAPNG_INBOUND});
    pcapng_packet(&out, &(struct pcapng_packet){0, time, frame, 0, 60, PCAPNG_OUTBOUND});
    pcapng_statistics(&out, 0, time, 2, 1);
    text = hex_of(&out);
    golden_check("tests/golden/pcapng/capture.txt", text);
}

static const struct test tests[] = {{"a capture of two interfaces", test_capture}};
TEST_MAIN(tests)
