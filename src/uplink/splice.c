/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pair has two ends (sockets) and two ways (directions); way i leads from end i to end !i. A way
 * reads only while it holds nothing, so what it holds fits its pipe and EAGAIN of a read means that
 * the socket is empty. What it holds waits for its reader, and meanwhile nothing more is read: that
 * is the whole back-pressure.
 */
#include "uplink/splice.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "uplink/pipes.h"

enum {
    TURN_BYTES = 1 << 20,  /* a way moves at most this much per event, give or take a pipe */
    SMALL_BYTES = 1 << 16, /* after less than this, and no end in sight, the socket is empty */
    FLUSH_MS = 2,      /* before a reset is passed on, what the reader has not acknowledged … */
    FLUSH_TRIES = 100, /* … may still get through; looked at every FLUSH_MS, this often */
};

struct end {
    struct source source;
    struct splice *splice;
    int fd;
};

struct way {
    struct pipe *pipe; /* NULL while nothing is held */
    size_t held;       /* bytes in the pipe */
    bool ended;        /* no more comes from its source */
    bool over;         /* and that was passed on */
};

struct splice {
    struct loop *loop;
    struct end ends[2];
    struct way ways[2];
    struct timer flush;
    int flush_tries;
    void (*ended)(void *context);
    void *context;
};

/* Whether close() resets. */
static void resets_set(int fd, bool resets)
{
    const struct linger linger = {.l_onoff = resets};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

void splice_reset(int fd)
{
    resets_set(fd, true);
    close(fd);
}

static void end_close(struct end *end, bool reset)
{
    source_remove(&end->source);
    if (end->fd < 0)
        return;
    if (!reset)
        resets_set(end->fd, false);
    fd_close(&end->fd);
}

static void way_release(struct way *way)
{
    if (way->pipe && way->held)
        pipes_discard(way->pipe);
    else if (way->pipe)
        pipes_return(way->pipe);
    way->pipe = NULL;
    way->held = 0;
}

static void splice_close(struct splice *s, bool reset)
{
    timer_done(&s->flush);
    for (int i = 0; i < 2; i++) {
        end_close(&s->ends[i], reset);
        way_release(&s->ways[i]);
    }
    free(s);
}

static void splice_end(struct splice *s, bool reset)
{
    void (*ended)(void *context) = s->ended;
    void *context = s->context;

    splice_close(s, reset);
    ended(context);
}

/* Writes what the way holds. 0: all of it; -EAGAIN: its reader is slow. */
static int way_push(struct way *way, int to)
{
    while (way->held) {
        ssize_t n =
            splice(way->pipe->out, NULL, to, NULL, way->held, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EPIPE;
        way->held -= (size_t)n;
    }
    return 0;
}

/* splice() from a socket stops in front of an urgent byte; recv() takes it inline. */
static ssize_t way_copy(struct way *way, int from)
{
    char bytes[4096];
    ssize_t n = recv(from, bytes, sizeof(bytes), MSG_DONTWAIT);

    return n > 0 ? write(way->pipe->in, bytes, (size_t)n) : n;
}

/* Reads into the empty pipe. The number of bytes, 0 at the end of file, -EAGAIN: nothing there. */
static ssize_t way_pull(struct way *way, int from, bool urgent)
{
    ssize_t n;

    if (!way->pipe)
        way->pipe = pipes_borrow();
    if (!way->pipe)
        return -errno;
    do {
        n = urgent ? way_copy(way, from)
                   : splice(from, NULL, way->pipe->in, NULL, way->pipe->capacity,
                            SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    } while (n < 0 && errno == EINTR);
    if (n > 0)
        way->held = (size_t)n;
    return n < 0 ? -errno : n;
}

/* Moves what can be moved; events are those of `from`. Negative errno: one of the two failed. */
static int way_move(struct way *way, int from, int to, uint32_t events)
{
    size_t moved = 0;
    ssize_t n = SMALL_BYTES;
    int r;

    while ((r = way_push(way, to)) == 0 && !way->ended && moved < TURN_BYTES &&
           (n >= SMALL_BYTES || (events & EPOLLRDHUP))) {
        n = way_pull(way, from, events & EPOLLPRI);
        if (n < 0)
            r = (int)n;
        if (n < 0)
            break;
        way->ended = n == 0;
        moved += (size_t)n;
    }
    if (!way->held)
        way_release(way);
    if (r == -EAGAIN)
        return 0;
    if (r == 0 && way->ended && !way->over) {
        way->over = true;
        return shutdown(to, SHUT_WR) < 0 ? -errno : 0;
    }
    return r;
}

static bool way_reads(const struct way *way)
{
    return !way->ended && !way->held;
}

/* Has it sent something that its peer has not acknowledged, but still may? */
static bool end_unsent(const struct end *end)
{
    struct tcp_info info;
    socklen_t size = sizeof(info);
    int left;

    return getsockopt(end->fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
           info.tcpi_state != TCP_CLOSE && ioctl(end->fd, SIOCOUTQ, &left) == 0 && left > 0;
}

static void splice_flush(struct timer *timer)
{
    struct splice *s = container_of(timer, struct splice, flush);

    if ((end_unsent(&s->ends[0]) || end_unsent(&s->ends[1])) && ++s->flush_tries < FLUSH_TRIES)
        timer_set(&s->flush, FLUSH_MS);
    else
        splice_end(s, true);
}

/* A socket failed: resets both. A reset destroys what its receiver's kernel has not acknowledged
 * yet, so where the other one still has such bytes it gets a moment. */
static void splice_fail(struct splice *s)
{
    for (int i = 0; i < 2; i++) {
        source_remove(&s->ends[i].source);
        way_release(&s->ways[i]);
    }
    if ((end_unsent(&s->ends[0]) || end_unsent(&s->ends[1])) &&
        timer_init(s->loop, &s->flush, splice_flush) == 0)
        timer_set(&s->flush, FLUSH_MS);
    else
        splice_end(s, true);
}

static void splice_event(struct source *source, uint32_t events);

/* Waits for what end i can bring forward. */
static int splice_watch(struct splice *s, int i)
{
    struct end *end = &s->ends[i];
    uint32_t want = (way_reads(&s->ways[i]) ? EPOLLIN | EPOLLPRI | EPOLLRDHUP : 0) |
                    (s->ways[!i].held ? EPOLLOUT : 0);

    if (end->source.loop)
        return source_want(&end->source, want);
    return want ? source_add(s->loop, &end->source, end->fd, want, splice_event) : 0;
}

/* End i has hung up and there is nothing to be read from it or written to it now. Its error fails
 * the pair. Without one it was only shut down in both directions, which epoll would go on telling.
 */
static int splice_hangup(struct splice *s, int i)
{
    int error = 0;
    socklen_t size = sizeof(error);

    getsockopt(s->ends[i].fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (!error)
        source_remove(&s->ends[i].source);
    return -error;
}

static void splice_event(struct source *source, uint32_t events)
{
    struct end *end = container_of(source, struct end, source);
    struct splice *s = end->splice;
    int i = end == &s->ends[1], r = 0;
    int here = end->fd, there = s->ends[!i].fd;
    bool gone = events & (EPOLLERR | EPOLLHUP);

    if (gone && !way_reads(&s->ways[i]) && !s->ways[!i].held)
        r = splice_hangup(s, i);
    if (r == 0 && s->ways[!i].held && (gone || (events & EPOLLOUT)))
        r = way_move(&s->ways[!i], there, here, 0);
    if (r == 0 && way_reads(&s->ways[i]) && (gone || (events & (EPOLLIN | EPOLLPRI | EPOLLRDHUP))))
        r = way_move(&s->ways[i], here, there, events);
    if (r == 0 && s->ways[0].over && s->ways[1].over) {
        splice_end(s, false);
        return;
    }
    for (int k = 0; k < 2 && r == 0; k++)
        r = splice_watch(s, k);
    if (r < 0)
        splice_fail(s);
}

int splice_join(struct loop *loop, int a, int b, void (*ended)(void *context), void *context,
                struct splice **ret)
{
    struct splice *s = alloc_new(struct splice);
    int r = 0;

    *s = (struct splice){.loop = loop, .ended = ended, .context = context};
    for (int i = 0; i < 2; i++) {
        s->ends[i].splice = s;
        s->ends[i].fd = i ? b : a;
        resets_set(s->ends[i].fd, true); /* also when this process dies: half is not the whole */
    }
    for (int i = 0; i < 2 && r == 0; i++)
        r = splice_watch(s, i);
    if (r < 0)
        splice_close(s, true);
    else
        *ret = s;
    return r;
}

void splice_free(struct splice *splice)
{
    if (splice)
        splice_close(splice, true);
}
