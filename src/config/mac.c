/* SPDX-License-Identifier: Apache-2.0 */
/* MAC addresses as text; declared in spec.h. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/spec.h"

static int mac_digit(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

int mac_parse(const char *text, uint8_t ret_mac[6])
{
    static const uint8_t zero[6];
    uint8_t mac[6];

    if (strlen(text) != MAC_TEXT_SIZE - 1 || (text[2] != ':' && text[2] != '-'))
        return -EINVAL;
    for (size_t i = 0; i < 6; i++) {
        const char *byte = text + 3 * i;

        if (!isxdigit((unsigned char)byte[0]) || !isxdigit((unsigned char)byte[1]))
            return -EINVAL;
        if (i < 5 && byte[2] != text[2])
            return -EINVAL;
        mac[i] = (uint8_t)(mac_digit(byte[0]) << 4 | mac_digit(byte[1]));
    }
    if ((mac[0] & 1) || memcmp(mac, zero, sizeof(mac)) == 0)
        return -EADDRNOTAVAIL;
    memcpy(ret_mac, mac, sizeof(mac));
    return 0;
}

char *mac_text(const uint8_t mac[6], char text[MAC_TEXT_SIZE])
{
    snprintf(text, MAC_TEXT_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
             mac[4], mac[5]);
    return text;
}
