# SPDX-License-Identifier: Apache-2.0
"""The broker as programs meet it: raw sockets and JSON, without any of vmlan's own client code.

All tests share one broker with one network, "shared"; each proves that it left the broker as it
was: the same process with the same networks and as many descriptors open.
"""

import contextlib
import fcntl
import json
import os
import socket
import struct
import threading
import time
from pathlib import Path

import lib
import pytest
import wrong
from peer import BROKER, FDS_MAX, LIMIT, SERVICE, VNET_HEADER, Guest, Peer, Refused, \
    ethernet, text

pytestmark = [pytest.mark.engine, pytest.mark.limit(60)]

TUNGETIFF = 0x800454D2
IFF_TAP, IFF_MULTI_QUEUE, IFF_NO_PI, IFF_VNET_HDR = 0x0002, 0x0100, 0x1000, 0x4000
PEERS_MAX = 512


class Broker:
    """The broker under test and its figures."""

    def __init__(self, site):
        self.site, self.path = site, site.runtime / "broker.sock"

    def peer(self):
        return Peer(self.path)

    def call(self, method, parameters=None):
        with self.peer() as peer:
            return peer.call(method, parameters)

    def networks(self):
        return self.call("List")["networks"]

    def port_count(self):
        return len(self.networks()[0]["ports"])

    @property
    def pid(self):
        (one,) = [p.pid for p in self.site.processes() if p.name == "vmlan-broker"]
        return one

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def memory(self):
        """KiB that are this process's own."""
        for line in Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Private_Dirty:"):
                return int(line.split()[1])
        raise AssertionError("no Private_Dirty")

    def figures(self):
        return self.pid, self.descriptors()


@pytest.fixture(scope="module")
def site(file_site):
    file_site.vmlan("up", "shared")
    return file_site


@pytest.fixture
def broker(site):
    """The broker; after the test it is as it was before."""
    one = Broker(site)
    lib.wait_until(lambda: not one.port_count(), LIMIT, "the end of earlier ports")
    figures, networks = one.figures(), one.networks()
    listed = site.vmlan("ls").stdout
    yield one
    lib.wait_until(lambda: one.networks() == networks, LIMIT, "the networks as they were")
    lib.wait_until(lambda: one.figures() == figures, LIMIT, "process and descriptors as before")
    assert site.vmlan("ls").stdout == listed


@contextlib.contextmanager
def acting_as(uid, gid):
    """What is done here (connect, open) is done by that user, as far as the kernel can tell."""
    if os.geteuid() != 0:
        pytest.skip("only root can be another user")
    os.setegid(gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@contextlib.contextmanager
def pipes(count):
    """Some descriptors to send."""
    ends = [end for _ in range((count + 1) // 2) for end in os.pipe()]
    try:
        yield ends[:count]
    finally:
        for end in ends:
            os.close(end)


# Wrong messages


def send_wrong(broker, case):
    """The answer to a wrong message, and whether the connection goes on."""
    with broker.peer() as peer, pipes(case.fds) as fds:
        with contextlib.suppress(BrokenPipeError):  # it may be refused before its end
            peer.send(case.data, fds)
        with pytest.raises(Refused) as refused:
            peer.reply()
        if case.closes:
            assert peer.closed()
        else:
            assert peer.call(f"{SERVICE}.GetInfo")["product"] == "vmlan"
        return refused.value


@pytest.mark.sanitized
@pytest.mark.parametrize("case", wrong.TABLE, ids=lambda case: case.title.replace(" ", "-"))
def test_wrong_message(broker, case):
    answer = send_wrong(broker, case)
    assert (answer.name, answer.field) == (case.error, case.field)
    for found, expected in ((answer.reason, case.reason), (answer.hint, case.hint)):
        begin, dots, _ = expected.partition("…")
        assert found.startswith(begin) if dots else found == expected


def test_wrong_messages_cost_nothing(broker):
    """What is lost with a message grows with every round; what the heap keeps for the longest one
    comes once or twice."""
    figures = []
    for _ in range(5):
        for case in wrong.TABLE * 5:
            send_wrong(broker, case)
        figures.append(broker.memory())
    growth = [after - before for before, after in zip(figures, figures[1:])]
    assert min(growth) <= 16, f"KiB in each of four rounds: {growth}"


@pytest.mark.sanitized
def test_standard_errors_name_their_fields(broker):
    """What org.varlink.service says there is in its errors, besides ours."""
    for method, error, key, value in [
            ("com.example.Go", "InterfaceNotFound", "interface", "com.example"),
            (f"{BROKER}.Go", "MethodNotFound", "method", f"{BROKER}.Go"),
            (5, "InvalidParameter", "parameter", "method")]:
        with broker.peer() as peer, pytest.raises(Refused) as refused:
            peer.send(text({"method": method}))
            peer.reply()
        assert refused.value.name == f"{SERVICE}.{error}"
        assert refused.value.parameters[key] == value


@pytest.mark.sanitized
def test_message_cut_off(broker):
    with broker.peer() as peer:
        peer.send(b'{"method":"org.varlink.service.GetInfo"}')
        peer.socket.shutdown(socket.SHUT_WR)
        assert peer.closed()


def test_error_nobody_asked_for_is_not_answered(broker):
    """An answer would be answered in turn, for ever."""
    with broker.peer() as peer:
        peer.send(text({"error": "com.example.Failed", "parameters": {}}))
        assert peer.closed()


@pytest.mark.sanitized
def test_oneway_is_not_answered_even_when_wrong(broker):
    with broker.peer() as peer:
        for flags in ({}, {"more": True}, {"extra": 1}):
            peer.request("List", oneway=True, **flags)
        peer.request("Destroy", oneway=True)
        assert "product" in peer.call(f"{SERVICE}.GetInfo")


# Messages in pieces and rows


@pytest.mark.sanitized
def test_message_byte_by_byte(broker):
    with broker.peer() as peer:
        for byte in text({"method": f"{SERVICE}.GetInfo"}):
            peer.send(bytes([byte]))
        assert peer.reply()[0]["parameters"]["product"] == "vmlan"


@pytest.mark.sanitized
def test_requests_are_answered_in_their_order(broker):
    with broker.peer() as peer:
        for method in ("List", f"{SERVICE}.GetInfo", "List", "Destroy", "List"):
            peer.request(method)
        assert "networks" in peer.reply()[0]["parameters"]
        assert "product" in peer.reply()[0]["parameters"]
        assert "networks" in peer.reply()[0]["parameters"]
        with pytest.raises(Refused):
            peer.reply()
        assert "networks" in peer.reply()[0]["parameters"]


# Who may ask


@contextlib.contextmanager
def opened(broker):
    """The socket where every user can reach it, which vmlan never does."""
    paths = [broker.site.root, broker.site.runtime, broker.path]
    modes = [path.stat().st_mode for path in paths]
    for path in paths:
        path.chmod(0o777)
    try:
        yield
    finally:
        for path, mode in zip(paths, modes):
            path.chmod(mode)


OTHER = 45454  # nobody's uid


@pytest.mark.sanitized
def test_another_user_is_refused_unheard(broker):
    with opened(broker), acting_as(OTHER, OTHER):
        peer = broker.peer()
    with peer:
        with pytest.raises(Refused) as refused:
            peer.reply()  # nothing was sent
        assert refused.value.name == f"{BROKER}.PermissionDenied"
        assert refused.value.parameters == {
            "reason": "this broker serves another user",
            "hint": "run vmlan as that user, or start a network of your own"}
        assert peer.closed()


def test_another_user_is_refused_with_every_message(broker):
    for case in wrong.TABLE[:20]:
        with opened(broker), acting_as(OTHER, OTHER):
            peer = broker.peer()
        with peer:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                peer.send(case.data)
            with pytest.raises(Refused) as refused:
                peer.reply()
            assert refused.value.name == f"{BROKER}.PermissionDenied"


def test_another_user_does_not_reach_the_socket(broker):
    with acting_as(OTHER, OTHER), pytest.raises(PermissionError):
        broker.peer()
    assert broker.site.runtime.stat().st_mode & 0o777 == 0o700


def test_the_user_is_served(broker):
    user = broker.site.user
    with acting_as(user.uid, user.gid):
        peer = broker.peer()
    with peer:
        assert peer.call("List")["networks"][0]["network"] == "shared"


ACQUIRE = """
import sys
try:
    Peer(sys.argv[1]).call("Acquire", {"network": "shared"})
except Refused as refused:
    print(json.dumps([refused.name, refused.parameters]))
"""


def test_acquire_is_for_the_same_executable(broker):
    """The namespaces go to vmlan itself, not to any program of the same user."""
    source = (lib.TOP / "tests" / "peer.py").read_text() + ACQUIRE
    name, parameters = json.loads(
        broker.site.run("/usr/bin/python3", "-", broker.path, input=source).stdout)
    assert name == f"{BROKER}.PermissionDenied"
    assert parameters == {
        "reason": "the namespaces of a network are handed only to the vmlan that runs this broker "
                  "and to programs listed under clients: in networks.yaml",
        "hint": "use vmlan exec, or list the program; if vmlan was upgraded: vmlan service "
                "restart"}
    assert broker.site.vmlan("exec", "shared", "--", "echo", "here").stdout == "here\n"


# Peers that behave badly


def test_flood_of_connections(broker):
    """The first are served, the others told; nobody waits, nothing stays."""
    peers = []
    try:
        for _ in range(600):
            peers.append(broker.peer())
        refused = 0
        for peer in reversed(peers):
            with contextlib.suppress(BrokenPipeError):
                peer.request(f"{SERVICE}.GetInfo")
            try:
                assert "product" in peer.reply()[0]["parameters"]
            except Refused as answer:
                refused += 1
                assert answer.name == f"{BROKER}.LimitReached"
                assert answer.parameters == {"reason": "too many connections to this broker",
                                             "hint": "close some and try again"}
        assert refused == 600 - PEERS_MAX
        assert peers[0].call("List")["networks"][0]["state"] == "running"
    finally:
        for peer in peers:
            peer.close()


@pytest.mark.sanitized
def test_many_ask_at_once(broker):
    """More than the broker may have asked the holder at a time: the others wait their turn."""
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(broker.peer()) for _ in range(150)]
        for peer in peers:
            peer.request("Attach", {"network": "shared"})
        names = set()
        for peer in peers:
            message, (fd,) = peer.reply()
            stack.callback(os.close, fd)
            names.add(message["parameters"]["port"])
        assert len(names) == broker.port_count() == 150


def test_peer_that_never_reads(broker):
    """Its requests stay in its own socket; others are served meanwhile; it misses nothing."""
    message = text({"method": f"{BROKER}.List", "parameters": {}})
    with broker.peer() as deaf:
        deaf.socket.setblocking(False)
        sent = 0
        before = broker.memory()
        with contextlib.suppress(BlockingIOError):
            while True:
                sent += deaf.socket.send(message * 20)
        for _ in range(20):
            assert broker.call("List")["networks"]
        assert broker.memory() - before < 512, "KiB kept for a peer that does not read"
        deaf.socket.settimeout(LIMIT)
        for _ in range(sent // len(message)):
            assert "networks" in deaf.reply()[0]["parameters"]


@pytest.mark.sanitized
def test_peer_that_disappears(broker):
    """A port that nobody is there to take is given back."""
    for request in ({"network": "shared"}, {"network": "shared", "queues": 16},
                    {"network": "shared", "backend": "namespace"}):
        for _ in range(5):
            with broker.peer() as peer:
                peer.request("Attach", request)
            with broker.peer() as peer:  # a request and a half
                peer.request("Attach", request)
                peer.send(b'{"method":')
    for method in ("List", "Inspect"):
        with broker.peer() as peer:
            peer.request(method, {"network": "shared"} if method == "Inspect" else {})
    with broker.peer() as peer:
        peer.request("Leases", {"network": "shared"}, more=True)


# Ports


def tap_of(fd):
    """Name and flags of the tap device behind a descriptor."""
    name, flags = struct.unpack("16sH", fcntl.ioctl(fd, TUNGETIFF, bytes(18 + 22))[:18])
    return name.rstrip(b"\0").decode(), flags


@pytest.fixture
def own():
    """Closes the descriptors it is given."""
    with contextlib.ExitStack() as stack:
        def keep(fds):
            for fd in fds:
                stack.callback(os.close, fd)
            return fds
        yield keep


def vhost_count(broker, queues):
    user = broker.site.user
    return queues if user.can("sh", "-c", "exec 3<>/dev/vhost-net") else 0


@pytest.mark.sanitized
@pytest.mark.parametrize("queues", [1, 2, 16])
def test_tap(broker, own, queues):
    with broker.peer() as peer:
        port, fds = peer.attach("shared", queues=queues)
    own(fds)
    vhost = vhost_count(broker, queues)
    assert port["fds"] == list(range(queues))
    assert port["vhostFds"] == list(range(queues, queues + vhost))
    assert len(fds) == queues + vhost <= FDS_MAX
    flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (IFF_MULTI_QUEUE if queues > 1 else 0)
    for fd in fds[:queues]:
        name, found = tap_of(fd)
        assert name == port["port"]
        assert found & flags == flags
        assert bool(found & IFF_MULTI_QUEUE) == (queues > 1)
        assert os.get_blocking(fd) is False


def test_what_attach_replies(broker, own):
    with broker.peer() as peer:
        port, fds = peer.attach("shared", name="reply", mac="52:54:00:AA:00:01",
                                ip="192.168.107.77", configuration={"mtu": 9000, "dhcp": True})
    own(fds)
    gateway6 = port.pop("gateway6")
    assert gateway6.startswith("fd") and gateway6.endswith("::1")
    assert port == {
        "network": "shared", "port": "vm0", "backend": "tap", "mac": "52:54:00:aa:00:01",
        "mtu": 1500, "subnet": "192.168.107.0/24", "gateway": "192.168.107.1",
        "domain": "shared.internal", "dhcp": True, "ip": "192.168.107.77", "fds": [0],
        "vhostFds": list(range(1, len(fds))), "differs": ["mtu"]}
    (network,) = broker.networks()
    assert network["ports"] == [{"port": "vm0", "backend": "tap", "name": "reply",
                                 "mac": "52:54:00:aa:00:01", "addresses": [], "pid": os.getpid()}]


@pytest.mark.sanitized
def test_namespace(broker, own):
    with broker.peer() as peer:
        port, fds = peer.attach("shared", backend="namespace")
    user, net = own(fds)
    assert (port["backend"], port["fds"], port["vhostFds"]) == ("namespace", [0, 1], [])
    assert os.readlink(f"/proc/self/fd/{user}").startswith("user:[")
    assert os.readlink(f"/proc/self/fd/{net}").startswith("net:[")


def test_a_tap_outlives_its_connection_and_ends_with_its_descriptor(broker):
    with Guest.attach(broker.path, "shared") as guest:
        assert broker.port_count() == 1
        os.write(guest.fd, VNET_HEADER + bytes(60))
    start = time.monotonic()
    while broker.port_count():
        assert time.monotonic() - start < 0.1, "a closed tap is gone within 100 ms"


def test_a_tap_lives_as_long_as_any_copy(broker):
    guest = Guest.attach(broker.path, "shared")
    copy = os.dup(guest.fd)
    guest.close()
    assert broker.port_count() == 1
    os.close(copy)
    lib.wait_until(lambda: not broker.port_count(), LIMIT, "the port's end")


@pytest.mark.sanitized
def test_two_peers_without_a_library_exchange_frames(broker):
    with Guest.attach(broker.path, "shared") as one, Guest.attach(broker.path, "shared") as two:
        frame = ethernet(two.mac, one.mac, 0x88B5, b"words" * 20)
        one.send(frame)
        assert two.find(lambda found: found == frame or None)
        back = ethernet(one.mac, two.mac, 0x88B5, b"answer" * 20)
        two.send(back)
        assert one.find(lambda found: found == back or None)


@pytest.mark.parametrize("field,value,reason,hint", [
    ("mac", "52:54:00:aa:00:02", "port vm0 of first has the MAC address 52:54:00:aa:00:02 already",
     "give this guest a MAC address of its own"),
    ("name", "FIRST", "port vm0 has the name FIRST already", "choose another name"),
    ("ip", "192.168.107.78", "192.168.107.78 is reserved for another port",
     "choose another address, or leave ip out to have one chosen"),
])
def test_what_a_port_has_no_other_gets(broker, field, value, reason, hint):
    first = {"mac": "52:54:00:aa:00:02", "name": "first", "ip": "192.168.107.78"}
    with Guest.attach(broker.path, "shared", **first):
        with pytest.raises(Refused) as refused:
            Guest.attach(broker.path, "shared", **{field: value})
        assert refused.value.name == f"{BROKER}.Conflict"
        assert refused.value.parameters == {"field": f"Attach.{field}", "reason": reason,
                                            "hint": hint}
    lib.wait_until(lambda: not broker.port_count(), LIMIT, "the port's end")
    Guest.attach(broker.path, "shared", **{field: value}).close()


def test_macs_chosen_here_are_different(broker):
    with contextlib.ExitStack() as stack:
        macs = {stack.enter_context(Guest.attach(broker.path, "shared")).mac for _ in range(8)}
        assert len(macs) == 8
        assert all(mac.startswith("52:55:57:") for mac in macs)


# Networks


def test_inspect(broker):
    reply = broker.call("Inspect", {"network": "shared"})
    assert sorted(reply) == ["leases", "network", "rules", "services"]
    assert reply["network"] == broker.networks()[0]
    assert "dhcp-range=192.168.107.2,192.168.107.254" in reply["services"]
    assert "ip daddr 192.168.107.1 jump gateway" in reply["rules"]


def test_up_and_down(broker):
    with broker.peer() as peer:
        assert peer.call("Up", {"network": "host"}) == {"differs": []}
        assert peer.call("Up", {"network": "host", "configuration": {"mtu": 9000, "dhcp": True}}) \
            == {"differs": ["mtu"]}
        assert [one["network"] for one in peer.call("List")["networks"]] == ["shared", "host"]
        assert peer.call("Down", {"network": "host"}) == {}
        lib.wait_until(lambda: len(peer.call("List")["networks"]) == 1, LIMIT, "the end of host")


@pytest.mark.sanitized
def test_list_while_networks_end(broker):
    """Networks come and go below a List under way, which still gives whole answers."""
    over = threading.Event()
    problems = []

    def look():
        with broker.peer() as peer:
            while not over.is_set():
                networks = peer.call("List")["networks"]
                if networks[0]["network"] != "shared" or \
                        any(one["state"] != "running" for one in networks):
                    problems.append(networks)

    watchers = [threading.Thread(target=look) for _ in range(3)]
    for watcher in watchers:
        watcher.start()
    try:
        with broker.peer() as peer:
            for _ in range(8):
                peer.call("Up", {"network": "host"})
                peer.call("Down", {"network": "host"})
    finally:
        over.set()
        for watcher in watchers:
            watcher.join()
    assert not problems


def test_leases_with_more(broker):
    """The first reply comes at once, the next when something changes, and so on."""
    with broker.peer() as peer:
        peer.request("Leases", {"network": "shared"}, more=True)
        first, _ = peer.reply()
        assert first["continues"] is True
        known = {lease["address"] for lease in first["parameters"]["leases"]}
        broker.site.vmlan("join", "shared", "--name", "leaser", "--", "true")
        fresh = []
        while not fresh:
            message, _ = peer.reply()
            assert message["continues"] is True
            fresh = [lease for lease in message["parameters"]["leases"]
                     if lease["address"] not in known and "." in lease["address"]]
    (lease,) = fresh
    assert lease["name"] == "leaser"
    assert lease["mac"] and lease["expires"] > time.time()
    assert lease in broker.call("Leases", {"network": "shared"})["leases"]


def test_leases_of_what_does_not_run(broker):
    assert broker.call("Leases", {"network": "host"}) == {"leases": []}


# The service itself


@pytest.mark.sanitized
def test_what_the_service_says_of_itself(broker):
    with broker.peer() as peer:
        info = peer.call(f"{SERVICE}.GetInfo")
        assert info["vendor"] == info["product"] == "vmlan"
        assert info["interfaces"] == [SERVICE, BROKER]
        assert f"vmlan {info['version']}" in broker.site.vmlan("--version").stdout
        described = peer.call(f"{SERVICE}.GetInterfaceDescription", {"interface": BROKER})
        assert described["description"] == (lib.TOP / f"src/wire/{BROKER}.varlink").read_text()
        own = peer.call(f"{SERVICE}.GetInterfaceDescription", {"interface": SERVICE})
        assert "method GetInfo()" in own["description"]


def test_quit(site):
    """The broker ends, its network goes on, and the next broker finds it."""
    broker = Broker(site)
    pid, networks = broker.pid, broker.networks()
    with Guest.attach(broker.path, "shared") as one, Guest.attach(broker.path, "shared") as two:
        assert broker.call("Quit") == {}
        assert lib.wait_gone([pid], LIMIT) == []
        with pytest.raises((FileNotFoundError, ConnectionRefusedError)):
            broker.peer()
        one.send(ethernet(two.mac, one.mac, 0x88B5, bytes(60)))
        assert two.find(lambda frame: True)
        site.vmlan("ls")
        assert broker.pid != pid
        assert broker.port_count() == 2
    lib.wait_until(lambda: broker.networks() == networks, LIMIT, "the network as before")


def test_few_descriptors(vm_user, vmlan_bin, test_root):
    """Where few may be open, peers are fewer; the networks do not suffer."""
    with lib.Site(vm_user, vmlan_bin, test_root) as site:
        site.run("sh", "-c", "ulimit -n 40; exec vmlan up shared")
        broker = Broker(site)
        with contextlib.ExitStack() as stack:
            peers = [stack.enter_context(broker.peer()) for _ in range(60)]
            with pytest.raises(Refused) as refused:
                peers[-1].reply()
            assert refused.value.name == f"{BROKER}.LimitReached"
            port, fds = peers[0].attach("shared")
            os.close(fds[0])
        assert broker.networks()[0]["state"] == "running"
