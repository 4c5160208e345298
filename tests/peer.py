# SPDX-License-Identifier: Apache-2.0
"""A peer of the broker that knows nothing of vmlan but docs/protocol.md: socket, json and struct.

Peer is one connection; what it receives as file descriptors belongs to the caller. Guest is a
guest's end of a tap port: Ethernet frames in and out, nothing above them. StreamWire and
DatagramWire are the same with a socket, as hypervisors use those.
"""

import array
import json
import os
import select
import socket
import struct
import time

BROKER = "io.vmlan.Broker"
SERVICE = "org.varlink.service"
FDS_MAX = 64  # more than a message can have
LIMIT = 10  # seconds that anything waited for here may take


class Refused(Exception):
    """The broker answered with an error."""

    def __init__(self, message):
        super().__init__(json.dumps(message))
        self.name = message["error"]
        self.parameters = message["parameters"]
        for key in ("field", "reason", "hint"):
            setattr(self, key, self.parameters.get(key))


class Closed(Exception):
    """The broker closed the connection."""


def rights(fds):
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []


def text(message):
    """A message as it is on the wire."""
    return json.dumps(message).encode() + b"\0"


class Peer:
    """One connection to a broker."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(str(path))  # with a timeout it would not wait for room in the backlog
        self.socket.settimeout(LIMIT)
        self.data = b""
        self.fds = []  # that came and belong to no message yet

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()
        while self.fds:
            os.close(self.fds.pop())

    def send(self, data, fds=()):
        """Raw bytes; the descriptors travel with the first of them."""
        if fds:
            sent = self.socket.sendmsg([data], rights(fds))
            data = data[sent:]
        self.socket.sendall(data)

    def request(self, method, parameters=None, fds=(), **flags):
        name = method if "." in method else f"{BROKER}.{method}"
        self.send(text({"method": name, "parameters": parameters or {}, **flags}), fds)

    def receive(self):
        """The next message and the descriptors that came with it."""
        while b"\0" not in self.data:
            try:
                data, fds, flags, _ = socket.recv_fds(self.socket, 65536, FDS_MAX)
            except ConnectionResetError:
                data, fds, flags = b"", [], 0
            self.fds += fds
            assert not flags & socket.MSG_CTRUNC
            if not data:
                raise Closed
            self.data += data
        one, _, self.data = self.data.partition(b"\0")
        assert not (self.fds and self.data), "descriptors could belong to either message"
        fds, self.fds = self.fds, []
        return json.loads(one), fds

    def reply(self):
        message, fds = self.receive()
        if "error" in message:
            assert not fds
            raise Refused(message)
        return message, fds

    def call(self, method, parameters=None, fds=(), **flags):
        """One call and its reply, which may not have descriptors."""
        self.request(method, parameters, fds, **flags)
        message, received = self.reply()
        assert not received
        return message["parameters"]

    def attach(self, network, **parameters):
        """The reply's parameters and its descriptors."""
        self.request("Attach", {"network": network, **parameters})
        message, fds = self.reply()
        return message["parameters"], fds

    def closed(self):
        """Whether the broker ends the connection now, without another word."""
        try:
            self.receive()
        except Closed:
            return True
        return False


VNET_HEADER = bytes(10)  # struct virtio_net_hdr: nothing is asked for


class Guest:
    """A port of backend tap: the reply to Attach and the tap's descriptor."""

    def __init__(self, port, fd):
        self.port, self.fd = port, fd
        self.mac = port["mac"]

    @classmethod
    def attach(cls, path, network, **parameters):
        with Peer(path) as peer:
            port, (fd,) = peer.attach(network, **parameters)
        return cls(port, fd)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1

    def send(self, frame):
        data = VNET_HEADER + bytes(frame)
        assert os.write(self.fd, data) == len(data)

    def frames(self, timeout=LIMIT):
        """Every frame that comes until the time is over."""
        for data in self.with_headers(timeout):
            yield data[len(VNET_HEADER):]

    def with_headers(self, timeout=LIMIT):
        """The same with what the tap has before each."""
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([self.fd], [], [], left)[0]:
                return
            yield os.read(self.fd, 65536 + len(VNET_HEADER))

    def find(self, take, timeout=LIMIT):
        """The first value that take(frame) makes of a frame and that is not None; or None."""
        for frame in self.frames(timeout):
            if (value := take(frame)) is not None:
                return value
        return None


class StreamWire(Guest):
    """Each frame behind its length, on a connected stream socket, which it owns."""

    def __init__(self, connection, mac):
        self.socket, self.fd, self.mac = connection, connection.fileno(), mac
        self.data = b""

    @classmethod
    def connect(cls, path, mac):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(str(path))
        return cls(connection, mac)

    def close(self):
        self.socket.close()

    def send(self, frame):
        data = bytes(frame)
        self.socket.sendall(struct.pack("!I", len(data)) + data)

    def frames(self, timeout=LIMIT):
        deadline = time.monotonic() + timeout
        while True:
            while len(self.data) >= 4 and len(self.data) >= 4 + self._length():
                size = 4 + self._length()
                frame, self.data = self.data[4:size], self.data[size:]
                yield frame
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                return
            piece = self.receive()
            if not piece:
                return
            self.data += piece

    def receive(self):
        """What is there; empty when the other end is closed."""
        try:
            return self.socket.recv(1 << 18)
        except ConnectionResetError:
            return b""

    def ended(self, timeout=LIMIT):
        """Whether the other end closes within the time."""
        for _ in self.frames(timeout):
            pass
        return bool(select.select([self.fd], [], [], 0)[0]) and not self.receive()

    def _length(self):
        return struct.unpack("!I", self.data[:4])[0]


class DatagramWire(Guest):
    """A datagram a frame, on a socket with a path of its own that is connected to another."""

    def __init__(self, path, own, mac, connected=True):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(own))
        self.own, self.path, self.mac, self.fd = own, str(path), mac, self.socket.fileno()
        self.connected = connected
        if connected:
            self.socket.connect(self.path)

    def close(self):
        self.socket.close()

    def send(self, frame):
        """May wait: there is room for few datagrams at a socket (net.unix.max_dgram_qlen)."""
        if self.connected:
            self.socket.send(bytes(frame))
        else:
            self.socket.sendto(bytes(frame), self.path)

    def frames(self, timeout=LIMIT):
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([self.fd], [], [], left)[0]:
                return
            yield self.socket.recv(1 << 17)


def mac_bytes(mac):
    return bytes.fromhex(mac.replace(":", ""))


def ethernet(destination, source, kind, payload):
    return mac_bytes(destination) + mac_bytes(source) + struct.pack("!H", kind) + payload
