# SPDX-License-Identifier: Apache-2.0
"""Scripted guests with a socket: Line sends numbered frames from one to another and counts what
arrives, in order, whole and once.
"""

import contextlib
import os
import socket
import struct
import threading
import time

from peer import Peer, ethernet

KIND = 0x88B5  # an EtherType for experiments: IEEE 802
LENGTH = struct.Struct("!I")


class SocketGuest:
    """A port of backend stream or datagram, by the protocol: a connected socket."""

    def __init__(self, path, network, backend="stream", **parameters):
        with Peer(path) as peer:
            self.port, (fd,) = peer.attach(network, backend=backend, **parameters)
        self.socket = socket.socket(fileno=fd)
        self.socket.settimeout(None)
        self.stream = backend == "stream"
        self.mac = self.port["mac"]
        self.data = b""

    def send(self, frame):
        self.socket.sendall(LENGTH.pack(len(frame)) + frame if self.stream else frame)

    def receive(self):
        """The next frame; None at the end."""
        if not self.stream:
            return self.socket.recv(65536) or None
        while len(self.data) < 4 or len(self.data) < 4 + LENGTH.unpack_from(self.data)[0]:
            piece = self.socket.recv(65536)
            if not piece:
                return None
            self.data += piece
        size = 4 + LENGTH.unpack_from(self.data)[0]
        frame, self.data = self.data[4:size], self.data[size:]
        return frame

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)  # wakes who reads
        self.socket.close()


class Line:
    """Numbered frames from sender to receiver, until end(): sent, and the numbers that arrived."""

    def __init__(self, sender, receiver, pause=0.02, size=200):
        self.sender, self.receiver = sender, receiver
        self.pause, self.payload = pause, os.urandom(size)
        self.sent, self.arrived, self.torn = 0, [], []
        self.over = threading.Event()
        self.threads = [threading.Thread(target=work, daemon=True)
                        for work in (self._receive, self._send)]
        for thread in self.threads:
            thread.start()

    def _send(self):
        while not self.over.wait(self.pause):
            self.sender.send(ethernet(self.receiver.mac, self.sender.mac, KIND,
                                      struct.pack("!I", self.sent) + self.payload))
            self.sent += 1

    def _receive(self):
        with contextlib.suppress(OSError):
            while frame := self.receiver.receive():
                if frame[12:14] != struct.pack("!H", KIND):
                    continue
                self.arrived.append(struct.unpack_from("!I", frame, 14)[0])
                if frame[18:] != self.payload:
                    self.torn.append(frame)

    def meet(self, timeout=10):
        """Until the first frame has come through: what was sent before may have met no bridge."""
        deadline = time.monotonic() + timeout
        while not self.arrived:
            assert time.monotonic() < deadline, "no frame came through"
            time.sleep(0.01)

    def end(self, timeout=5):
        """Stops; the numbers that were lost since the first that arrived."""
        self.over.set()
        self.threads[1].join(timeout)
        deadline = time.monotonic() + timeout
        while self.arrived[-1] != self.sent - 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        for guest in (self.sender, self.receiver):
            guest.close()
        self.threads[0].join(timeout)
        assert not self.torn, f"{len(self.torn)} frames are not as they were sent"
        return sorted(set(range(self.arrived[0], self.sent)) - set(self.arrived))
