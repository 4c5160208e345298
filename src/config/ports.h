/* SPDX-License-Identifier: Apache-2.0 */
/* Ports and protocols as forwards and egress entries write them: "80", "8000-8010"; "tcp", "udp".
 */
#pragma once

#include <stdint.h>

/* first to last, both included; {0, 0}: any port. */
struct ports {
    uint16_t first, last;
};

#define PORTS_TEXT_SIZE 12

/* 1 to 65535, or two of them in order. Negative errno. */
int ports_parse(const char *text, struct ports *ret);
/* Returns text. */
char *ports_text(struct ports ports, char text[PORTS_TEXT_SIZE]);

static inline unsigned ports_count(struct ports ports)
{
    return ports.last - ports.first + 1u;
}

/* IPPROTO_TCP or IPPROTO_UDP; -EINVAL for any other text. */
int ports_protocol(const char *text);
const char *ports_protocol_text(int protocol);
