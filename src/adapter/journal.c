/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See journal.h. The order of things is what counts here: at each instant the mark alone, or the
 * mark and a page of the journal together, say where the stream is. A page's cookie is written last
 * when a turn begins, and taken away when the mark needs it no more. The page of a turn in which a
 * predecessor was killed stays untouched until that stream's adapter is there again.
 */
#include "adapter/journal.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "adapter/batch.h"
#include "adapter/deframer.h"
#include "adapter/frame.h"
#include "base/alloc.h"
#include "base/own.h"

enum {
    PAGES = 4, /* so that several forwarders may be killed before they got all their streams */
    MARK_NEW = INT_MAX,        /* at the beginning of a frame, whatever a page says */
    MARK_BEGIN = MARK_NEW - 1, /* of a turn with a rest */
};

/* A turn. */
struct page {
    _Atomic uint64_t cookie; /* of the socket that is being read; 0: none */
    int mark;                /* before */
    uint32_t rest;           /* bytes that lay in the room before */
    uint8_t room[JOURNAL_ROOM];
};

static struct page own[PAGES];
static struct page *pages = own, *page = own; /* all, and the one that is written */

int journal_make(void)
{
    OWN(fd) int fd = memfd_create("vmlan-journal", MFD_CLOEXEC);

    if (fd < 0 || ftruncate(fd, sizeof(own)) < 0)
        return -errno;
    return take_fd(&fd);
}

int journal_open(int fd)
{
    OWN(fd) int taken = fd;
    void *memory = mmap(NULL, sizeof(own), PROT_READ | PROT_WRITE, MAP_SHARED, taken, 0);

    if (memory == MAP_FAILED)
        return -errno;
    pages = memory;
    page = &pages[PAGES - 1]; /* even if it is in use: then all are, by streams that have ended */
    for (int i = 0; i < PAGES; i++)
        if (pages[i].cookie == 0)
            page = &pages[i];
    page->cookie = 0;
    return 0;
}

uint8_t *journal_room(void)
{
    return page->room;
}

static void mark_set(int peer, int mark)
{
    setsockopt(peer, SOL_SOCKET, SO_PEEK_OFF, &mark, sizeof(mark));
}

/* Makes size bytes at data, the beginning of a frame, the rest, and lets the mark alone say it. */
static void rest_keep(struct place *place, int peer, const uint8_t *data, size_t size)
{
    uint8_t length[BATCH_PREFIX] = {0};
    size_t next = deframer_next(data, size);

    buf_done(&place->rest);
    buf_append(&place->rest, data, size);
    if (next > 0) {
        mark_set(peer, (int)(next - size));
    } else {
        memcpy(length, data, size);
        mark_set(peer, (int)(JOURNAL_LENGTH | size << 24 | frame_get32(length) >> 8));
    }
}

/* The bytes of a frame's length that are in the mark. */
static void rest_from_mark(struct place *place, int mark)
{
    uint8_t length[BATCH_PREFIX];

    frame_put32(length, (uint32_t)mark << 8);
    buf_append(&place->rest, length, (size_t)(mark - JOURNAL_LENGTH) >> 24);
}

/* After the read of size bytes that lie in the room now. */
static void room_keep(struct place *place, int peer, const uint8_t *room, size_t size)
{
    ssize_t whole = deframer_run((uint8_t *)room, size, NULL, NULL);

    if (whole >= 0 && (size_t)whole < size)
        rest_keep(place, peer, room + whole, size - (size_t)whole);
    else if (place->rest.size > 0)
        buf_done(&place->rest);
}

/* A turn in which a predecessor was killed. */
static void turn_recover(struct place *place, int peer, int mark, const struct page *left)
{
    size_t size = left->rest + (size_t)(left->mark - mark);

    if (left->mark >= mark && left->rest <= JOURNAL_ROOM && size <= JOURNAL_ROOM)
        room_keep(place, peer, left->room, size);
}

static void place_recover(struct place *place, int peer, int mark)
{
    struct page *left = NULL;

    for (int i = 0; i < PAGES; i++)
        if (pages[i].cookie == place->cookie)
            left = &pages[i];
    if (mark >= JOURNAL_COUNTS && left)
        turn_recover(place, peer, mark, left);
    else if (mark >= JOURNAL_LENGTH && mark < JOURNAL_COUNTS)
        rest_from_mark(place, mark);
    else if (mark > 0 && mark < JOURNAL_COUNTS)
        place->skip = (size_t)mark;
    if (place->skip == 0 && place->rest.size == 0)
        mark_set(peer, MARK_NEW);
    if (left)
        atomic_store_explicit(&left->cookie, 0, memory_order_release);
}

void place_init(struct place *place, int peer)
{
    socklen_t cookie_size = sizeof(place->cookie), mark_size = sizeof(int);
    int mark = -1;

    *place = (struct place){.mark = MARK_NEW};
    getsockopt(peer, SOL_SOCKET, SO_COOKIE, &place->cookie, &cookie_size);
    getsockopt(peer, SOL_SOCKET, SO_PEEK_OFF, &mark, &mark_size);
    place_recover(place, peer, mark);
}

void place_done(struct place *place)
{
    buf_done(&place->rest);
}

/* The mark goes down with what is read until the frame is over whose beginning was lost. */
static ssize_t skip_read(struct place *place, int peer)
{
    size_t size = place->skip < JOURNAL_ROOM ? place->skip : JOURNAL_ROOM;
    ssize_t got = recv(peer, page->room, size, MSG_DONTWAIT);

    if (got <= 0)
        return got < 0 ? -errno : 0;
    place->skip -= (size_t)got;
    if (place->skip == 0)
        mark_set(peer, MARK_NEW);
    return -EAGAIN;
}

static void turn_begin(struct place *place, int peer)
{
    size_t rest = place->rest.size;

    if (rest > 0) {
        memcpy(page->room, place->rest.data, rest);
        place->mark = MARK_BEGIN;
    }
    page->mark = place->mark;
    page->rest = (uint32_t)rest;
    atomic_store_explicit(&page->cookie, place->cookie, memory_order_release);
    if (rest > 0)
        mark_set(peer, MARK_BEGIN);
}

static void turn_end(struct place *place, int peer, size_t size)
{
    room_keep(place, peer, page->room, size);
    if (place->rest.size == 0 && place->mark < JOURNAL_COUNTS + JOURNAL_ROOM) {
        place->mark = MARK_NEW;
        mark_set(peer, MARK_NEW);
    }
    atomic_store_explicit(&page->cookie, 0, memory_order_release);
}

ssize_t place_read(struct place *place, int peer, size_t size)
{
    size_t rest = place->rest.size, room = JOURNAL_ROOM - rest;
    ssize_t got;

    if (place->skip > 0)
        return skip_read(place, peer);
    turn_begin(place, peer);
    got = recv(peer, page->room + rest, size < room ? size : room, MSG_DONTWAIT);
    if (got < 0)
        got = -errno;
    else
        place->mark -= (int)got;
    turn_end(place, peer, rest + (size_t)(got > 0 ? got : 0));
    return got > 0 ? (ssize_t)rest + got : got;
}
