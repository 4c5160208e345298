# SPDX-License-Identifier: Apache-2.0
"""Odd frames through the sockets that the broker hands out: super-frames from a tap are cut for a
guest without offload, segments of such a guest are joined for the tap, and nothing else changes.
What is expected is made by scapy, frame by frame, and compared byte for byte.
"""

import contextlib
import fcntl
import ipaddress
import os
import socket
import struct

import host  # noqa: F401  first: it skips without scapy
import pytest
from peer import VNET_HEADER, DatagramWire, Guest, StreamWire, ethernet, mac_bytes
from scapy.layers.inet import IP, TCP, UDP, IPOption_Router_Alert
from scapy.layers.inet6 import (IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop, PadN,
                                RouterAlert)
from scapy.layers.l2 import Dot1AD, Dot1Q, Ether
from scapy.packet import Raw
from scapy.utils import checksum

pytestmark = [pytest.mark.engine, pytest.mark.sanitized, pytest.mark.limit(60)]

TUNSETOFFLOAD, OFFLOADS = 0x400454D0, 0x1 | 0x2 | 0x4 | 0x8  # linux/if_tun.h: CSUM, TSO4, TSO6, ECN
NEEDS_CSUM, GSO_TCP4, GSO_TCP6, GSO_UDP, GSO_ECN = 1, 1, 4, 5, 0x80  # linux/virtio_net.h
SILENT = "vmnet:\n  silent: {dhcp: false, dnsProxy: false, routerAdvertisement: false}\n"
EXPERIMENT = 0x88B5  # an EtherType for local experiments (IEEE 802)
STEP = 1000  # payload of a segment
QUIET = 0.5


class Tap(Guest):
    """A tap whose owner knows offloads."""

    def accept_large(self):
        fcntl.ioctl(self.fd, TUNSETOFFLOAD, OFFLOADS)

    def send_large(self, frame, kind, l4, field, step):
        """A super-frame whose checksum, field bytes behind l4, is that of the pseudo header."""
        header = struct.pack("=BBHHHH", NEEDS_CSUM, kind, l4, step, l4, field)
        os.write(self.fd, header + frame)

    def large_frames(self):
        """(size of a piece, frame) of each frame that comes; size 0 if it is none of several."""
        for data in self.with_headers():
            yield struct.unpack_from("=4xH", data)[0], data[len(VNET_HEADER):]


class DatagramPort(DatagramWire):
    """On the socket that the broker gave, which has no path."""

    def __init__(self, connection, mac):
        self.socket, self.fd, self.mac, self.connected = connection, connection.fileno(), mac, True


WIRES = {"stream": StreamWire, "datagram": DatagramPort, "datagram_next": DatagramPort}


@pytest.fixture(scope="module")
def site(file_site):
    """With a network where nobody else speaks."""
    file_site.config(SILENT)
    file_site.vmlan("up", "silent")
    return file_site


@pytest.fixture
def port(site):
    """port(backend, ...) is a new guest."""
    with contextlib.ExitStack() as stack:
        def make(backend, **parameters):
            one = Tap.attach(site.runtime / "broker.sock", "silent", backend=backend,
                             **parameters)
            if backend != "tap":
                one = WIRES[backend](socket.socket(fileno=one.fd), one.mac)
            return stack.enter_context(one)
        yield make


def stream_of(*frames):
    return b"".join(struct.pack("!I", len(frame)) + frame for frame in map(bytes, frames))


def take(frames, guest, count):
    """The next frames for the guest; others are the bridge's, which asks who listens to groups."""
    mac, found = mac_bytes(guest.mac), []
    for one in frames:
        frame = one[-1] if isinstance(one, tuple) else one
        if frame.startswith(mac):
            found.append(one)
        if len(found) == count:
            break
    return found


def passes(sender, receiver):
    """Whether a frame arrives; frames before it are skipped."""
    frame = ethernet(receiver.mac, sender.mac, EXPERIMENT, os.urandom(1486))
    sender.send(frame)
    return receiver.find(lambda got: got == frame or None)


def pair(port, backend, **parameters):
    """A tap and a guest with a socket. Before its adapter works, the kernel cuts for it."""
    tap, guest = port("tap"), port(backend, **parameters)
    assert passes(guest, tap)
    return tap, guest


# Cutting: every shape of head, and each with flags that belong to one end only


def ip4(**fields):
    return IP(src="192.168.107.8", dst="192.168.107.9", id=65534, **fields)


def ip6(**fields):
    return IPv6(src="fd00::8", dst="fd00::9", fl=0x12345, **fields)


def tcp(**fields):
    return TCP(sport=1000, dport=2000, seq=2**32 - 1500, ack=7, **{"flags": "A", **fields})


STAMPED = [("NOP", None), ("NOP", None), ("Timestamp", (12345, 6789))]
SHAPES = {
    "ipv4": [ip4(), tcp()],
    "ipv4-df-tos": [ip4(flags="DF", tos=0x12, ttl=3), tcp()],
    "ipv4-options": [ip4(options=[IPOption_Router_Alert()]), tcp(options=STAMPED)],
    "timestamps-sack": [ip4(), tcp(options=[*STAMPED, ("NOP", None), ("NOP", None),
                                            ("SAck", (1, 2, 5, 9))])],
    "ipv6": [ip6(tc=0x2E), tcp(options=STAMPED)],
    "ipv6-hop-by-hop": [ip6(), IPv6ExtHdrHopByHop(options=[RouterAlert()]), tcp()],
    "ipv6-destination": [ip6(), IPv6ExtHdrDestOpt(options=[PadN(optdata=b"x" * 12)]), tcp()],
    "vlan": [Dot1Q(vlan=5, prio=3), ip4(), tcp(options=STAMPED)],
    "vlan-ipv6": [Dot1Q(vlan=4094), ip6(), tcp()],
    "two-vlans": [Dot1AD(vlan=7), Dot1Q(vlan=5), ip4(), tcp()],
    "fin-push": [ip4(), tcp(flags="AFP")],
    "cwr": [ip4(tos=2), tcp(flags="ACEP")],
    "ipv6-cwr-fin": [ip6(tc=2), tcp(flags="ACF")],
    "udp": [ip4(), UDP(sport=1000, dport=2000)],
    "udp-ipv6": [ip6(), UDP(sport=1000, dport=2000)],
}


def build(ether, layers, payload):
    packet = ether
    for layer in layers:
        packet = packet / layer.copy()
    return packet / Raw(payload)


def segment(ether, layers, payload, at, step):
    """What belongs on the wire for the piece at that place: RFC 9293, RFC 3168 6.1.2."""
    packet = build(ether, layers, payload[at:at + step])
    if IP in packet:
        packet[IP].id = (packet[IP].id + at // step) % 2**16
    if TCP in packet:
        packet[TCP].seq = (packet[TCP].seq + at) % 2**32
        flags = str(packet[TCP].flags)
        drop = ("" if at + step >= len(payload) else "FP") + ("" if at == 0 else "C")
        packet[TCP].flags = "".join(flag for flag in flags if flag not in drop)
    return bytes(packet)


def super_frame(ether, layers, payload):
    """The whole as a tap's owner writes it: bytes, kind, offset of layer 4 and of its checksum."""
    packet = build(ether, layers, payload)
    data = bytearray(bytes(packet))
    is_tcp = TCP in packet
    l4 = len(data) - len(bytes(packet[TCP] if is_tcp else packet[UDP]))
    field = 16 if is_tcp else 6
    ip = packet[IP] if IP in packet else packet[IPv6]
    pseudo = b"".join(ipaddress.ip_address(end).packed for end in (ip.src, ip.dst))
    pseudo += struct.pack("!HH", len(data) - l4, 6 if is_tcp else 17)
    struct.pack_into("!H", data, l4 + field, checksum(pseudo) ^ 0xFFFF)
    kind = (GSO_TCP4 if IP in packet else GSO_TCP6) if is_tcp else GSO_UDP
    if is_tcp and packet[TCP].flags.C:
        kind |= GSO_ECN
    return bytes(data), kind, l4, field


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("backend", WIRES)
def test_a_super_frame_is_cut(port, backend, shape):
    tap, guest = pair(port, backend)
    ether, layers = Ether(dst=guest.mac, src=tap.mac), SHAPES[shape]
    for size in (STEP + 1, 5 * STEP, 40 * STEP + 3):
        payload = os.urandom(size)
        wanted = [segment(ether, layers, payload, at, STEP) for at in range(0, size, STEP)]
        tap.send_large(*super_frame(ether, layers, payload), STEP)
        assert take(guest.frames(), guest, len(wanted)) == wanted, (shape, size)


@pytest.mark.parametrize("shape", [name for name in SHAPES if not name.startswith("udp")])
@pytest.mark.parametrize("backend", WIRES)
def test_a_guest_with_offload(port, backend, shape):
    """As libkrun does it: no header on the wire. To the guest a super-frame goes whole, with its
    checksum; from the guest one comes with the pseudo header's alone, and is cut at the MTU."""
    tap, guest = pair(port, backend, tso=True, checksumOffload=True)
    layers, payload = SHAPES[shape], os.urandom(40 * STEP + 3)
    ether = Ether(dst=guest.mac, src=tap.mac)
    tap.send_large(*super_frame(ether, layers, payload), STEP)
    assert take(guest.frames(), guest, 1) == [bytes(build(ether, layers, payload))]
    ether = Ether(dst=tap.mac, src=guest.mac)
    guest.send(super_frame(ether, layers, payload)[0])
    tags = sum(4 for layer in layers if isinstance(layer, Dot1Q))
    step = 1514 + tags - len(bytes(build(ether, layers, b"")))
    wanted = [segment(ether, layers, payload, at, step) for at in range(0, len(payload), step)]
    assert take(tap.frames(), tap, len(wanted)) == wanted


# Joining: the frames of three segments, and how many of them may come as one


def three(change=None, which=(1,), ip=ip4, vlan=None):
    """A function of the Ethernet header that makes three segments; change() goes over which."""
    def make(ether):
        made = []
        for number in range(3):
            head = ether.copy() / vlan.copy() if vlan else ether.copy()
            packet = head / ip() / tcp(options=STAMPED) / Raw(bytes([65 + number]) * STEP)
            packet[TCP].seq = (packet[TCP].seq + number * STEP) % 2**32
            if IP in packet:
                packet[IP].id = (packet[IP].id + number) % 2**16
            changed = change(packet) if change and number in which else None
            made.append(bytes(changed or packet))
        return made
    return make


def field(layer, **values):
    def change(packet):
        for name, value in values.items():
            setattr(packet[layer], name, value)
    return change


def carrying(data):
    def change(packet):
        packet[TCP].remove_payload()
        return packet / Raw(data) if data else packet
    return change


def in_order(*order):
    plain = three()
    return lambda ether: [plain(ether)[number] for number in order]


def option_header():
    return ip6() / IPv6ExtHdrHopByHop(options=[RouterAlert()])


STAMPED_LATER = [("NOP", None), ("NOP", None), ("Timestamp", (12346, 6789))]
APART, WHOLE = [1, 1, 1], [3]
JOINING = {
    "in a row": (three(), WHOLE),
    "in a row, IPv6": (three(ip=ip6), WHOLE),
    "with options of IP": (three(field(IP, options=[IPOption_Router_Alert()]), range(3)), WHOLE),
    "with an extension header": (three(ip=option_header), APART),
    "PSH": (three(field(TCP, flags="AP")), [2, 1]),
    "FIN": (three(field(TCP, flags="AF")), APART),
    "SYN": (three(field(TCP, flags="AS")), APART),
    "RST": (three(field(TCP, flags="AR")), APART),
    "URG": (three(field(TCP, flags="AU", urgptr=9)), APART),
    "ECE": (three(field(TCP, flags="AE")), APART),
    "CWR": (three(field(TCP, flags="AC")), APART),
    "no ACK": (three(field(TCP, flags="")), APART),
    "congestion marked": (three(field(IP, tos=3)), APART),
    "congestion marked, IPv6": (three(field(IPv6, tc=3), ip=ip6), APART),
    "another flow label": (three(field(IPv6, fl=9), ip=ip6), APART),
    "another TTL": (three(field(IP, ttl=9)), APART),
    "another window": (three(field(TCP, window=9)), APART),
    "another acknowledgement": (three(field(TCP, ack=9)), APART),
    "another timestamp": (three(field(TCP, options=STAMPED_LATER)), APART),
    "other options": (three(field(TCP, options=[])), APART),
    "another flow": (three(field(TCP, sport=9)), APART),
    "a gap": (three(field(TCP, seq=2**31)), APART),
    "DF on one only": (three(field(IP, flags="DF")), APART),
    "a fragment": (three(field(IP, flags="MF")), APART),
    "a wrong checksum": (three(field(TCP, chksum=1)), APART),
    "a wrong checksum, IPv6": (three(field(TCP, chksum=1), ip=ip6), APART),
    "a wrong checksum of IP": (three(field(IP, chksum=1)), APART),
    "padding": (three(lambda packet: Ether(bytes(packet)) / Raw(b"pad")), APART),
    "shorter": (three(carrying(b"short")), [2, 1]),
    "empty": (three(carrying(b"")), APART),
    "out of order": (in_order(0, 2, 1), APART),
    "twice": (in_order(0, 0, 1), [1, 2]),
}
VLANS = {
    "tagged": three(vlan=Dot1Q(vlan=5)),
    "another tag": three(field(Dot1Q, vlan=6), vlan=Dot1Q(vlan=5)),
}


def send_at_once(guest, frames):
    """So that the adapter reads them at once; a datagram socket has no such thing."""
    if isinstance(guest, StreamWire):
        guest.socket.sendall(stream_of(*frames))
        return
    for frame in frames:
        guest.send(frame)


@pytest.mark.parametrize("backend", WIRES)
def test_segments_arrive_as_they_were_sent(port, backend):
    """At a tap without offload, where the kernel cuts again what was joined."""
    tap, guest = pair(port, backend)
    ether = Ether(dst=tap.mac, src=guest.mac)
    for name, make in {**{name: make for name, (make, _) in JOINING.items()}, **VLANS}.items():
        frames = make(ether)
        send_at_once(guest, frames)
        assert take(tap.frames(), tap, 3) == frames, name


@pytest.mark.parametrize("name", JOINING)
def test_what_is_joined(port, name):
    """At a tap with offload, which gets what was joined as it is."""
    tap, guest = pair(port, "stream")
    tap.accept_large()
    make, wanted = JOINING[name]
    frames = make(Ether(dst=tap.mac, src=guest.mac))
    send_at_once(guest, frames)
    got = take(tap.large_frames(), tap, len(wanted))
    pieces = [-(-len(carried(frame)) // step) if step else 1 for step, frame in got]
    assert pieces == wanted
    assert b"".join(carried(frame) for _, frame in got) == b"".join(map(carried, frames))


def carried(frame):
    packet = Ether(frame)
    return bytes(packet[TCP].payload) if TCP in packet else b""


# What no frame is, and guests that don't read


@pytest.mark.parametrize("backend", ["datagram", "datagram_next"])
def test_datagrams_that_are_no_frames(port, backend):
    tap, guest = pair(port, backend)
    for size in (0, 1, 13, 1519, 9000, 65535, 65536, 100000):
        guest.send(os.urandom(size))
        guest.send(b"")
        assert passes(guest, tap) and passes(tap, guest), size


@pytest.mark.parametrize("length", [0, 1, 70000, 2**31, 2**32 - 1])
def test_lengths_that_no_frame_has(port, length):
    """What can't be a length ends the stream; the others go on."""
    (tap, guest), other = pair(port, "stream"), port("stream")
    guest.socket.sendall(struct.pack("!I", length) + os.urandom(100))
    assert guest.ended()
    assert passes(other, tap) and passes(tap, other)


@pytest.mark.parametrize("backend", WIRES)
def test_a_guest_that_does_not_read(port, backend):
    """It loses frames, and nobody else does. When it reads again it is there again."""
    (tap, guest), other = pair(port, backend), port(backend)
    assert passes(other, tap)  # the bridge learns where it is
    for _ in range(5000):
        tap.send(ethernet(guest.mac, tap.mac, EXPERIMENT, bytes(1486)))
    assert passes(tap, other) and passes(other, tap) and passes(guest, tap)
    whole = [frame for frame in guest.frames(QUIET) if frame.startswith(mac_bytes(guest.mac))]
    assert 0 < len(whole) < 5000 and {len(frame) for frame in whole} == {1500}
    assert passes(tap, guest) and passes(guest, tap)
