/* SPDX-License-Identifier: Apache-2.0 */
/* Which networks.yaml counts: the order of places, and files that can't be read. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/own.h"
#include "base/test.h"
#include "config/networks.h"

static char directory[] = "/tmp/vmlan-test-networks-XXXXXX";

/* Writes a file below the directory, whose parents it makes; the path is static. */
static const char *write_file(const char *name, const char *text)
{
    static char path[256];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    for (char *slash = path + strlen(directory) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    file = fopen(path, "w");
    CHECK(file != NULL);
    fputs(text, file);
    fclose(file);
    return path;
}

static int load(const char *given, struct networks *ret, struct buf *lines)
{
    OWN(faults) struct faults faults = {0};
    char text[ERROR_TEXT_SIZE];
    int r = networks_load(given, ret, &faults);

    for (size_t i = 0; i < faults.count; i++)
        buf_printf(lines, "%s\n", error_text(&faults.items[i], text, sizeof(text)));
    return r;
}

static void check_load(const char *given, bool lima, const char *name)
{
    OWN(networks) struct networks networks = {0};
    OWN(buf) struct buf lines = BUF_NULL;

    CHECK_INT(load(given, &networks, &lines), 0);
    CHECK_INT(networks.lima, lima);
    CHECK(networks_find(&networks, name, NULL) != NULL);
}

/* From the last place looked at to the first. Root's own file is /etc/vmlan/networks.yaml, which is
 * not the test's to write. */
static void test_look_up(void)
{
    bool root = geteuid() == 0;
    OWN(mem) char *lima = alloc_printf("%s/lima", directory);
    OWN(mem) char *xdg = alloc_printf("%s/xdg", directory);

    setenv("VMLAN_CONFIG", "", 1); /* as if unset */
    unsetenv("LIMA_HOME");
    unsetenv("XDG_CONFIG_HOME");
    setenv("HOME", directory, 1);
    if (!root || access("/etc/vmlan/networks.yaml", F_OK) < 0) {
        check_load(NULL, false, "shared");
        write_file(".lima/_config/networks.yaml", "group: x\nvmnet: {lima: {}}\n");
        check_load(NULL, true, "lima");
        write_file("lima/_config/networks.yaml", "group: x\nvmnet: {lima-home: {}}\n");
        setenv("LIMA_HOME", lima, 1);
        check_load(NULL, true, "lima-home");
    }
    if (root) {
        printf("# running as root: $XDG_CONFIG_HOME does not count and is not tried\n");
    } else {
        write_file(".config/vmlan/networks.yaml", "vmnet: {own: {}}\n");
        check_load(NULL, false, "own");
        setenv("XDG_CONFIG_HOME", "relative/does/not/count", 1);
        check_load(NULL, false, "own");
        write_file("xdg/vmlan/networks.yaml", "vmnet: {xdg: {}}\n");
        setenv("XDG_CONFIG_HOME", xdg, 1);
        check_load(NULL, false, "xdg");
    }
    setenv("VMLAN_CONFIG", write_file("env.yaml", "vmnet: {env: {}}\n"), 1);
    check_load(NULL, false, "env");
    check_load(write_file("given.yaml", "vmnet: {given: {}}\n"), false, "given");
}

static void test_unreadable(void)
{
    OWN(networks) struct networks networks = {0};
    OWN(buf) struct buf lines = BUF_NULL, large = BUF_NULL;
    OWN(mem) char *missing = alloc_printf("%s/missing.yaml", directory);
    OWN(mem)
    char *expected = alloc_printf("%s: can't be read: No such file or directory; check the path\n"
                                  "%s: can't be read: Is a directory; name a file in it\n"
                                  "%s: can't be read: No such file or directory; check the path\n"
                                  "%s/large.yaml: larger than 1 MiB; name a configuration file\n",
                                  missing, directory, missing, directory);

    CHECK_INT(load(missing, &networks, &lines), -EINVAL);
    CHECK_INT(load(directory, &networks, &lines), -EINVAL);
    setenv("VMLAN_CONFIG", missing, 1);
    CHECK_INT(load(NULL, &networks, &lines), -EINVAL);
    unsetenv("VMLAN_CONFIG");
    buf_printf(&large, "vmnet:\n#%1048576s\n", "");
    CHECK_INT(load(write_file("large.yaml", buf_text(&large)), &networks, &lines), -EINVAL);
    CHECK_TEXT(buf_text(&lines), expected);
}

/* It is not as if there were no file: the networks would silently be others. */
static void test_link_to_nowhere(void)
{
    OWN(mem) char *home = alloc_printf("%s/linked", directory);
    OWN(mem) char *link = alloc_printf("%s/_config/networks.yaml", home);
    OWN(networks) struct networks networks = {0};
    OWN(buf) struct buf lines = BUF_NULL;

    if (geteuid() == 0 && access("/etc/vmlan/networks.yaml", F_OK) == 0) {
        printf("# root's own file comes first here\n");
        return;
    }
    unlink(write_file("linked/_config/networks.yaml", ""));
    CHECK_INT(symlink("nowhere", link), 0);
    unsetenv("XDG_CONFIG_HOME");
    setenv("HOME", home, 1);
    setenv("LIMA_HOME", home, 1);
    CHECK_INT(load(NULL, &networks, &lines), -EINVAL);
    CHECK(strstr(buf_text(&lines), "linked/_config/networks.yaml: can't be read: No such file"));
}

static const struct test tests[] = {
    {"the configuration is looked up in the documented order", test_look_up},
    {"a named file that can't be read is an error with a cure", test_unreadable},
    {"so is a symbolic link to nowhere", test_link_to_nowhere},
};

int main(void)
{
    OWN(mem) char *command = NULL;
    int r;

    if (!mkdtemp(directory))
        return 1;
    r = test_main(tests, ARRAY_SIZE(tests));
    command = alloc_printf("rm -rf '%s'", directory);
    if (system(command) != 0)
        printf("# %s is left behind\n", directory);
    return r;
}
