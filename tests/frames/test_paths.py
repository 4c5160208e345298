# SPDX-License-Identifier: Apache-2.0
"""The paths at which hypervisors connect by themselves: net/NAME/stream.sock and datagram.sock. The
guests here speak the wires of QEMU, libkrun, vfkit, Lima and socket_vmnet.
"""

import contextlib
import itertools
import os
import signal
import socket
import struct

import lib
import pytest
from host import BROADCAST, DatagramHost, Host, StreamHost  # first: it skips without scapy
from peer import LIMIT, Peer, Refused, ethernet

pytestmark = [pytest.mark.engine, pytest.mark.limit(60)]

EXPERIMENT = 0x88B5  # an EtherType for local experiments (IEEE 802)
UNKNOWN = "00:00:00:00:00:00"
QUIET = 0.3  # seconds in which a frame that is not to come would have come
numbers = itertools.count(1)


@pytest.fixture
def run(site):
    """A network that runs, and its folder."""
    site.vmlan("up", "shared")
    return site.runtime / "net/shared"


@pytest.fixture
def stack():
    with contextlib.ExitStack() as one:
        yield one


@pytest.fixture
def stream(run, stack):
    """stream() is a new guest at stream.sock."""
    def make(mac=None):
        return stack.enter_context(StreamHost.connect(run / "stream.sock", mac or new_mac()))
    return make


@pytest.fixture
def datagram(site, run, stack):
    """datagram() is a new client of datagram.sock, with a path of its own."""
    def make(mac=None, path=None, greeting=b"", **how):
        own = path or site.root / "tmp" / f"guest-{next(numbers)}.sock"
        guest = stack.enter_context(DatagramHost(run / "datagram.sock", own, mac or new_mac(),
                                                 **how))
        site.user.own(own)
        if greeting:
            guest.send(greeting)
        return guest
    return make


@pytest.fixture
def tap(site, stack):
    def make(**parameters):
        return stack.enter_context(Host.attach(site.runtime / "broker.sock", "shared",
                                               **parameters))
    return make


def new_mac():
    number = next(numbers)
    return f"52:54:00:cc:{number >> 8:02x}:{number & 255:02x}"


def ports(site):
    """MAC address -> port, of the network."""
    return {port["mac"]: port for one in site.json("ls") for port in one["ports"]}


def wait_ports(site, *macs):
    lib.wait_until(lambda: set(ports(site)) == set(macs), LIMIT, f"ports {macs}")


def frame(source, destination=BROADCAST, size=60):
    return ethernet(destination, source, EXPERIMENT, os.urandom(size - 14))


def passes(sender, receiver, size=60):
    """Whether a frame for the receiver arrives."""
    data = frame(sender.mac, receiver.mac, size)
    sender.send(data)
    return receiver.find(lambda got: got == data or None)


def reaches(sender, receiver):
    """Passes, sooner or later: a role has just been killed."""
    return lib.wait_until(lambda: passes_soon(sender, receiver), LIMIT, "a frame's way")


def passes_soon(sender, receiver):
    data = frame(sender.mac, receiver.mac)
    sender.send(data)
    return receiver.find(lambda got: got == data or None, QUIET)


def kill(site, *names):
    pids = [one.pid for one in site.processes() if one.name in names]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    assert not lib.wait_gone(pids, 5)


# Stream


@pytest.mark.sanitized
def test_a_stream_guest_gets_an_address(site, stream, tap):
    guest, other = stream(), tap()
    wait_ports(site, UNKNOWN, other.mac)
    guest.lease("streamer")
    other.lease()
    assert passes(other, guest, 1514) and passes(guest, other, 1514)
    port = ports(site)[guest.mac]
    assert port["addresses"] == [guest.ip] and port["pid"] == os.getpid()
    assert port["backend"] == "stream" and port["name"] == "streamer"


def test_many_stream_guests_and_each_end(site, stream):
    guests = [stream() for _ in range(12)]
    for guest in guests:
        guest.send(frame(guest.mac))
    wait_ports(site, *(guest.mac for guest in guests))
    assert all(passes(one, other) for one, other in zip(guests, guests[1:]))
    for guest in guests:
        guest.close()
    wait_ports(site)


def test_guests_that_all_speak_at_once(site, stream, datagram):
    """More than a forwarder may ask of its holder at a time."""
    guests = [stream() for _ in range(90)] + [datagram() for _ in range(20)]
    holder = [one.pid for one in site.processes() if one.name == "vmlan-holder"]
    wait_ports(site, UNKNOWN)
    for number in (signal.SIGSTOP, signal.SIGCONT):
        for pid in holder:
            os.kill(pid, number)
        if number == signal.SIGSTOP:
            for guest in guests:
                guest.send(frame(guest.mac))
    wait_ports(site, *(guest.mac for guest in guests))


def test_a_stream_guest_that_only_listens(site, stream, tap):
    """Frames reach it before it has said who it is."""
    guest, other = stream(), tap()
    wait_ports(site, UNKNOWN, other.mac)
    data = frame(other.mac)
    lib.wait_until(lambda: (other.send(data), guest.find(lambda got: got == data or None, QUIET))[1],
                   what="a broadcast")
    assert UNKNOWN in ports(site)


def test_a_mac_address_of_another_port(site, stream, tap):
    """As with Attach, the second one gets no place, and the first keeps its own."""
    owner, other = tap(), tap()
    guest = stream(owner.mac)
    guest.send(frame(guest.mac))
    assert guest.ended()
    wait_ports(site, owner.mac, other.mac)
    assert passes(other, owner) and passes(owner, other)
    late = stream()
    late.send(frame(late.mac))
    wait_ports(site, owner.mac, other.mac, late.mac)
    with pytest.raises(Refused) as refused:
        tap(mac=late.mac)
    assert refused.value.field == "Attach.mac"


@pytest.mark.sanitized
@pytest.mark.parametrize("data", [b"\xff" * 64, struct.pack("!I", 70000)])
def test_garbage_ends_only_its_own_stream(site, stream, data):
    good, bad = stream(), stream()
    good.send(frame(good.mac))
    wait_ports(site, good.mac, UNKNOWN)
    bad.socket.sendall(data + bytes(100))
    assert bad.ended()
    good.lease()


def test_split_and_joined_frames(stream, tap):
    guest, other = stream(), tap()
    one, two = frame(guest.mac, other.mac, 100), frame(guest.mac, other.mac, 1514)
    data = b"".join(struct.pack("!I", len(each)) + each for each in (one, two, one))
    for at in range(0, len(data), 37):
        guest.socket.sendall(data[at:at + 37])
    found = []
    other.find(lambda got: (found.append(got) if got in (one, two) else None,
                            True if len(found) == 3 else None)[1])
    assert found == [one, two, one]


def test_stream_of_another_user(site, run):
    """Its mode keeps others out; where somebody opened it to all, the forwarder looks again."""
    if os.geteuid() != 0:
        pytest.skip("only root can act as another user")
    path = run / "stream.sock"
    assert path.stat().st_mode & 0o777 == 0o600
    for each in (path, *path.parents):
        if site.root in (each, *each.parents):
            each.chmod(0o777)
    other = site.user.uid + 1
    connection = socket.socket(socket.AF_UNIX)
    os.seteuid(other)
    try:
        connection.connect(str(path))
    finally:
        os.seteuid(0)
        site.runtime.chmod(0o700)
    guest = StreamHost(connection, new_mac())
    assert guest.ended()
    guest.close()
    wait_ports(site)
    assert f"refused a connection of uid {other}" in site.log()


# connect-fd

# A guest of two frames: asks who the gateway is (RFC 5227) and prints the answer's source.
SPEAKER = """
import socket, struct, sys
mac = bytes.fromhex(sys.argv[1])
wire = socket.socket(fileno=3)
assert wire.family == socket.AF_UNIX and wire.type == socket.SOCK_STREAM
ask = (bytes(6 * [255]) + mac + struct.pack("!HHHBBH", 0x806, 1, 0x800, 6, 4, 1) + mac + bytes(10)
       + socket.inet_aton("192.168.107.1"))
wire.sendall(struct.pack("!I", len(ask)) + ask)
read = wire.makefile("rb")
while (frame := read.read(struct.unpack("!I", read.read(4))[0]))[12:14] != b"\\x08\\x06":
    pass
print(frame[6:9].hex(":"), flush=True)
sys.stdin.read()
"""


@pytest.mark.sanitized
@pytest.mark.parametrize("dashes", [["--"], []])
@pytest.mark.parametrize("where", ["shared", "path"])
def test_connect_fd(site, run, where, dashes):
    mac = new_mac()
    network = run / "stream.sock" if where == "path" else where
    child = site.popen("connect-fd", network, *dashes, "python3", "-c", SPEAKER,
                       mac.replace(":", ""), stdin=-1)
    assert child.stdout.readline() == "52:55:56\n"
    port = ports(site)[mac]
    assert port["backend"] == "stream" and port["pid"] == child.pid
    child.communicate(timeout=LIMIT)
    assert child.returncode == 0
    wait_ports(site)


def test_connect_fd_with_wishes(site, run):
    """Name and address are the guest's whose first frame that will be."""
    child = site.popen("connect-fd", "shared,tso=on", "--name", "wisher", "--ip", "192.168.107.77",
                       "--", "cat", stdin=-1)
    lib.wait_until(lambda: UNKNOWN in ports(site), LIMIT, "the port")
    assert ports(site)[UNKNOWN]["name"] == "wisher"
    child.communicate()
    wait_ports(site)


def test_a_reservation_for_the_first_frame(site, run, stack):
    with Peer(site.runtime / "broker.sock") as peer:
        port, (fd,) = peer.attach("shared", backend="stream", learnMac=True, name="learnt",
                                  ip="192.168.107.78")
    assert port["mac"] == UNKNOWN
    guest = stack.enter_context(StreamHost(socket.socket(fileno=fd), new_mac()))
    assert guest.lease("something-else")["address"] == "192.168.107.78"
    assert ports(site)[guest.mac]["name"] == "learnt"


def test_connect_fd_keeps_the_descriptor_of_a_command_that_runs_another(site, run):
    done = site.vmlan("connect-fd", "shared,mac=52:54:00:cd:00:01", "sh", "-c",
                      "readlink /proc/self/fd/3; exit 7", check=False)
    assert done.returncode == 7 and done.stdout.startswith("socket:")


# Datagrams

GREETING = b"VFKT"  # what vfkit and, where it is told to, libkrun send first
WIRES = pytest.mark.parametrize("how", [{}, {"greeting": GREETING}, {"connected": False}],
                                ids=["libkrun", "greeting", "qemu"])


@pytest.mark.sanitized
@WIRES
def test_a_datagram_guest_gets_an_address(site, datagram, tap, how):
    """Its first datagram may be a greeting or a frame, which counts."""
    guest, other = datagram(**how), tap()
    guest.lease("gram")
    other.lease()
    assert passes(other, guest, 1514) and passes(guest, other, 1514)
    port = ports(site)[guest.mac]
    assert port["addresses"] == [guest.ip] and port["backend"] == "datagram"


def test_the_first_frame_counts(datagram, tap):
    other = tap()
    for how in ({}, {"greeting": GREETING}):
        guest = datagram(**how)
        data = frame(guest.mac)
        guest.send(data)
        assert other.find(lambda got: got == data or None)


def test_a_greeting_alone_makes_a_port(site, datagram):
    guest = datagram(greeting=GREETING)
    wait_ports(site, UNKNOWN)
    guest.lease()
    wait_ports(site, guest.mac)


@WIRES
def test_many_datagram_guests(site, datagram, how):
    guests = [datagram(**how) for _ in range(8)]
    for guest in guests:
        guest.send(frame(guest.mac))
    wait_ports(site, *(guest.mac for guest in guests))
    assert all(passes(one, other) for one, other in zip(guests, guests[1:]))


@WIRES
def test_a_datagram_guest_that_vanishes(site, datagram, how):
    """Whether or not anybody sends to it; its path stays behind, as libkrun's does. The next one
    there is a new guest."""
    guest, other = datagram(**how), datagram(**how)
    for each in (guest, other):
        each.send(frame(each.mac))
    wait_ports(site, guest.mac, other.mac)
    guest.close()
    wait_ports(site, other.mac)
    guest.own.unlink()
    again = datagram(path=guest.own, **how)
    again.lease()
    wait_ports(site, other.mac, again.mac)
    assert passes(other, again)


@pytest.mark.sanitized
@WIRES
def test_a_datagram_guest_that_never_reads(site, datagram, tap, how):
    """The others go on, also when it sends. What it did not read is dropped at its own place."""
    deaf, guest, other = datagram(**how), datagram(), tap()
    for each in (deaf, guest):
        each.send(frame(each.mac))
    wait_ports(site, deaf.mac, guest.mac, other.mac)
    for _ in range(3000):
        other.send(frame(other.mac, deaf.mac, 1514))
    deaf.send(frame(deaf.mac))
    for _ in range(50):
        assert passes(other, guest, 1514) and passes(guest, other)


@pytest.mark.sanitized
def test_odd_datagrams(site, datagram, tap):
    guest, other = datagram(), tap()
    for data in (b"", b"V", b"VFKS", b"VFKTVFKT", bytes(13)):
        guest.send(data)
    assert set(ports(site)) == {other.mac}, "none of these is a guest"
    guest.send(frame(guest.mac))
    wait_ports(site, guest.mac, other.mac)
    for data in (b"", GREETING, b"x", bytes(14), os.urandom(1515), os.urandom(65000),
                 os.urandom(100000)):
        guest.send(data)
    assert passes(guest, other, 1514) and passes(other, guest, 1514)


def test_a_datagram_client_without_a_path(site, run, datagram):
    """It can't be answered; that is said once."""
    for name in ("", "\0autobound"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
            if name:
                one.bind(name)
            one.connect(str(run / "datagram.sock"))
            for _ in range(3):
                one.send(frame(new_mac()))
    guest = datagram()
    guest.lease()
    wait_ports(site, guest.mac)
    assert site.log().count("can't be answered") == 1


def test_a_datagram_guest_with_the_mac_address_of_another(site, datagram, tap):
    owner, guest = tap(), datagram()
    thief = datagram(owner.mac)
    for _ in range(3):
        thief.send(frame(thief.mac))
    guest.lease()
    wait_ports(site, owner.mac, guest.mac)
    assert passes(guest, owner) and passes(owner, guest)
    for _ in range(3):
        thief.send(frame(thief.mac))
    assert passes(guest, owner)
    wait_ports(site, owner.mac, guest.mac)


# The life of the paths


def test_paths_over_the_life_of_a_network(site, tap):
    folder = site.runtime / "net/shared"
    paths = [folder / "stream.sock", folder / "datagram.sock"]
    site.config("vmnet:\n  shared: {linger: 0}\n  other: {}\n")
    site.vmlan("up", "other")
    guest = tap(configuration={"linger": 0})
    assert all(path.is_socket() for path in paths), "in use"
    site.vmlan("up", "shared")
    guest.close()
    wait_ports(site)
    assert all(path.is_socket() for path in paths), "pinned"
    site.vmlan("down", "shared")
    assert not folder.exists()
    tap(configuration={"linger": 0}).close()
    lib.wait_until(lambda: not folder.exists(), LIMIT, "the end of an unused network")


@pytest.mark.parametrize("roles", [("vmlan-broker",), ("vmlan-holder",), ("vmlan-forward",),
                                   ("vmlan-broker", "vmlan-holder")])
def test_a_role_is_killed(site, stream, datagram, roles):
    before = [stream(), datagram(), datagram(connected=False), stream()]
    for guest in before[:3]:
        guest.lease()
    kill(site, *roles)
    site.json("ls")  # whoever is missing is started again
    after = [stream(), datagram()]
    for guest in after:
        guest.lease()
    for guest in before[:3]:
        assert reaches(guest, after[0]) and reaches(after[1], guest)
    before[3].lease()
    wait_ports(site, *(guest.mac for guest in (*before, *after)))


def test_a_connection_that_waits_for_the_next_holder(site, stream):
    """The broker keeps the socket, so who connects in between is taken later."""
    first = stream()
    first.lease()
    broker = [one.pid for one in site.processes() if one.name == "vmlan-broker"]
    for pid in broker:
        os.kill(pid, signal.SIGSTOP)
    try:
        kill(site, "vmlan-holder")
        guest = stream()
    finally:
        for pid in broker:
            os.kill(pid, signal.SIGCONT)
    guest.lease()
    assert passes(first, guest)
