/* SPDX-License-Identifier: Apache-2.0 */
/* See program.h. */
#include "base/program.h"

#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/own.h"
#include "base/paths.h"

int program_find(const char *name, const char *variable, const char *cure, char *path,
                 struct error *error)
{
    const char *given = secure_getenv(variable), *search = secure_getenv("PATH");
    OWN(mem) char *list = alloc_printf("%s:/usr/sbin:/sbin:/usr/local/sbin", search ? search : "");
    char *rest = list, *directory;

    if (given && *given) {
        snprintf(path, PATHS_MAX, "%s", given);
        if (access(path, X_OK) == 0)
            return 0;
        error_set(error, -ENOENT, ERROR_UNAVAILABLE, "%s (%s) can't be run", given, variable);
        error_hint(error, "correct %s, or unset it", variable);
        return -ENOENT;
    }
    while ((directory = strsep(&rest, ":"))) {
        snprintf(path, PATHS_MAX, "%s/%s", directory, name);
        if (*directory && access(path, X_OK) == 0)
            return 0;
    }
    error_set(error, -ENOENT, ERROR_UNAVAILABLE, "the program %s is not there", name);
    error_hint(error, "%s", cure);
    return -ENOENT;
}
