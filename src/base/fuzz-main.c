/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz targets as ordinary tests: runs the target once over each file of the directories given, and
 * says so in TAP. With libFuzzer this file is left out. A target that finds something aborts.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/own.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int file_run(const char *path)
{
    OWN(file) FILE *file = fopen(path, "re");
    OWN(buf) struct buf content = BUF_NULL;
    OWN(mem) uint8_t *exact = NULL;
    size_t got;

    if (!file)
        return -errno;
    while ((got = fread(buf_reserve(&content, 4096), 1, 4096, file)) > 0)
        buf_commit(&content, got);
    if (ferror(file))
        return -EIO;
    /* A copy without room behind it, so that the address sanitizer sees the end. */
    exact = alloc_zero(content.size, 1);
    if (content.size > 0)
        memcpy(exact, content.data, content.size);
    LLVMFuzzerTestOneInput(exact, content.size);
    return 0;
}

/* How many files it ran, counted on from count; negative errno. */
static int directory_run(const char *path, int count)
{
    OWN(dir) DIR *directory = opendir(path);
    struct dirent *entry;

    if (!directory)
        return -errno;
    while ((entry = readdir(directory))) {
        OWN(mem) char *name = alloc_printf("%s/%s", path, entry->d_name);
        int r;

        if (entry->d_name[0] == '.')
            continue;
        printf("# %s\n", name);
        r = file_run(name);
        if (r < 0)
            return r;
        printf("ok %d - corpus %s\n", ++count, entry->d_name);
    }
    return count;
}

int main(int argc, char **argv)
{
    int count = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 1; i < argc; i++) {
        int r = directory_run(argv[i], count);

        if (r < 0) {
            printf("Bail out! %s: %s\n", argv[i], strerror(-r));
            return 1;
        }
        count = r;
    }
    if (count == 0) {
        printf("Bail out! no corpus: give directories of files to run over\n");
        return 1;
    }
    printf("1..%d\n", count);
    return 0;
}
