/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's name servers as they are now: /etc/resolv.conf, read again whenever it is another file
 * or has changed, so that a VPN or another Wi-Fi is followed with the next query. As resolver(3)
 * does it: the first three; none, or no file: 127.0.0.1. Stubs on the host's loopback count.
 */
#pragma once

#include <stddef.h>
#include <sys/stat.h>

#include "uplink/uplink.h"

enum {
    RESOLVERS_MAX = 3,          /* MAXNS, resolv.h */
    RESOLVERS_FILE_MAX = 65536, /* bytes read of the file */
    RESOLVERS_PORT = 53,
};

struct resolvers {
    union endpoint list[RESOLVERS_MAX];
    size_t count; /* at least 1 once read */
    const char *path;
    struct stat seen; /* of the file that was read; st_ino 0: none */
};

/* The nameserver lines of resolv.conf(5), IPv6 with %scope; others are passed over. Writes list and
 * count; 127.0.0.1 when there are none. */
void resolvers_parse(struct resolvers *resolvers, const char *text, size_t size);

/* Of $VMLAN_RESOLV_CONF (for tests) or /etc/resolv.conf; the path must stay. */
void resolvers_init(struct resolvers *resolvers);

/* Reads the file if it changed; to be called before each use. */
void resolvers_refresh(struct resolvers *resolvers);
