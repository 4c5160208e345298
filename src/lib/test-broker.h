/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the tests of the library: a broker that is played by hand. It is a listening socket where the
 * broker's is, and the broker's end of one connection at a time. broker_done() proves that no
 * descriptor is left.
 */
#pragma once

#include <stdlib.h>
#include <sys/socket.h>

#include "base/own.h"
#include "base/paths.h"
#include "base/test-fds.h"
#include "base/test.h"
#include "wire/fds.h"

static struct broker {
    char directory[32];
    int listener, conn; /* -1: none */
    int fds_open;       /* before anything was opened */
} broker;

static inline void broker_listen(void)
{
    struct sockaddr_un address;

    CHECK_INT(paths_socket(&address, NULL, "broker.sock"), 0);
    unlink(address.sun_path);
    broker.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(broker.listener, (struct sockaddr *)&address, sizeof(address)), 0);
    CHECK_INT(listen(broker.listener, 8), 0);
}

/* listening: else nobody does, and there is no program to start either. */
static inline void broker_init(bool listening)
{
    broker = (struct broker){
        .directory = "/tmp/vmlan-test.XXXXXX", .listener = -1, .conn = -1, .fds_open = fds_open()};
    CHECK(mkdtemp(broker.directory));
    setenv("VMLAN_RUNTIME_DIR", broker.directory, 1);
    setenv("VMLAN_STATE_DIR", broker.directory, 1);
    setenv("VMLAN_PROGRAM", "/nonexistent/vmlan", 1);
    if (listening)
        broker_listen();
}

static inline void broker_done(void)
{
    fd_close(&broker.conn);
    fd_close(&broker.listener);
    paths_remove(broker.directory);
    CHECK_INT(fds_open(), broker.fds_open);
}

/* The connection in hand is the next one that came. */
static inline void broker_accept(void)
{
    fd_close(&broker.conn);
    broker.conn = accept4(broker.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    CHECK(broker.conn >= 0);
}

/* The next message, or "" when there is none. Static storage. */
static inline const char *broker_receive(void)
{
    static char text[4096];
    size_t size = 0;

    while (size < sizeof(text) && read(broker.conn, text + size, 1) == 1)
        if (text[size++] == '\0')
            return text;
    return "";
}

static inline void broker_answer(const char *text, const struct fds *fds)
{
    const struct fds none = FDS_NULL;

    CHECK_INT(fds_send(broker.conn, text, strlen(text) + 1, fds ? fds : &none), strlen(text) + 1);
}

#define ASKED(method) "{\"method\":\"io.vmlan.Broker." method "\",\"parameters\":{}}"
#define ASKED_MORE(method) \
    "{\"method\":\"io.vmlan.Broker." method "\",\"parameters\":{},\"more\":true}"
