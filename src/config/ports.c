/* SPDX-License-Identifier: Apache-2.0 */
/* See ports.h. */
#include "config/ports.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* Decimal without leading zeros; moves *text behind it. 0: there is none. */
static uint16_t ports_number(const char **text)
{
    size_t digits = strspn(*text, "0123456789");
    unsigned number = 0;

    if (digits == 0 || digits > 5 || (*text)[0] == '0')
        return 0;
    for (size_t i = 0; i < digits; i++)
        number = number * 10 + (unsigned)((*text)[i] - '0');
    *text += digits;
    return number > UINT16_MAX ? 0 : (uint16_t)number;
}

int ports_parse(const char *text, struct ports *ret)
{
    struct ports ports;

    ports.first = ports.last = ports_number(&text);
    if (*text == '-') {
        text++;
        ports.last = ports_number(&text);
    }
    if (*text || ports.first == 0 || ports.last < ports.first)
        return -EINVAL;
    *ret = ports;
    return 0;
}

char *ports_text(struct ports ports, char text[PORTS_TEXT_SIZE])
{
    if (ports.first == ports.last)
        snprintf(text, PORTS_TEXT_SIZE, "%u", ports.first);
    else
        snprintf(text, PORTS_TEXT_SIZE, "%u-%u", ports.first, ports.last);
    return text;
}

int ports_protocol(const char *text)
{
    if (strcmp(text, "tcp") == 0)
        return IPPROTO_TCP;
    return strcmp(text, "udp") == 0 ? IPPROTO_UDP : -EINVAL;
}

const char *ports_protocol_text(int protocol)
{
    return protocol == IPPROTO_UDP ? "udp" : "tcp";
}
