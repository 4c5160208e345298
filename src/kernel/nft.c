/* SPDX-License-Identifier: Apache-2.0 */
/* See nft.h. */
#include "kernel/nft.h"

#include <errno.h>
#include <fcntl.h>
#include <nftables/libnftables.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/own.h"

static void nft_child(const char *rules, int tell) __attribute__((noreturn));
static void nft_child(const char *rules, int tell)
{
    struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);
    const char *words = "libnftables could not be started";

    if (nft) {
        nft_ctx_buffer_error(nft);
        if (nft_run_cmd_from_buffer(nft, rules) == 0)
            _exit(0);
        words = nft_ctx_get_error_buffer(nft);
    }
    if (write(tell, words, strlen(words)) < 0)
        _exit(2);
    _exit(1);
}

int nft_apply(const char *rules, struct error *error)
{
    OWN(fd) int listen = -1;
    char words[400] = "";
    int ends[2], status = 0;
    ssize_t got;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_system(error, -errno, "pipe");
    listen = ends[0];
    pid = fork();
    if (pid == 0)
        nft_child(rules, ends[1]);
    close(ends[1]);
    if (pid < 0)
        return error_system(error, -errno, "cannot fork");
    got = read(listen, words, sizeof(words) - 1);
    waitpid(pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    words[got > 0 ? strcspn(words, "\n") : 0] = '\0';
    return error_set(error, -EIO, ERROR_UNAVAILABLE, "the kernel's nftables refused a rule: %s",
                     words[0] ? words : "no reason given");
}
