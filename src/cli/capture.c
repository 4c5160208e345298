/* SPDX-License-Identifier: Apache-2.0 */
/* vmlan capture: the frames of a network or of one port, as a file for Wireshark or as lines. */
#include "cli/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/own.h"
#include "cli/pcapng.h"
#include "cli/session.h"
#include "cli/sniffer.h"
#include "cli/summary.h"
#include "made/version.h"

/* A file gets what has come whenever nothing more is there, or as soon as it is this much; in
 * pieces that a pipe with room takes without waiting (PIPE_BUF). */
enum { WRITE_BYTES = 256 * 1024, PIECE_BYTES = 4096 };

/* A link that was seen: its block in the file, its name in a line. */
struct seen_link {
    int link;
    char name[IF_NAMESIZE];
};

struct capture {
    struct sniffer sniffer;
    json_t *reply; /* of Capture */
    char *filter;  /* libpcap's words */
    unsigned snaplen;
    unsigned long left;  /* frames; 0: no limit */
    unsigned long taken; /* so far */
    int file;            /* owned; -1: lines on stdout */
    int signals;         /* owned: that end it */
    struct buf out;
    struct seen_link *links; /* in the order of their blocks */
    size_t link_count;
    bool json;
    bool failed; /* to write */
    int error;   /* … and why, as errno; 0: the reader has gone */
};

/* --- links --- */

static const char *guest_of(const struct capture *capture, int link)
{
    const json_t *ports = json_object_get(capture->reply, "ports"), *port;
    size_t index;

    json_array_foreach(ports, index, port)
        if (json_integer_value(json_object_get(port, "link")) == link)
            return json_string_value(json_object_get(port, "name"));
    return "";
}

static size_t link_add(struct capture *capture, int link)
{
    size_t at = capture->link_count++;
    struct pcapng_interface interface = {.description = guest_of(capture, link),
                                         .filter = capture->filter,
                                         .snaplen = capture->snaplen};
    struct seen_link *added;

    capture->links = alloc_resize(capture->links, capture->link_count * sizeof(*capture->links));
    added = &capture->links[at];
    added->link = link;
    sniffer_link_name(&capture->sniffer, link, added->name, sizeof(added->name));
    interface.name = added->name;
    if (capture->file >= 0)
        pcapng_interface(&capture->out, &interface);
    return at;
}

static size_t link_find(struct capture *capture, int link)
{
    for (size_t i = 0; i < capture->link_count; i++)
        if (capture->links[i].link == link)
            return i;
    return link_add(capture, link);
}

/* --- output --- */

static int out_fd(const struct capture *capture)
{
    return capture->file >= 0 ? capture->file : STDOUT_FILENO;
}

/* Waits for a reader that is slow, but not once it is told to end. */
static void out_write(struct capture *capture)
{
    struct pollfd fds[] = {{.fd = out_fd(capture), .events = POLLOUT},
                           {.fd = capture->signals, .events = POLLIN}};
    size_t done = 0;

    while (done < capture->out.size && !capture->failed) {
        size_t left = capture->out.size - done;
        ssize_t put = -1;

        errno = 0;
        if (poll(fds, ARRAY_SIZE(fds), -1) > 0 && fds[0].revents)
            put =
                write(fds[0].fd, capture->out.data + done, left < PIECE_BYTES ? left : PIECE_BYTES);
        if (put <= 0) {
            capture->failed = true;
            capture->error = errno == EPIPE ? 0 : errno;
        } else {
            done += (size_t)put;
        }
    }
    buf_consume(&capture->out, done);
}

static void frame_as_block(struct capture *capture, const struct sniffer_frame *frame)
{
    uint32_t size = frame->size < capture->snaplen ? frame->size : capture->snaplen;

    pcapng_packet(
        &capture->out,
        &(struct pcapng_packet){.interface = (uint32_t)link_find(capture, frame->link),
                                .time = frame->time,
                                .data = frame->data,
                                .size = size,
                                .length = frame->length,
                                .direction = frame->outgoing ? PCAPNG_OUTBOUND : PCAPNG_INBOUND});
}

static void frame_as_line(struct capture *capture, const struct sniffer_frame *frame)
{
    size_t link = link_find(capture, frame->link); /* may move capture->links */
    char text[SUMMARY_SIZE], clock[16];
    struct tm local;

    strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&frame->time.tv_sec, &local));
    buf_printf(&capture->out, "%s.%06ld %-6s %-3s %s\n", clock, frame->time.tv_nsec / 1000,
               capture->links[link].name, frame->outgoing ? "out" : "in",
               summary_text(frame->data, frame->size, text));
}

static void frame_as_json(struct capture *capture, const struct sniffer_frame *frame)
{
    size_t link = link_find(capture, frame->link); /* may move capture->links */
    char text[SUMMARY_SIZE], second[32], time[64];
    OWN(json) json_t *line = NULL;
    OWN(mem) char *dump = NULL;
    struct tm utc;

    strftime(second, sizeof(second), "%Y-%m-%dT%H:%M:%S", gmtime_r(&frame->time.tv_sec, &utc));
    snprintf(time, sizeof(time), "%s.%06ldZ", second, frame->time.tv_nsec / 1000);
    line =
        json_pack("{ss ss ss sI ss}", "time", time, "port", capture->links[link].name, "direction",
                  frame->outgoing ? "out" : "in", "length", (json_int_t)frame->length, "summary",
                  summary_text(frame->data, frame->size, text));
    dump = json_dumps(line, JSON_COMPACT);
    buf_printf(&capture->out, "%s\n", dump ? dump : "{}");
}

static void frame_take(struct capture *capture, const struct sniffer_frame *frame)
{
    if (capture->file >= 0)
        frame_as_block(capture, frame);
    else if (capture->json)
        frame_as_json(capture, frame);
    else
        frame_as_line(capture, frame);
    capture->taken++;
}

/* --- the stream --- */

/* What is there, at most as much as is written at once; 1: enough, or negative errno. */
static int frames_take(struct capture *capture)
{
    struct sniffer_frame frame;
    int r;

    while ((r = sniffer_read(&capture->sniffer, &frame)) > 0) {
        frame_take(capture, &frame);
        if (capture->left && --capture->left == 0)
            return 1;
        if (capture->out.size >= WRITE_BYTES)
            return 0;
    }
    return r;
}

/* Signals to end it, as a descriptor; a reader that goes away is told by write(2). */
static int signals_open(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

/* A file's reader that has gone is noticed without a frame (POLLERR of a pipe). */
static int frames_loop(struct capture *capture)
{
    struct pollfd fds[] = {{.fd = capture->sniffer.packets, .events = POLLIN},
                           {.fd = capture->sniffer.end},
                           {.fd = capture->signals, .events = POLLIN},
                           {.fd = out_fd(capture)}};
    int r = 0;

    while (r == 0 && !capture->failed) {
        bool more;

        r = frames_take(capture);
        more = capture->out.size >= WRITE_BYTES;
        out_write(capture);
        if (r != 0 || poll(fds, ARRAY_SIZE(fds), more ? 0 : -1) < 0 || fds[2].revents)
            break;
        capture->failed = fds[3].revents & (POLLERR | POLLHUP);
    }
    if (r <= 0 && !capture->failed) { /* what came before the end */
        sniffer_settle();
        frames_take(capture);
    }
    return r;
}

/* The end of what was asked for, whoever ended it, is no failure. */
static int capture_finish(struct capture *capture, const struct cli *cli, int r)
{
    struct timespec now;

    sniffer_count(&capture->sniffer);
    clock_gettime(CLOCK_REALTIME, &now);
    if (capture->file >= 0)
        pcapng_statistics(&capture->out, 0, now, capture->sniffer.seen, capture->sniffer.dropped);
    out_write(capture);
    fprintf(stderr,
            "vmlan capture: %lu frames; %llu more were dropped because they came too fast\n",
            capture->taken, (unsigned long long)capture->sniffer.dropped);
    if (r == -ENETDOWN)
        fprintf(stderr, "vmlan capture: the %s has ended\n",
                cli_option(cli, "port") ? "port" : "network");
    if (capture->error)
        return cli_fail_text(cli, "cannot write: %s; the last frames are missing",
                             strerror(capture->error));
    return r < 0 && r != -ENETDOWN ? cli_fail_text(cli, "%s", strerror(-r)) : 0;
}

static int capture_run(struct capture *capture, const struct cli *cli)
{
    int link = (int)json_integer_value(json_object_get(capture->reply, "link"));
    bool port = link != 0;

    if (!port)
        link = (int)json_integer_value(json_object_get(capture->reply, "bridge"));
    capture->signals = signals_open();
    if (capture->signals < 0)
        return cli_fail_text(cli, "cannot wait for signals: %s", strerror(errno));
    if (capture->file >= 0)
        pcapng_section(&capture->out, "vmlan " VMLAN_VERSION);
    link_add(capture, link);
    out_write(capture); /* a reader sees that it has begun */
    fprintf(stderr, "vmlan capture: listening on %s %s; Ctrl-C ends it\n",
            port ? "port" : "network", port ? capture->links[0].name : cli->arguments[0]);
    return capture_finish(capture, cli, frames_loop(capture));
}

/* --- what was asked for --- */

static int number_take(const struct cli *cli, const char *name, unsigned long most,
                       unsigned long *ret)
{
    const char *text = cli_option(cli, name);
    char *end;
    unsigned long number;

    if (!text)
        return 0;
    errno = 0;
    number = strtoul(text, &end, 10);
    if (errno || *end || text[0] < '0' || text[0] > '9' || number < 1 || number > most)
        return cli_fail_text(cli, "--%s %s: not a number from 1 to %lu", name, text, most);
    *ret = number;
    return 0;
}

static char *filter_words(const struct cli *cli)
{
    struct buf words = BUF_NULL;

    for (int i = 1; i < cli->argument_count; i++)
        buf_printf(&words, "%s%s", i > 1 ? " " : "", cli->arguments[i]);
    return words.data ? words.data : alloc_text("");
}

static int file_open(const struct cli *cli, int *ret_fd)
{
    const char *path = cli_option(cli, "write");
    int fd = -1;

    if (path && strcmp(path, "-") == 0 && isatty(STDOUT_FILENO))
        return cli_fail_text(cli, "a capture is not for a terminal: leave -w out, or write it to a "
                                  "file or a pipe");
    if (path && strcmp(path, "-") == 0)
        fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    else if (path)
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (path && fd < 0)
        return cli_fail_text(cli, "%s: %s", path, strerror(errno));
    *ret_fd = fd;
    return 0;
}

static int sockets_ask(struct capture *capture, const struct cli *cli)
{
    const char *port = cli_option(cli, "port");
    json_t *parameters = json_pack("{ss ss*}", "network", cli->arguments[0], "port", port);
    OWN(client_fds) struct client_fds fds = {0};
    struct error error;

    if (session_ask(cli, "Capture", parameters, &capture->reply, &fds) < 0)
        return 1;
    if (fds.count != 2)
        return cli_fail_text(cli, "the broker sent no sockets");
    if (sniffer_open(&capture->sniffer, capture->reply, capture->filter, capture->snaplen,
                     take_fd(&fds.fds[0]), take_fd(&fds.fds[1]), &error) < 0)
        return cli_fail(cli, &error);
    return 0;
}

static void capture_done(struct capture *capture)
{
    sniffer_close(&capture->sniffer);
    fd_close(&capture->file);
    fd_close(&capture->signals);
    json_decref(capture->reply);
    buf_done(&capture->out);
    free(capture->filter);
    free(capture->links);
}

static int capture(struct cli *cli)
{
    struct capture capture = {.file = -1, .signals = -1, .sniffer = {.packets = -1, .end = -1}};
    unsigned long snaplen = SNIFFER_SNAPLEN;
    int r = number_take(cli, "snaplen", SNIFFER_SNAPLEN, &snaplen);

    if (r == 0)
        r = number_take(cli, "count", 1000000000, &capture.left);
    capture.json = cli->json;
    capture.snaplen = (unsigned)snaplen;
    capture.filter = filter_words(cli);
    if (r == 0)
        r = sockets_ask(&capture, cli);
    if (r == 0) /* after the questions: a file is not emptied for a mistake */
        r = file_open(cli, &capture.file);
    if (r == 0)
        r = capture_run(&capture, cli);
    capture_done(&capture);
    return r;
}

static const struct verb_option capture_options[] = {
    {"write", 'w', "FILE", "write a pcapng file instead of lines; - is standard output"},
    {"port", 'p', "PORT", "only this port, by its id or its guest's name, in both directions"},
    {"count", 'c', "N", "end after N frames"},
    {"snaplen", 's', "BYTES", "keep at most this much of each frame"},
    {0},
};

const struct verb verb_capture = {
    .name = "capture",
    .arguments = "NET [FILTER…]",
    .summary = "show or record the frames of a network",
    .text = "Without -w it prints a line for each frame, with --json an object; with -w, the file "
            "is for Wireshark, tshark and tcpdump: vmlan capture shared -w - | wireshark -k -i -. "
            "FILTER is "
            "libpcap's, pcap-filter(7): tcp port 80 and host 192.168.107.5.\n\n"
            "Of a network each frame is there once, as it enters: in from a port, or out from br0, "
            "which is the gateway. Of one port (--port) both directions are there. A checksum that "
            "a guest left to its device is completed; a frame that is larger than the MTU was "
            "exchanged whole (segmentation offload).\n\n"
            "It ends by Ctrl-C, with the network or the port, or when the reader of its output has "
            "gone. It keeps no network from ending.",
    .options = capture_options,
    .arguments_min = 1,
    .arguments_max = -1,
    .run = capture,
};
