# SPDX-License-Identifier: Apache-2.0
"""The least that can be said at a network's path: ask who has the gateway's address (ARP), behind a
length on a stream and as it is in a datagram.
"""

import itertools
import select
import socket
import struct
import time

LAST = itertools.count(1)  # byte of the last MAC address: each guest has its own


class Cable(socket.socket):
    """A guest's end."""

    def __init__(self, kind=socket.SOCK_STREAM):
        super().__init__(socket.AF_UNIX, kind)
        self.mac = bytes.fromhex("5255550000") + bytes([next(LAST)])
        self.data = b""


def connected(site, network="shared"):
    """A connection to the network's stream.sock."""
    cable = Cable()
    cable.connect(str(site.runtime / "net" / network / "stream.sock"))
    return cable


def _ask(cable, gateway):
    arp = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, cable.mac, bytes(4), bytes(6),
                      socket.inet_aton(gateway))
    frame = b"\xff" * 6 + cable.mac + b"\x08\x06" + arp
    stream = cable.type & socket.SOCK_STREAM
    cable.send(struct.pack("!I", len(frame)) + frame if stream else frame)


def _frames(cable):
    """The frames that have come whole."""
    piece = cable.recv(65536)
    if cable.type & socket.SOCK_DGRAM:
        return [piece]
    assert piece, "the network closed the connection"
    cable.data += piece
    frames = []
    while len(cable.data) >= 4 and len(cable.data) >= 4 + (size := struct.unpack(
            "!I", cable.data[:4])[0]):
        frames.append(cable.data[4:4 + size])
        cable.data = cable.data[4 + size:]
    return frames


def answers(cable, gateway="192.168.107.1"):
    """Whether the gateway answers. Asked again each second, as a guest does that is early."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        _ask(cable, gateway)
        patience = time.monotonic() + 1
        while (left := patience - time.monotonic()) > 0:
            if not select.select([cable], [], [], left)[0]:
                break
            for frame in _frames(cable):
                if frame[:6] == cable.mac and frame[12:14] == b"\x08\x06" and frame[21] == 2:
                    return True
    return False
