/* SPDX-License-Identifier: Apache-2.0 */
/* See leases.h. */
#include "network/leases.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/own.h"
#include "base/paths.h"
#include "config/spec.h"

enum {
    FIELDS = 5,          /* expiry, hardware address or IAID, address, name, client id */
    FIELD_MAX = 400,     /* longest is a DUID of 130 bytes (RFC 8415, 11.1), 3 letters a byte */
    NAME_MAX_SIZE = 255, /* RFC 1035, 2.3.4 */
    FILE_MAX = 8 << 20,  /* bytes; some 60000 leases, more than dnsmasq is allowed to give */
    ETHERNET = 1,        /* RFC 826, ar$hrd */
    DUID_LLT = 1,
    DUID_LL = 3,
};

struct fields {
    char text[FIELDS][FIELD_MAX + 1];
};

/* Splits a line at single spaces; false when it has not exactly the fields of a lease. */
static bool fields_split(const char *line, size_t size, struct fields *ret)
{
    const char *end = line + size;

    for (int i = 0; i < FIELDS; i++) {
        const char *space = memchr(line, ' ', (size_t)(end - line));
        const char *stop = space ? space : end;
        size_t length = (size_t)(stop - line);

        if (length == 0 || length > FIELD_MAX || (i < FIELDS - 1) != (space != NULL))
            return false;
        memcpy(ret->text[i], line, length);
        ret->text[i][length] = '\0';
        line = stop + 1;
    }
    return true;
}

static bool number_parse(const char *text, int64_t *ret)
{
    char *end;
    long long number;

    if (!isdigit((unsigned char)*text))
        return false;
    errno = 0;
    number = strtoll(text, &end, 10);
    if (errno || *end)
        return false;
    *ret = number;
    return true;
}

/* The MAC address in a client's DUID: "00:01:00:01:T:T:T:T:" or "00:03:00:01:" and six bytes. */
static bool duid_mac(const char *text, uint8_t mac[6])
{
    uint8_t duid[14] = {0};
    size_t count = 0;
    unsigned kind, hardware;
    char *end = NULL;

    for (; count < sizeof(duid); text = end + 1) {
        unsigned long byte =
            isxdigit((unsigned char)*text) ? strtoul(text, &end, 16) : UINT8_MAX + 1;

        if (byte > UINT8_MAX)
            return false;
        duid[count++] = (uint8_t)byte;
        if (*end != ':')
            break;
    }
    kind = duid[0] << 8 | duid[1];
    hardware = duid[2] << 8 | duid[3];
    if (*end || hardware != ETHERNET ||
        !((kind == DUID_LLT && count == 14) || (kind == DUID_LL && count == 10)))
        return false;
    memcpy(mac, duid + count - 6, 6);
    return true;
}

/* dnsmasq writes "*" for no name, and only names it found to be host names. */
static json_t *name_json(const char *name)
{
    size_t length = strlen(name);

    if (length > NAME_MAX_SIZE || strcmp(name, "*") == 0)
        return json_null();
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)name[i]) && !strchr("-_.", name[i]))
            return json_null();
    return json_string(name);
}

static json_t *mac_json(bool known, const uint8_t mac[6])
{
    char text[MAC_TEXT_SIZE];

    return known ? json_string(mac_text(mac, text)) : json_null();
}

/* The lease that the fields tell of; NULL when they tell of none. */
static json_t *lease_json(const struct fields *fields, int family, int64_t now)
{
    const char *hardware = fields->text[1], *client = fields->text[4];
    unsigned char address[sizeof(struct in6_addr)];
    char text[INET6_ADDRSTRLEN];
    uint8_t mac[6];
    bool known;
    int64_t expires;

    if (!number_parse(fields->text[0], &expires) || (expires && expires <= now))
        return NULL;
    if (inet_pton(family, fields->text[2], address) != 1)
        return NULL;
    known = family == AF_INET ? mac_parse(hardware, mac) == 0 : duid_mac(client, mac);
    return json_pack("{s:s, s:o, s:o, s:I}", "address",
                     inet_ntop(family, address, text, sizeof(text)), "mac", mac_json(known, mac),
                     "name", name_json(fields->text[3]), "expires", (json_int_t)expires);
}

json_t *leases_parse(const char *text, size_t size, int64_t now)
{
    const char *end = text + size, *newline;
    json_t *leases = json_array();
    struct fields fields;
    int family = AF_INET;

    for (; (newline = memchr(text, '\n', (size_t)(end - text))); text = newline + 1) {
        size_t length = (size_t)(newline - text);
        json_t *lease;

        if (length > 5 && memcmp(text, "duid ", 5) == 0) {
            family = AF_INET6;
            continue;
        }
        if (!fields_split(text, length, &fields))
            continue;
        lease = lease_json(&fields, family, now);
        if (lease)
            json_array_append_new(leases, lease);
    }
    return leases;
}

static int file_read(int fd, struct buf *content)
{
    for (;;) {
        ssize_t got = read(fd, buf_reserve(content, 4096), 4096);

        if (got < 0)
            return -errno;
        if (got == 0)
            return 0;
        buf_commit(content, (size_t)got);
        if (content->size > FILE_MAX)
            return -EFBIG;
    }
}

/* A file that does not exist is empty. */
static int file_load(const char *path, struct buf *ret)
{
    OWN(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    return file_read(fd, ret);
}

int leases_load(const char *path, json_t **ret)
{
    OWN(buf) struct buf content = BUF_NULL;
    int r = file_load(path, &content);

    if (r >= 0)
        *ret = leases_parse(buf_text(&content), content.size, time(NULL));
    return r;
}

int leases_remove(const char *path, const json_t *addresses, struct error *error)
{
    OWN(buf) struct buf content = BUF_NULL;
    OWN(buf) struct buf kept = BUF_NULL;
    const char *text, *newline;
    struct fields fields;
    int r = file_load(path, &content);

    if (r < 0)
        return error_system(error, r, "cannot read %s", path);
    for (text = buf_text(&content); (newline = strchr(text, '\n')); text = newline + 1) {
        size_t length = (size_t)(newline - text);

        if (!fields_split(text, length, &fields) || !json_object_get(addresses, fields.text[2]))
            buf_printf(&kept, "%.*s\n", (int)length, text);
    }
    return paths_write(path, buf_text(&kept), error);
}
