# SPDX-License-Identifier: Apache-2.0
"""Ports with a socket, as a hypervisor's end sees them: frames on the wire of docs/protocol.md,
from one guest through adapter, bridge and adapter to another.
"""

import contextlib
import os
import random
import select
import shutil
import signal
import socket
import statistics
import struct
import threading
import time

import lib
import pytest
from lib import wait_until
from netlib import kill, the
from peer import LIMIT, Peer, ethernet

pytestmark = [pytest.mark.engine, pytest.mark.limit(60)]

EXPERIMENT = 0x88B5  # an EtherType for local experiments (IEEE 802)
HEAD = 14
KILLS = 20


class Cable:
    """A guest's socket: a thread sends numbered frames to another guest, and every frame that comes
    from one is compared with what was sent.
    """

    def __init__(self, site, backend):
        with Peer(site.runtime / "broker.sock") as peer:
            self.port, (fd,) = peer.attach("shared", backend=backend)
        self.socket = socket.socket(fileno=fd)
        self.socket.setblocking(False)
        self.stream = backend == "stream"
        self.sent, self.last, self.fault = 0, -1, None
        self.data = b""

    @staticmethod
    def payload(number):
        """Size and contents follow from the number."""
        seed = number * 2654435761 & 0xFFFFFFFF
        return struct.pack("!I", number) + bytes([seed >> 24]) * (42 + seed % 1450)

    def run(self, other, stop):
        try:
            while not stop.is_set():
                self.send(other)
                while self.receive():
                    pass
                select.select([self.socket], [], [], 0.002)
        except (AssertionError, OSError) as error:
            self.fault = error

    def send(self, other):
        """A burst; what finds no room is lost, but never a part of a frame."""
        burst = []
        for _ in range(20):
            frame = ethernet(other.port["mac"], self.port["mac"], EXPERIMENT,
                             self.payload(self.sent))
            burst.append(struct.pack("!I", len(frame)) + frame if self.stream else frame)
            self.sent += 1
        for data in [b"".join(burst)] if self.stream else burst:
            while data and select.select([], [self.socket], [], LIMIT if self.stream else 0)[1]:
                with contextlib.suppress(BlockingIOError):
                    data = data[self.socket.send(data):]

    def receive(self):
        try:
            data = self.socket.recv(1 << 20)
        except BlockingIOError:
            return False
        assert data, "the port's end"
        if not self.stream:
            self.check(data)
            return True
        self.data += data
        at = 0
        while len(self.data) - at >= 4:
            size, = struct.unpack_from("!I", self.data, at)
            assert HEAD <= size <= 1522, f"a frame of {size} bytes"
            if len(self.data) - at - 4 < size:
                break
            self.check(self.data[at + 4:at + 4 + size])
            at += 4 + size
        self.data = self.data[at:]
        return True

    def check(self, frame):
        if frame[12:14] != struct.pack("!H", EXPERIMENT):
            return  # the network's own
        number, = struct.unpack_from("!I", frame, HEAD)
        assert number > self.last, f"frame {number} after {self.last}"
        assert frame[HEAD:] == self.payload(number), f"frame {number} is torn"
        self.last = number

    def wait_more(self):
        """Until another frame has arrived."""
        last, deadline = self.last, time.monotonic() + LIMIT
        while self.last <= last:
            assert not self.fault, self.fault
            assert time.monotonic() < deadline, "nothing arrives any more"
            time.sleep(0.005)


@contextlib.contextmanager
def talking(site, backends):
    """Two guests that send to each other all the time."""
    one, other = (Cable(site, backend) for backend in backends)
    stop = threading.Event()
    threads = [threading.Thread(target=one.run, args=(other, stop)),
               threading.Thread(target=other.run, args=(one, stop))]
    for thread in threads:
        thread.start()
    try:
        yield one, other
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        for cable in (one, other):
            cable.socket.close()
            assert not cable.fault, cable.fault


@pytest.mark.sanitized
@pytest.mark.parametrize("backends", [("stream", "stream"), ("stream", "datagram")])
def test_forwarder_killed_again_and_again(site, backends):
    """No frame is torn, and both guests go on within a second."""
    times = []
    site.vmlan("up", "shared")
    with talking(site, backends) as cables:
        for _ in range(KILLS):
            for cable in cables:
                cable.wait_more()
            time.sleep(random.random() / 20)
            kill(site, "vmlan-forward")
            start = time.monotonic()
            for cable in cables:
                cable.wait_more()  # what had arrived before is read by now
                cable.wait_more()
            times.append(time.monotonic() - start)
    assert statistics.median(times) < 1, times


@pytest.mark.sanitized
@pytest.mark.parametrize("backend", ["stream", "datagram", "datagram_next"])
def test_closed_end_is_noticed_in_silence(site, backend):
    """Also where nothing tells of it: no frame is sent to such a port."""
    site.config("vmnet:\n  shared: {dhcp: false, routerAdvertisement: false, linger: 1}\n")
    site.vmlan("up", "shared")
    cable = Cable(site, backend)
    while select.select([cable.socket], [], [], 2.5)[0]:  # what the bridge says of itself at first
        cable.socket.recv(65536)
    cable.socket.close()
    wait_until(lambda: not site.json("ls")[0]["ports"], 2 * LIMIT, "the port's end")
    site.vmlan("down", "shared")


# As the user: a holder refuses root, who has no number in its user namespace.
LATE = """
import os, sys
sys.path.insert(0, sys.argv[1])
from peer import Peer
with Peer(sys.argv[2]) as holder:
    holder.request("io.vmlan.Holder.Capture")
    message, fds = holder.reply()
    (link,) = [one["link"] for one in message["parameters"]["ports"] if one["port"] == "vm1"]
    holder.call("io.vmlan.Holder.CableEnded", {"port": "vm1", "link": link + int(sys.argv[3])})
"""


def test_late_word_of_an_earlier_port_of_that_name(site):
    """What a forwarder tells of a port may come after the kernel told that it is gone, and its name
    is another port's by then, which no forwarder has yet."""
    def tell(distance):
        site.run("python3", "-c", LATE, str(site.root),
                 str(site.runtime / "net/shared/holder.sock"), str(distance))

    shutil.copy(lib.TOP / "tests/peer.py", site.root)  # the user may not be able to read the tree
    site.vmlan("up", "shared")
    forwarder = the(site, "vmlan-forward")
    os.kill(forwarder, signal.SIGSTOP)
    cables = [Cable(site, "stream") for _ in range(2)]  # the first at most is handed to it
    assert [cable.port["port"] for cable in cables] == ["vm0", "vm1"]
    with cables[0].socket, cables[1].socket as guest:
        guest.settimeout(0.3)
        tell(-1)
        with pytest.raises(TimeoutError):
            guest.recv(1)
        tell(0)
        assert guest.recv(1) == b""
        os.kill(forwarder, signal.SIGCONT)
