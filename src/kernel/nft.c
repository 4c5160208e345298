/* SPDX-License-Identifier: Apache-2.0 */
/* See nft.h. */
#include "kernel/nft.h"

#include <errno.h>
#include <fcntl.h>
#include <nftables/libnftables.h>
#include <string.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/own.h"

/* Tells what nft printed, or why it failed. */
static void nft_child(const char *command, int tell) __attribute__((noreturn));
static void nft_child(const char *command, int tell)
{
    struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);
    const char *words = "libnftables could not be started";
    int status = 1;

    if (nft) {
        nft_ctx_buffer_error(nft);
        nft_ctx_buffer_output(nft);
        status = nft_run_cmd_from_buffer(nft, command) == 0 ? 0 : 1;
        words = status ? nft_ctx_get_error_buffer(nft) : nft_ctx_get_output_buffer(nft);
    }
    for (size_t left = strlen(words); left > 0;) {
        ssize_t put = write(tell, words, left);

        if (put < 0)
            _exit(2);
        words += put;
        left -= (size_t)put;
    }
    _exit(status);
}

static int nft_run(const char *command, struct buf *words, int *ret_status, struct error *error)
{
    OWN(fd) int listen = -1;
    int ends[2];
    ssize_t got;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_system(error, -errno, "pipe");
    listen = ends[0];
    pid = fork();
    if (pid == 0)
        nft_child(command, ends[1]);
    close(ends[1]);
    if (pid < 0)
        return error_system(error, -errno, "cannot fork");
    while ((got = read(listen, buf_reserve(words, 4096), 4096)) > 0)
        buf_commit(words, (size_t)got);
    waitpid(pid, ret_status, 0);
    return 0;
}

static int nft_failed(struct buf *words, const char *what, struct error *error)
{
    if (words->size)
        words->data[strcspn(words->data, "\n")] = '\0';
    return error_set(error, -EIO, ERROR_UNAVAILABLE, "the kernel's nftables %s: %s", what,
                     buf_text(words)[0] ? buf_text(words) : "no reason given");
}

int nft_apply(const char *rules, struct error *error)
{
    OWN(buf) struct buf words = BUF_NULL;
    int status = 0, r = nft_run(rules, &words, &status, error);

    if (r < 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 0))
        return r;
    return nft_failed(&words, "refused a rule", error);
}

int nft_list(const char *command, char **ret, struct error *error)
{
    OWN(buf) struct buf words = BUF_NULL;
    int status = 0, r = nft_run(command, &words, &status, error);

    if (r < 0)
        return r;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return nft_failed(&words, "could not be read", error);
    *ret = alloc_text(buf_text(&words));
    return 0;
}
