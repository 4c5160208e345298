# SPDX-License-Identifier: Apache-2.0
"""Forwards as a process of the host uses them: kinds of address, ranges, UDP, names, and what they
survive. (What the command says is in tests/net/test_forward.py.)
"""

import contextlib

import pytest
from lib import wait_until
from netlib import kill, successor
from world import HOST

pytestmark = pytest.mark.engine

FORWARDER = "vmlan-forward"


@contextlib.contextmanager
def serving(world, seat):
    """A guest with an echo at ports 80 to 82 (TCP) and 53 (UDP)."""
    script = world.script("servers.py")
    seat.check(f"python3 {script} echo 0.0.0.0,:: 80 81 82 >$TMPDIR/tcp 2>&1 & tcp=$!")
    seat.check(f"python3 {script} udp 0.0.0.0,:: 53 >$TMPDIR/udp 2>&1 & udp=$!")
    try:
        seat.until("grep -q ready $TMPDIR/tcp && grep -q ready $TMPDIR/udp")
        yield seat
    finally:
        seat.run("kill $tcp $udp; wait")


@pytest.fixture
def alice(world, guest):
    with serving(world, guest(name="alice")) as seat:
        yield seat


def forward(site, *words):
    return site.vmlan("forward", "shared", *words)


def works(host, *actions):
    return host.probe(*actions) == [True if action[0] == "echo" else "echo" for action in actions]


@pytest.mark.sanitized
def test_every_kind_of_listening_address(site, host, alice):
    """Loopback of both families, another loopback address, one of the host's, and all of them."""
    forward(site, "add", "8001:alice:80", "127.0.0.2:8002:alice:80", f"{HOST[4]}:8003:alice:80",
            "0.0.0.0:8004:alice:80", "[::1]:8005:alice:80", f"[{HOST[6]}]:8006:alice:80",
            "[::]:8007:alice:80")
    assert works(host, ["echo", "127.0.0.1", 8001], ["echo", "127.0.0.2", 8002],
                 ["echo", HOST[4], 8003], ["echo", "127.0.0.3", 8004], ["echo", HOST[4], 8004],
                 ["echo", "::1", 8005], ["echo", HOST[6], 8006], ["echo", "::1", 8007],
                 ["echo", HOST[6], 8007])
    assert host.probe(["connect", "127.0.0.1", 8002], ["connect", "127.0.0.1", 8003],
                      ["connect", HOST[4], 8001]) == ["ECONNREFUSED"] * 3


def test_the_internet_reaches_what_listens_on_the_hosts_address(world, site, alice):
    forward(site, "add", f"{HOST[4]}:8010:alice:80")
    probe = world.script("probe.py")
    for port, wanted in ((8010, "connected"), (8011, "ECONNREFUSED")):
        seen = world.internet("python3", probe, f'[["connect", "{HOST[4]}", {port}]]').stdout
        assert seen == f'["{wanted}"]\n'


@pytest.mark.sanitized
def test_range_udp_and_addresses_of_guests(site, host, alice):
    forward(site, "add", "8020-8022:alice:80-82", "8023:alice:53/udp", "[::1]:8024:alice:53/udp",
            f"8025:{alice.address}:80", f"8026:[{alice.address6()}]:80",
            f"8027:[{alice.address6()}]:53/udp")
    assert works(host, *[["echo", "127.0.0.1", port] for port in (8020, 8021, 8022, 8025, 8026)],
                 ["udp", "127.0.0.1", 8023], ["udp", "::1", 8024], ["udp", "127.0.0.1", 8027])
    assert host.probe(["udp_sizes", "127.0.0.1", [1, 1472, 9000, 60000], 8023],
                      ["udp_sizes", "::1", [1, 1472, 9000, 60000], 8024]) == [[True] * 4] * 2
    assert host.probe(*[["udp", "127.0.0.1", 8023]] * 50) == ["echo"] * 50


def test_closed_port_of_a_guest_resets(site, host, alice):
    forward(site, "add", "8030:alice:83", "8031:nobody:80")
    assert host.probe(["echo", "127.0.0.1", 8030], ["echo", "127.0.0.1", 8031]) == [
        "echo: ECONNRESET", "echo: ECONNRESET"]


def test_from_the_file(site, world, host, guest):
    site.config("vmnet:\n  shared:\n    subnet: 192.168.107.0/24\n    forwards:\n"
                "      - 8040:alice:80\n      - {listen: '[::1]:8041', to: 'alice:53', "
                "protocol: udp}\n      - 127.0.0.2:8042-8043:192.168.107.99:80-81\n")
    seat = guest("shared", "--ip", "192.168.107.99", name="alice")
    with serving(world, seat):
        wait_until(lambda: works(host, ["echo", "127.0.0.1", 8040], ["udp", "::1", 8041],
                                 ["echo", "127.0.0.2", 8042], ["echo", "127.0.0.2", 8043]))


@contextlib.contextmanager
def open_connection(world, address, port):
    """A process of the host that is connected, and asks once more when it is to end."""
    child = world.spawn(["python3", "-uc", f"""
import socket, time
conn = socket.create_connection(("{address}", {port}))
print(conn.send(b"1") and conn.recv(1).decode())
time.sleep(2)
try:
    print(conn.send(b"2") and conn.recv(1).decode() or "end")
except OSError as error:
    print(type(error).__name__)
"""], where="host")
    assert child.stdout.readline() == "1\n"
    yield child
    world.end(child)


@pytest.mark.parametrize("name, end", [
    (FORWARDER, "ConnectionResetError"), ("vmlan-holder", "2"), ("vmlan-broker", "2")])
def test_forwards_survive_each_role(world, site, host, alice, name, end):
    """Who listens is the forwarder; the connections of another one's death go on."""
    forward(site, "add", "8050:alice:80", "8051:alice:53/udp")
    assert works(host, ["echo", "127.0.0.1", 8050], ["udp", "127.0.0.1", 8051])
    with open_connection(world, "127.0.0.1", 8050) as child:
        old = kill(site, name)
        site.vmlan("ls")
        successor(site, name, old, 5)
        wait_until(lambda: works(host, ["echo", "127.0.0.1", 8050], ["udp", "127.0.0.1", 8051]), 5)
        assert child.stdout.readline() == f"{end}\n"
    assert forward(site, "ls").stdout.count("alice") == 2
    forward(site, "add", "8052:alice:80")
    assert works(host, ["echo", "127.0.0.1", 8052])
    forward(site, "rm", "8050:alice:80")
    wait_until(lambda: host.probe(["connect", "127.0.0.1", 8050]) == ["ECONNREFUSED"])


def test_large_transfer_inward(site, host, alice):
    forward(site, "add", "8060:alice:80")
    assert works(host, ["echo", "127.0.0.1", 8060, 30 << 20])


def test_two_thousand_connections_inward(site, host, alice):
    forward(site, "add", "8070:alice:80")
    assert host.probe(["sequential", "127.0.0.1", 2000, 8070]) == [2000]


def test_ports_are_free_when_the_network_is_gone(site, host, alice):
    forward(site, "add", "8080:alice:80")
    assert works(host, ["echo", "127.0.0.1", 8080])
    site.vmlan("down", "shared")
    wait_until(lambda: host.probe(["connect", "127.0.0.1", 8080]) == ["ECONNREFUSED"], 2)
