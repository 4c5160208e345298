# SPDX-License-Identifier: Apache-2.0
"""Those who look at a network: vmlan events and vmlan capture in the background, and a terminal for
what is drawn.
"""

import fcntl
import json
import os
import pty
import queue
import select
import signal
import struct
import termios
import threading
import time

import pytest


class Watcher:
    """vmlan events, read by a thread; take() waits for an event that has these fields."""

    def __init__(self, site, *networks):
        self.process = site.popen("events", *networks)
        self.events, self.seen = queue.Queue(), []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.events.put(json.loads(line))

    def take(self, event, timeout=10, **fields):
        """The next such event; those before it go to self.seen."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                one = self.events.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {event} {fields} among {self.seen}") from None
            self.seen.append(one)
            if one["event"] == event and fields.items() <= one.items():
                return one

    def names(self):
        """What was taken since the last call."""
        names, self.seen = [one["event"] for one in self.seen], []
        return names


class Capture:
    """vmlan capture in the background; listens when this returns."""

    def __init__(self, site, *words, network="shared", **options):
        self.site, self.path = site, site.root / "capture.pcapng"
        self.process = site.popen("capture", network, "-w", self.path, *words, **options)
        line = self.process.stderr.readline()
        assert "listening on" in line, line + self.process.stderr.read()

    def end(self, number=signal.SIGINT):
        """Ends it; what it said of itself."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        assert self.process.wait(10) == 0
        return self.process.stderr.read()

    def packets(self, *fields, display=None):
        """Of each packet these fields, as tshark decodes them."""
        words = [word for field in fields for word in ("-e", field)]
        shown = ["-Y", display] if display else []
        done = self.site.run("tshark", "-n", "-r", self.path, *shown, "-T", "fields", *words,
                             "-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE",
                             "-o", "udp.check_checksum:TRUE")
        return [line.split("\t") for line in done.stdout.splitlines()]


class Terminal:
    """A program on a terminal of its own, whose screen pyte keeps."""

    def __init__(self, site, *words, lines=24, columns=80, kind="xterm"):
        pyte = pytest.importorskip("pyte")
        self.master, self.slave = pty.openpty()
        self.screen = pyte.Screen(columns, lines)
        self.resize(lines, columns)
        self.process = site.popen(*words, stdin=self.slave, stdout=self.slave, stderr=self.slave,
                                  text=False, env={**site.env, "TERM": kind})
        self.output, self.stream = b"", pyte.ByteStream(self.screen)

    def resize(self, lines, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.screen.resize(lines, columns)

    def until(self, text, count=1, timeout=10):
        """Until this has been written so often."""
        deadline = time.monotonic() + timeout
        while self.output.count(text) < count:
            left = deadline - time.monotonic()
            assert left > 0 and select.select([self.master], [], [], left)[0], self.output
            piece = os.read(self.master, 65536)
            self.stream.feed(piece)
            self.output += piece

    def lines(self):
        """What stands on the screen."""
        return [line.rstrip() for line in self.screen.display]

    def echoes(self):
        return bool(termios.tcgetattr(self.slave)[3] & termios.ECHO)

    def close(self):
        os.close(self.master)
        os.close(self.slave)
