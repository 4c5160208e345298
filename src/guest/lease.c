/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See lease.h. An exchange is one try to get or to keep an address: it sends what its state asks
 * for, again after ever longer pauses, and moves on with each answer. The pauses are far shorter
 * than RFC 2131, 4.1 says, because the server is on this machine.
 */
#include "guest/lease.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>

#include "base/own.h"

enum {
    /* ms between sending and sending again. A new link loses the first frame or two; an answer
     * takes 0.1 ms when the service runs, and it takes about 100 ms to start. */
    PAUSE_FIRST = 10,
    PAUSE_LAST = 400,
    OBTAIN_LIMIT = 10000, /* ms */
    RENEW_LIMIT = 3000,   /* ms; a try, there are more before the lease ends */
    RETRY_MIN = 60,       /* s between tries to renew: RFC 2131, 4.4.5 */
};

/* Outcomes of an exchange beside negative errno. */
enum outcome { GOT_LEASE, REFUSED, NO_ANSWER, ENDED };

struct exchange {
    int fd;     /* owned */
    int end_fd; /* ends the exchange when readable; -1: none */
    struct dhcp_message message;
    struct in_addr to;
    int64_t start, limit; /* ms */
};

static int64_t now_ms(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int socket_open(int ifindex)
{
    OWN(fd) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_in local = {.sin_family = AF_INET, .sin_port = htons(DHCP_CLIENT_PORT)};
    int one = 1;

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &ifindex, sizeof(ifindex)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &one, sizeof(one)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        bind(fd, (struct sockaddr *)&local, sizeof(local)) < 0)
        return -errno;
    return take_fd(&fd);
}

static int exchange_init(struct exchange *x, const struct lease_guest *guest, int64_t limit,
                         struct error *error)
{
    *x = (struct exchange){.fd = socket_open(guest->ifindex), .end_fd = -1};
    if (x->fd < 0)
        return error_system(error, x->fd, "cannot ask for an address on %s", guest->ifname);
    x->to.s_addr = INADDR_BROADCAST;
    x->start = now_ms(CLOCK_MONOTONIC);
    x->limit = x->start + limit;
    x->message = (struct dhcp_message){
        .type = DHCP_DISCOVER, .mac = guest->mac, .hostname = guest->hostname};
    /* Only tells exchanges apart: a weak number is better than none. */
    if (getrandom(&x->message.xid, sizeof(x->message.xid), GRND_NONBLOCK) < 0)
        x->message.xid = (uint32_t)x->start;
    return 0;
}

static void own_exchange(struct exchange *x)
{
    own_fd(&x->fd);
}

/* A message that can't be sent is one that got lost: the interface may be coming up. */
static void exchange_send(struct exchange *x)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(DHCP_SERVER_PORT), .sin_addr = x->to};
    uint8_t buffer[DHCP_BUILD_MAX];
    size_t size;

    x->message.seconds = (uint16_t)((now_ms(CLOCK_MONOTONIC) - x->start) / 1000);
    size = dhcp_build(&x->message, buffer);
    (void)!sendto(x->fd, buffer, size, 0, (struct sockaddr *)&to, sizeof(to));
}

/* The next answer that is for us; false when there is none (yet). */
static bool exchange_receive(struct exchange *x, enum dhcp_type *ret_type, struct lease *ret)
{
    uint8_t buffer[DHCP_PARSE_MAX];
    ssize_t got;

    while ((got = recv(x->fd, buffer, sizeof(buffer), 0)) >= 0)
        if (dhcp_parse(buffer, (size_t)got, x->message.xid, x->message.mac, ret_type, ret) == 0)
            return true;
    return false;
}

/* Takes the offer: RFC 2131, 4.3.2, SELECTING. */
static void exchange_select(struct exchange *x, const struct lease *offer)
{
    x->message.type = DHCP_REQUEST;
    x->message.wanted = offer->address;
    x->message.server = offer->server;
}

enum step { STEP_WAIT, STEP_SEND, STEP_DONE, STEP_REFUSED };

/* What an answer means in the state that the exchange is in: RFC 2131, figure 5. */
static enum step exchange_step(struct exchange *x, enum dhcp_type type, const struct lease *lease)
{
    bool discovering = x->message.type == DHCP_DISCOVER;

    if (type == DHCP_OFFER && discovering) {
        exchange_select(x, lease);
        return STEP_SEND;
    }
    /* A DISCOVER is only ever committed with the option: RFC 4039, 3.1. */
    if (type == DHCP_ACK && (!discovering || lease->rapid))
        return STEP_DONE;
    return type == DHCP_NAK && !discovering ? STEP_REFUSED : STEP_WAIT;
}

/* Reads the answers that are there. */
static enum step exchange_answers(struct exchange *x, struct lease *ret)
{
    enum step step = STEP_WAIT;
    enum dhcp_type type;
    struct lease lease;

    while (step == STEP_WAIT && exchange_receive(x, &type, &lease))
        step = exchange_step(x, type, &lease);
    if (step == STEP_DONE)
        *ret = lease;
    return step;
}

/* Waits for answers until then (ms). */
static enum step exchange_wait(struct exchange *x, int64_t until, struct lease *ret,
                               bool *ret_ended)
{
    struct pollfd polls[] = {{.fd = x->fd, .events = POLLIN}, {.fd = x->end_fd, .events = POLLIN}};
    enum step step = STEP_WAIT;

    while (step == STEP_WAIT) {
        int64_t left = until - now_ms(CLOCK_MONOTONIC);

        if (left <= 0 || poll(polls, ARRAY_SIZE(polls), (int)left) == 0)
            break;
        if (polls[1].revents) {
            *ret_ended = true;
            break;
        }
        step = exchange_answers(x, ret);
    }
    return step;
}

static enum outcome exchange_run(struct exchange *x, struct lease *ret)
{
    int64_t pause = PAUSE_FIRST;
    bool ended = false;

    for (;;) {
        int64_t until = now_ms(CLOCK_MONOTONIC) + pause;

        exchange_send(x);
        switch (exchange_wait(x, until < x->limit ? until : x->limit, ret, &ended)) {
        case STEP_DONE:
            return GOT_LEASE;
        case STEP_REFUSED:
            return REFUSED;
        case STEP_SEND:
            pause = PAUSE_FIRST;
            break;
        case STEP_WAIT:
            pause = pause < PAUSE_LAST ? pause * 2 : PAUSE_LAST;
            break;
        }
        if (ended)
            return ENDED;
        if (now_ms(CLOCK_MONOTONIC) >= x->limit)
            return NO_ANSWER;
    }
}

/* Asks for a new lease; starts over when the server took back what it had offered. */
static int discover(const struct lease_guest *guest, const struct in_addr *wanted, int end_fd,
                    struct lease *ret, struct error *error)
{
    int64_t limit = OBTAIN_LIMIT;
    int r;

    for (;;) {
        OWN(exchange) struct exchange x = {.fd = -1};

        r = exchange_init(&x, guest, limit, error);
        if (r < 0)
            return r;
        x.end_fd = end_fd;
        if (wanted)
            x.message.wanted = *wanted;
        r = (int)exchange_run(&x, ret);
        limit = x.limit - now_ms(CLOCK_MONOTONIC);
        wanted = NULL;
        if (r != REFUSED || limit <= 0)
            return r;
    }
}

int lease_obtain(const struct lease_guest *guest, const struct in_addr *wanted, struct lease *ret,
                 struct error *error)
{
    int r = discover(guest, wanted, -1, ret, error);

    if (r < 0 || r == GOT_LEASE)
        return r;
    error_set(error, -ETIMEDOUT, ERROR_FAILED, "the network's DHCP service gave %s no address",
              guest->ifname);
    error_hint(error, "see whether the network has \"dhcp: true\" and free addresses: "
                      "vmlan inspect, vmlan leases");
    return -ETIMEDOUT;
}

/* Asks the server that gave the lease, or with rebind any: RFC 2131, 4.3.2, RENEWING, REBINDING. */
static int renew(const struct lease_guest *guest, const struct lease *lease, bool rebind,
                 int end_fd, struct lease *ret, struct error *error)
{
    OWN(exchange) struct exchange x = {.fd = -1};
    int r = exchange_init(&x, guest, RENEW_LIMIT, error);

    if (r < 0)
        return r;
    x.end_fd = end_fd;
    x.message.type = DHCP_REQUEST;
    x.message.current = lease->address;
    if (!rebind)
        x.to = lease->server;
    return (int)exchange_run(&x, ret);
}

/* Sleeps until then (ms of CLOCK_BOOTTIME), or until end_fd is readable. */
static int sleep_until(int64_t then, int end_fd)
{
    OWN(fd) int timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC);
    struct pollfd polls[] = {{.fd = timer, .events = POLLIN}, {.fd = end_fd, .events = POLLIN}};
    struct itimerspec at = {.it_value = {.tv_sec = then / 1000, .tv_nsec = 1}};

    if (timer < 0 || timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL) < 0)
        return -errno;
    while (poll(polls, ARRAY_SIZE(polls), -1) < 0)
        if (errno != EINTR)
            return -errno;
    return polls[1].revents ? ENDED : NO_ANSWER;
}

/* A lease and the time it counts from. */
struct kept {
    struct lease lease;
    int64_t since; /* ms of CLOCK_BOOTTIME */
};

static int64_t kept_time(const struct kept *kept, uint32_t seconds)
{
    return kept->since + (int64_t)seconds * 1000;
}

/* One try to keep the lease, in the way that the time asks for. */
static int kept_renew(struct kept *kept, const struct lease_guest *guest, int end_fd,
                      struct error *error)
{
    int64_t now = now_ms(CLOCK_BOOTTIME);
    struct in_addr address = kept->lease.address;
    int r = REFUSED;

    if (now < kept_time(kept, kept->lease.seconds))
        r = renew(guest, &kept->lease, now >= kept_time(kept, kept->lease.t2), end_fd, &kept->lease,
                  error);
    if (r == REFUSED)
        r = discover(guest, &address, end_fd, &kept->lease, error);
    if (r == GOT_LEASE)
        kept->since = now; /* counts from the sending: RFC 2131, 4.4.1 */
    return r;
}

/* When to try again: half of what is left to the next state of the lease, a minute at least. */
static int64_t kept_retry(const struct kept *kept)
{
    int64_t now = now_ms(CLOCK_BOOTTIME), next = kept_time(kept, kept->lease.t2), pause;

    if (now >= next)
        next = kept_time(kept, kept->lease.seconds);
    pause = next > now ? (next - now) / 2 : 0;
    return now + (pause > RETRY_MIN * 1000 ? pause : RETRY_MIN * 1000);
}

int lease_keep(const struct lease_guest *guest, const struct lease *lease, int end_fd,
               lease_fn *call, void *context, struct error *error)
{
    struct kept kept = {*lease, now_ms(CLOCK_BOOTTIME)};
    int64_t next = kept_time(&kept, lease->t1);

    for (;;) {
        int r = sleep_until(next, end_fd);

        if (r == NO_ANSWER)
            r = kept_renew(&kept, guest, end_fd, error);
        else if (r < 0)
            error_system(error, r, "cannot wait to renew the address");
        if (r < 0 || r == ENDED)
            return r < 0 ? r : 0;
        if (r == GOT_LEASE)
            call(context, &kept.lease);
        next = r == GOT_LEASE ? kept_time(&kept, kept.lease.t1) : kept_retry(&kept);
    }
}
