/* SPDX-License-Identifier: Apache-2.0 */
/* See resolvers.h. */
#include "uplink/resolvers.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/own.h"

static const char keyword[] = "nameserver";

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* A zone (RFC 4007 section 11): the interface's name or number. */
static bool zone_parse(const char *text, uint32_t *ret)
{
    uint32_t zone = if_nametoindex(text);
    char *end;

    if (zone == 0) {
        unsigned long number = strtoul(text, &end, 10);

        if (*text < '0' || *text > '9' || *end || number > UINT32_MAX)
            return false;
        zone = (uint32_t)number;
    }
    *ret = zone;
    return true;
}

static bool address_parse(char *text, union endpoint *ret)
{
    union endpoint e = {.v6 = {0}};
    char *zone;

    if (inet_pton(AF_INET, text, &e.v4.sin_addr) == 1) {
        e.v4.sin_family = AF_INET;
        e.v4.sin_port = htons(RESOLVERS_PORT);
        *ret = e;
        return true;
    }
    zone = strchr(text, '%');
    if (zone)
        *zone++ = '\0';
    if (inet_pton(AF_INET6, text, &e.v6.sin6_addr) != 1 ||
        (zone && !zone_parse(zone, &e.v6.sin6_scope_id)))
        return false;
    e.v6.sin6_family = AF_INET6;
    e.v6.sin6_port = htons(RESOLVERS_PORT);
    *ret = e;
    return true;
}

/* One line without its end; what follows the address is passed over, as glibc does. */
static void line_parse(struct resolvers *resolvers, const char *line, size_t size)
{
    char text[INET6_ADDRSTRLEN + IF_NAMESIZE + 1];
    size_t at = sizeof(keyword) - 1, length = 0;

    if (size <= at || memcmp(line, keyword, at) != 0 || !is_blank(line[at]))
        return;
    while (at < size && is_blank(line[at]))
        at++;
    while (at + length < size && !is_blank(line[at + length]))
        length++;
    if (length >= sizeof(text) || resolvers->count == RESOLVERS_MAX)
        return;
    memcpy(text, line + at, length);
    text[length] = '\0';
    if (address_parse(text, &resolvers->list[resolvers->count]))
        resolvers->count++;
}

void resolvers_parse(struct resolvers *resolvers, const char *text, size_t size)
{
    char local[] = "127.0.0.1";

    resolvers->count = 0;
    while (size > 0) {
        const char *end = memchr(text, '\n', size);
        size_t length = end ? (size_t)(end - text) : size;

        line_parse(resolvers, text, length);
        length += end ? 1 : 0;
        text += length;
        size -= length;
    }
    if (resolvers->count == 0)
        resolvers->count = address_parse(local, &resolvers->list[0]);
}

void resolvers_init(struct resolvers *resolvers)
{
    *resolvers = (struct resolvers){.path = getenv("VMLAN_RESOLV_CONF")};
    if (!resolvers->path)
        resolvers->path = "/etc/resolv.conf";
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static size_t file_read(const char *path, char *text, size_t size)
{
    OWN(fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    size_t length = 0;
    ssize_t got;

    while (fd >= 0 && length < size && (got = read(fd, text + length, size - length)) > 0)
        length += (size_t)got;
    return length;
}

void resolvers_refresh(struct resolvers *resolvers)
{
    OWN(mem) char *text = NULL;
    struct stat now;

    if (stat(resolvers->path, &now) < 0)
        now = (struct stat){0};
    if (resolvers->count > 0 && same_file(&now, &resolvers->seen))
        return;
    text = alloc_zero(RESOLVERS_FILE_MAX, 1);
    resolvers_parse(resolvers, text, file_read(resolvers->path, text, RESOLVERS_FILE_MAX));
    resolvers->seen = now;
}
