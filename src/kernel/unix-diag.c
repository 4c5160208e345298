/* SPDX-License-Identifier: Apache-2.0 */
/* See unix-diag.h. */
#include "kernel/unix-diag.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* The kernel builds dump messages of up to this: NLMSG_GOODSIZE, include/linux/netlink.h. */
enum { BUFFER = 32768 };

int unix_diag_open(int *ret_fd)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

    if (fd < 0)
        return -errno;
    *ret_fd = fd;
    return 0;
}

static int request_send(int fd, uint16_t flags, uint32_t inode, uint32_t show)
{
    char buffer[128];
    struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
    struct unix_diag_req *request;

    message->nlmsg_type = SOCK_DIAG_BY_FAMILY;
    message->nlmsg_flags = NLM_F_REQUEST | flags;
    request = mnl_nlmsg_put_extra_header(message, sizeof(*request));
    *request = (struct unix_diag_req){
        .sdiag_family = AF_UNIX,
        .udiag_states = UINT32_MAX,
        .udiag_ino = inode,
        .udiag_show = show,
        .udiag_cookie = {UINT32_MAX, UINT32_MAX}, /* INET_DIAG_NOCOOKIE: any */
    };
    return send(fd, message, message->nlmsg_len, 0) < 0 ? -errno : 0;
}

/* Reads the answers; the callbacks end it with MNL_CB_STOP or a negative errno of libmnl's kind. */
static int answers_read(int fd, mnl_cb_t call, void *context)
{
    char *buffer = malloc(BUFFER);
    int r = MNL_CB_OK;

    while (buffer && r == MNL_CB_OK) {
        ssize_t size = recv(fd, buffer, BUFFER, 0);

        r = size <= 0 ? MNL_CB_ERROR : mnl_cb_run(buffer, (size_t)size, 0, 0, call, context);
    }
    r = r == MNL_CB_ERROR || !buffer ? -errno : 0;
    free(buffer);
    return r;
}

struct search {
    const char *path;
    uint32_t peer, inode;
};

static bool name_is(const struct nlattr *attribute, const char *path)
{
    size_t size = mnl_attr_get_payload_len(attribute), length = strlen(path);

    return size >= length && memcmp(mnl_attr_get_payload(attribute), path, length) == 0 &&
           (size == length || ((const char *)mnl_attr_get_payload(attribute))[length] == '\0');
}

static int socket_look(const struct nlmsghdr *message, void *data)
{
    const struct unix_diag_msg *diag = mnl_nlmsg_get_payload(message);
    struct search *search = data;
    const struct nlattr *attribute;
    bool named = false, connected = false;

    mnl_attr_for_each(attribute, message, sizeof(*diag)) {
        if (mnl_attr_get_type(attribute) == UNIX_DIAG_NAME)
            named = name_is(attribute, search->path);
        if (mnl_attr_get_type(attribute) == UNIX_DIAG_PEER)
            connected = mnl_attr_get_u32(attribute) == search->peer;
    }
    if (named && connected)
        search->inode = diag->udiag_ino;
    return MNL_CB_OK;
}

int unix_diag_find(int fd, const char *path, uint32_t peer, uint32_t *ret_inode)
{
    struct search search = {.path = path, .peer = peer};
    int r = request_send(fd, NLM_F_DUMP, 0, UDIAG_SHOW_NAME | UDIAG_SHOW_PEER);

    if (r >= 0)
        r = answers_read(fd, socket_look, &search);
    if (r >= 0 && search.inode == 0)
        r = -ENOENT;
    if (r >= 0)
        *ret_inode = search.inode;
    return r;
}

/* rqueue is the size of the first datagram that waits: unix_inq_len() in net/unix/af_unix.c. */
static int queue_look(const struct nlmsghdr *message, void *data)
{
    const struct nlattr *attribute;
    const struct unix_diag_rqlen *queue;
    bool *drained = data;

    mnl_attr_for_each(attribute, message, sizeof(struct unix_diag_msg))
        if (mnl_attr_get_type(attribute) == UNIX_DIAG_RQLEN) {
            queue = mnl_attr_get_payload(attribute);
            *drained = queue->udiag_rqueue == 0;
        }
    return MNL_CB_STOP;
}

int unix_diag_drained(int fd, uint32_t inode, bool *ret)
{
    bool drained = false;
    int r = request_send(fd, 0, inode, UDIAG_SHOW_RQLEN);

    if (r >= 0)
        r = answers_read(fd, queue_look, &drained);
    if (r >= 0)
        *ret = drained;
    return r;
}

/* A peer that was closed is told of as inode 0: sk_diag_dump_peer() in net/unix/diag.c. */
static int peer_look(const struct nlmsghdr *message, void *data)
{
    const struct nlattr *attribute;
    bool *alone = data;

    mnl_attr_for_each(attribute, message, sizeof(struct unix_diag_msg))
        if (mnl_attr_get_type(attribute) == UNIX_DIAG_PEER)
            *alone = mnl_attr_get_u32(attribute) == 0;
    return MNL_CB_STOP;
}

int unix_diag_alone(int fd, uint32_t inode, bool *ret)
{
    bool alone = false;
    int r = request_send(fd, 0, inode, UDIAG_SHOW_PEER);

    if (r >= 0)
        r = answers_read(fd, peer_look, &alone);
    if (r >= 0)
        *ret = alone;
    return r;
}
