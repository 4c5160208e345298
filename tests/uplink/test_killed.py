# SPDX-License-Identifier: Apache-2.0
"""What the death of a role does to flows that lead outside; and that many flows leave nothing."""

import os
import signal
import time
from pathlib import Path

import pytest
from lib import wait_until
from netlib import kill, role, successor, the
from world import SERVER

pytestmark = pytest.mark.engine

FORWARDER = "vmlan-forward"
FLOWS = int(os.environ.get("VMLAN_FLOWS", 20000))
ECHOES = [7, *range(3000, 3020)]  # ports: what has ended keeps its pair of ports for a minute

# Runs in a guest: connections that wait for something, and how each of them ends.
WAITING = """
import json, select, socket, sys, time
conns = [socket.create_connection((address, 7)) for address in sys.argv[1:] for _ in range(20)]
for conn in conns:
    conn.sendall(b"?")
    conn.recv(1)
print("open", flush=True)
ends, deadline = [], time.monotonic() + 3
for conn in conns:
    try:
        if not select.select([conn], [], [], max(0, deadline - time.monotonic()))[0]:
            conn.settimeout(5)
            conn.sendall(b"?")
        ends.append(conn.recv(1).decode() or "end")
    except OSError as error:
        ends.append(type(error).__name__)
print(json.dumps(sorted(set(ends))))
"""


class Load:
    """A guest that downloads all the time, with connections open; another one that it pings."""

    def __init__(self, world, guest):
        self.alice, self.bob = guest(name="alice"), guest(name="bob")
        self.waiting = world.root / "waiting.py"
        self.waiting.write_text(WAITING)
        self.alice.check(f"python3 {self.waiting} {SERVER[4]} {SERVER[6]} >$TMPDIR/waiting 2>&1 & "
                         "waiting=$!")
        self.alice.until("grep -q open $TMPDIR/waiting")
        self.alice.check(f"python3 {world.script('probe.py')} "
                         f"'[[\"download\", \"{SERVER[4]}\", 100000000000]]' >$TMPDIR/load 2>&1 & "
                         "load=$!")
        self.alice.ping_start(self.bob.address)
        time.sleep(0.3)

    def no_loss(self):
        sent, received = self.alice.ping_end()
        return sent == received and sent > 5

    def ends(self):
        """How the waiting connections ended; those that still work were sent "?" in return."""
        self.alice.run("wait $waiting", 30)
        return self.alice.check("tail -n 1 $TMPDIR/waiting")

    def stop(self):
        self.alice.run("kill -KILL $ping $load $waiting 2>/dev/null")


@pytest.fixture
def load(world, guest):
    one = Load(world, guest)
    yield one
    one.stop()


def test_forwarder_killed_under_load(site, load):
    """Guests talk on without a loss, new connections work within a second, old ones are reset."""
    old = kill(site, FORWARDER)
    start = time.monotonic()
    wait_until(lambda: load.bob.probe(["connect", SERVER[4], 7]) == ["connected"], 5)
    assert time.monotonic() - start < 2  # generous: a probe takes half a second on a busy machine
    assert successor(site, FORWARDER, old) != old
    assert load.alice.probe(["echo", SERVER[4]], ["echo", SERVER[6]], ["udp", SERVER[4], 7],
                            ["udp", SERVER[6], 7]) == [True, True, "echo", "echo"]
    assert load.ends() == '["ConnectionResetError"]'
    assert "ECONNRESET" in load.alice.check("cat $TMPDIR/load")
    assert load.no_loss()


@pytest.mark.parametrize("name", ["vmlan-holder", "vmlan-broker"])
def test_flows_outlive_the_other_roles(site, load, name):
    forwarder, old = the(site, FORWARDER), kill(site, name)
    if name == "vmlan-holder":
        successor(site, name, old, 5)
    assert load.bob.probe(["echo", SERVER[4]], ["echo", SERVER[6]]) == [True, True]
    assert load.alice.run("kill -0 $load")[0] == 0  # it still downloads
    assert load.ends() == '["?"]'
    assert role(site, FORWARDER) == [forwarder]
    assert load.no_loss()


@pytest.mark.parametrize("name", ["vmlan-holder", "vmlan-broker"])
def test_forwarder_and_another_role_killed_at_once(site, load, name):
    pids = [the(site, name), the(site, FORWARDER)]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    site.vmlan("ls")
    wait_until(lambda: load.bob.probe(["connect", SERVER[4], 7]) == ["connected"], 10)
    assert load.bob.probe(["echo", SERVER[6]], ["udp", SERVER[4], 7]) == [True, "echo"]
    assert load.no_loss()


def test_forwarder_killed_again_and_again(site, guest):
    """It comes back each time, if later and later."""
    seat = guest()
    for _ in range(3):
        old = kill(site, FORWARDER)
        successor(site, FORWARDER, old, 5)
        wait_until(lambda: seat.probe(["connect", SERVER[4], 7]) == ["connected"], 5)


def test_killed_forwarder_does_not_wake_as_two(site, guest):
    seat = guest()
    kill(site, FORWARDER)
    kill(site, "vmlan-broker")
    site.vmlan("ls")
    wait_until(lambda: seat.probe(["connect", SERVER[4], 7]) == ["connected"], 5)
    assert len(role(site, FORWARDER)) == 1


# Many flows


def size_of(pid):
    """Resident memory (KiB) and number of descriptors."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        return (int(status.partition("VmRSS:")[2].split()[0]),
                len(os.listdir(f"/proc/{pid}/fd")))
    except PermissionError:
        pytest.skip("the forwarder does not show itself to this user")


@pytest.fixture
def echoes(world):
    server = world.serve("echo", ",".join(SERVER.values()), *ECHOES[1:])
    yield
    world.end(server)


@pytest.mark.limit(3600)
def test_many_flows_leave_neither_memory_nor_descriptors(site, guest, echoes):
    """Opened, used and closed: TCP of both families, and UDP."""
    seat = guest()
    forwarder = the(site, FORWARDER)

    def flows(count):
        each = max(1, count // 4 // len(ECHOES))
        for port in ECHOES:
            actions = [["sequential", SERVER[family], each, port]
                       for family in (4, 6) for _ in range(2)]
            assert seat.probe(*actions, timeout=600) == [each] * 4
        assert seat.probe(*[["udp_sources", SERVER[4], 100]] * 4) == [True] * 4

    flows(2000)  # what is kept for reuse is there after this
    memory, _ = size_of(forwarder)
    flows(FLOWS)
    assert size_of(forwarder)[0] <= memory + 1024
    # UDP flows rest for a while; TCP flows do not.
    limit = 100 + 2 * 4 * 100 * 2
    wait_until(lambda: size_of(forwarder)[1] < limit, what="descriptors to be closed")
    assert role(site, FORWARDER) == [forwarder]
