/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is stable for this machine, as Lima sees it (pkg/osutil/machineid.go): declared in
 * instance.h.
 */
#include <nettle/sha2.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/own.h"
#include "config/instance.h"

#define MACHINE_ID_SIZE 256

/* The first file that can be read counts, even if it is empty. */
static void machine_id_read(char id[MACHINE_ID_SIZE])
{
    static const char *const paths[] = {"/etc/machine-id", "/var/lib/dbus/machine-id"};

    id[0] = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        OWN(file) FILE *file = fopen(paths[i], "re");

        if (!file)
            continue;
        if (fscanf(file, " %255[^\n]", id) != 1)
            id[0] = '\0';
        return;
    }
}

static void machine_id(char id[MACHINE_ID_SIZE])
{
    struct utsname name;
    size_t length;

    machine_id_read(id);
    length = strlen(id);
    while (length > 0 && strchr(" \t\r\v\f", id[length - 1]))
        id[--length] = '\0';
    if (length == 0 && uname(&name) == 0)
        snprintf(id, MACHINE_ID_SIZE, "%s", name.nodename);
}

void machine_digest(const char *text, uint8_t ret_digest[32])
{
    char id[MACHINE_ID_SIZE];
    struct sha256_ctx sha256;

    machine_id(id);
    sha256_init(&sha256);
    sha256_update(&sha256, strlen(id), (const uint8_t *)id);
    sha256_update(&sha256, strlen(text), (const uint8_t *)text);
    sha256_digest(&sha256, SHA256_DIGEST_SIZE, ret_digest);
}
