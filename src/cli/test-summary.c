/* SPDX-License-Identifier: Apache-2.0 */
/* Frames in a line: right ones, cut ones, and lengths that lie. */
#include "cli/summary.h"

#include <stdlib.h>

#include "base/own.h"
#include "base/test.h"

static size_t bytes_of(const char *hex, uint8_t *bytes)
{
    size_t size = 0;

    for (; *hex; hex++)
        if (*hex != ' ') {
            char pair[3] = {hex[0], hex[1], '\0'};

            bytes[size++] = (uint8_t)strtoul(pair, NULL, 16);
            hex++;
        }
    return size;
}

#define MACS "525400000002 525400000001 "

static const struct {
    const char *hex, *text;
} frames[] = {
    {MACS "0806 0001080006040001 525400000001 c0a86b05 000000000000 c0a86b01",
     "ARP who has 192.168.107.1? tell 192.168.107.5"},
    {MACS "0806 0001080006040002 525400000001 c0a86b01 525400000002 c0a86b05",
     "ARP 192.168.107.1 is at 52:54:00:00:00:01"},
    {MACS "0806 0001", "ARP, cut off or not for IPv4"},
    /* IPv4 TCP SYN, padded by the sender */
    {MACS "0800 4500002800010000 40060000 c0a86b05 c0a86b01 c3500050 00000001 00000000 50020000 "
          "00000000 000000000000",
     "192.168.107.5.50000 > 192.168.107.1.80 TCP S, length 0"},
    {MACS "0800 4500001c00010000 40110000 c0a86b05 c0a86b01 00440043 00080000",
     "192.168.107.5.68 > 192.168.107.1.67 UDP DHCP, length 0"},
    {MACS "0800 4500001c00010000 40010000 c0a86b05 c0a86b01 0800f7ff 00000000",
     "192.168.107.5 > 192.168.107.1 ICMP echo request, length 8"},
    {MACS "0800 4500001c000100b9 40110000 c0a86b05 c0a86b01 0000000000000000",
     "192.168.107.5 > 192.168.107.1 fragment at 1480, length 8"},
    {MACS "0800 4500001c00010000 40fd0000 c0a86b05 c0a86b01 0000000000000000",
     "192.168.107.5 > 192.168.107.1 protocol 253, length 8"},
    {MACS "0800 4500", "IPv4, cut off"},
    {MACS "0800 4f00001c00010000 40110000 c0a86b05 c0a86b01", "IPv4, cut off"},
    {MACS "0800 4500ffff00010000 40110000 c0a86b05 c0a86b01 0044", /* says more than there is */
     "192.168.107.5 > 192.168.107.1 UDP, cut off"},
    {MACS "86dd 6000000000083aff fe800000000000000000000000000001 ff020000000000000000000000000001 "
          "8600000000000000",
     "fe80::1 > ff02::1 ICMPv6 router advertisement, length 8"},
    /* hop-by-hop options first; then a header that goes on beyond the end */
    {MACS "86dd 60000000001000ff fe800000000000000000000000000001 ff020000000000000000000000000016 "
          "3a00050200000000 8f00000000000000",
     "fe80::1 > ff02::16 ICMPv6 listener report, length 8"},
    {MACS "86dd 60000000001000ff fe800000000000000000000000000001 ff020000000000000000000000000016 "
          "3aff050200000000 8f00000000000000",
     "fe80::1 > ff02::16 IPv6, cut off"},
    {MACS "8100 0064 0806 0001", "vlan 100 ARP, cut off or not for IPv4"},
    {MACS "88cc 0207", "52:54:00:00:00:01 > 52:54:00:00:00:02 type 0x88cc, length 2"},
    {"52540000", "a frame of 4 bytes"},
    {"", "a frame of 0 bytes"},
};

static void test_frames(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(frames); i++) {
        uint8_t bytes[256];
        char text[SUMMARY_SIZE];

        CHECK_TEXT(summary_text(bytes, bytes_of(frames[i].hex, bytes), text), frames[i].text);
    }
}

static void test_many_tags(void)
{
    uint8_t bytes[1514] = {0};
    char text[SUMMARY_SIZE];

    for (size_t i = 12; i < sizeof(bytes); i += 4)
        bytes[i] = 0x81;
    CHECK_INT(strlen(summary_text(bytes, sizeof(bytes), text)), SUMMARY_SIZE - 1);
}

static const struct test tests[] = {
    {"frames", test_frames},
    {"more than a line has room for", test_many_tags},
};
TEST_MAIN(tests)
