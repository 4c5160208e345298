# SPDX-License-Identifier: Apache-2.0
"""Any one role may die at any instant: guests go on talking, and the next role takes over."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from lib import wait_gone, wait_until
from netlib import Seat, Vm, free_port, kill, named, ports, role, running, successor, the

pytestmark = pytest.mark.engine


@pytest.fixture
def pair(site):
    """Two guests and a tap port, and pings between the guests all the time."""
    alice, bob = Seat(site, "shared", name="alice"), Seat(site, "shared", name="bob")
    site.vm = Vm(site, "-n", "shared,name=vm")
    alice.ping_start(bob.address)
    yield alice, bob
    alice.run("kill -KILL $ping")


def assert_no_loss(guest):
    sent, received = guest.ping_end()
    assert sent == received and sent > 1


@pytest.mark.sanitized
def test_broker_killed_guests_talk_and_the_next_adopts(site, pair):
    before, leases = named(site), site.json("leases", "shared")
    holder, old = the(site, "vmlan-holder"), kill(site, "vmlan-broker")
    assert role(site, "vmlan-broker") == []
    assert named(site) == before and sorted(before.values()) == ["alice", "bob", "vm"]
    assert the(site, "vmlan-broker") != old and the(site, "vmlan-holder") == holder
    assert site.json("leases", "shared") == leases
    assert_no_loss(pair[0])
    assert site.vm.leave() == 0


def test_broker_killed_twenty_times(site, pair):
    before = ports(site)
    for _ in range(20):
        kill(site, "vmlan-broker")
        assert ports(site) == before
    assert_no_loss(pair[0])
    assert Seat(site, "shared", name="carol").address


def test_network_ends_without_a_broker(site):
    """The holder watches its ports by itself."""
    site.config("vmnet:\n  lan: {linger: 0}\n")
    vm = Vm(site, "lan")
    holder = the(site, "vmlan-holder")
    kill(site, "vmlan-broker")
    vm.leave()
    assert wait_gone([holder], 5) == []
    assert running(site) == []
    Vm(site, "lan").leave()  # ... and the next broker takes over the dead one's socket


def test_port_that_went_without_a_broker_is_gone(site):
    first, second = Vm(site, "shared"), Vm(site, "shared")
    assert len(ports(site)) == 2
    kill(site, "vmlan-broker")
    first.kill()
    deadline = time.monotonic() + 5
    while list(ports(site)) != [second.port]:
        assert time.monotonic() < deadline


@pytest.mark.sanitized
def test_holder_killed_another_takes_over(site, pair):
    before = ports(site)
    old, dnsmasq = the(site, "vmlan-holder"), the(site, "dnsmasq")
    kill(site, "vmlan-holder")
    assert wait_gone([dnsmasq], 5) == []
    new = Vm(site, "-n", "shared,name=new")
    successor(site, "vmlan-holder", old, 5)
    after = ports(site)
    assert after.pop(new.port)["name"] == "new"
    assert after == before
    carol = Seat(site, "shared", name="carol")
    assert carol.address not in [address for one in before.values() for address in one["addresses"]]
    carol.check("ping -c 1 -W 5 alice")
    assert_no_loss(pair[0])


def test_new_holder_within_a_second(site, pair):
    """... which means: it has given out a port."""
    pid, start = the(site, "vmlan-holder"), time.monotonic()
    os.kill(pid, signal.SIGKILL)
    Vm(site, "shared")
    assert time.monotonic() - start < 1
    assert pid not in role(site, "vmlan-holder")


def test_new_holder_sees_ports_go(site, pair):
    kill(site, "vmlan-holder")
    assert sorted(named(site).values()) == ["alice", "bob", "vm"]
    site.vm.kill()
    deadline = time.monotonic() + 5
    while sorted(named(site).values()) != ["alice", "bob"]:
        assert time.monotonic() < deadline


def test_new_holder_ends_an_unused_network(site):
    site.config("vmnet:\n  lan: {linger: 0}\n")
    vm = Vm(site, "lan")
    old = kill(site, "vmlan-holder")
    holder = successor(site, "vmlan-holder", old)
    assert len(ports(site, "lan")) == 1
    vm.leave()
    assert wait_gone([holder], 5) == []
    assert running(site) == []


def test_new_holder_remembers_the_pin(site):
    site.config("vmnet:\n  lan: {linger: 0}\n")
    site.vmlan("up", "lan")
    old = kill(site, "vmlan-holder")
    successor(site, "vmlan-holder", old)
    assert [one["pinned"] for one in site.json("ls")] == [True]


def test_new_holder_keeps_reservations_of_ports(site):
    """A port's wish for an address holds for a guest that asks only now."""
    vm = Vm(site, "-n", "shared,name=web,ip=192.168.107.99")
    old = kill(site, "vmlan-holder")
    successor(site, "vmlan-holder", old)
    refused = site.vmlan("run", "-n", "shared,ip=192.168.107.99", "--", "true", check=False)
    assert refused.stderr == (
        "vmlan run: Attach.ip: 192.168.107.99 is reserved for another port; choose another "
        "address, or leave ip out to have one chosen\n")
    assert vm.leave() == 0


def test_holder_then_broker_then_holder(site, pair):
    before = ports(site)
    for name in ("vmlan-holder", "vmlan-broker", "vmlan-holder", "vmlan-broker"):
        old = kill(site, name)
        assert ports(site) == before
        successor(site, name, old, 5)
    assert Seat(site, "shared", name="carol").address
    assert_no_loss(pair[0])


def test_holder_that_nobody_starts_ends(site):
    """Its broker died, or could not talk to it, and the next one cleared its place away."""
    folder = site.runtime / "net/lan"
    folder.mkdir(parents=True, mode=0o700)
    for path in (folder, folder.parent, site.runtime):
        site.user.own(path).chmod(0o700)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "holder.sock"))
        listener.listen()
        site.user.own(folder / "holder.sock")
        command = f'exec "$@" 3<&{listener.fileno()}'
        with subprocess.Popen([*site.user.prefix, "bash", "-c", command, "bash", site.bin,
                               "--log-level", "info", "--log-format", "text", "holder", "lan"],
                              env=site.env, pass_fds=[listener.fileno()]) as holder:
            wait_until(lambda: "anon_inode:inotify" in fds_of(holder.pid), what="its watch")
            shutil.rmtree(folder)
            left = wait_gone([holder.pid], 5)
            holder.kill()
    assert not left


def fds_of(pid):
    """What the descriptors of a process are."""
    with contextlib.suppress(OSError):
        return [os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()]
    return []


def test_holder_that_dies_too_often_is_given_up(site):
    """... with an end and a message, not with a loop."""
    Vm(site, "shared")
    killed = set()
    while role(site, "vmlan-broker") and len(killed) < 20:
        for pid in role(site, "vmlan-holder"):
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
    assert "the holder of network shared ended unexpectedly" in site.log()
    assert Vm(site, "host").port == "vm0"


def kill_together(site, *names):
    """SIGKILLs the only processes of these roles, stopped first so that none sees another go."""
    pids = [the(site, name) for name in names]
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in pids:
            os.kill(pid, number)
    assert wait_gone(pids, 5) == []


TOGETHER = [("vmlan-broker", "vmlan-holder"), ("vmlan-broker", "vmlan-forward"),
            ("vmlan-holder", "vmlan-forward")]


@pytest.mark.sanitized
@pytest.mark.parametrize("names", TOGETHER, ids=" ".join)
def test_two_roles_killed_at_once(site, pair, names):
    """Whoever is left has the namespaces: the network goes on with all it had."""
    site.vmlan("up", "shared")
    site.vmlan("forward", "shared", "add", f"127.0.0.1:{free_port()}:alice:80")
    before, leases = ports(site), site.json("leases", "shared")
    forwards = site.json("forward", "shared", "ls")
    kill_together(site, *names)
    carol = Seat(site, "shared", name="carol")
    carol.check("ping -c 1 -W 5 alice")
    after = {port: one for port, one in ports(site).items() if one.get("name") != "carol"}
    assert after == before
    assert [one["pinned"] for one in site.json("ls")] == [True]
    now = site.json("leases", "shared")
    assert all(one in now for one in leases)
    the(site, "vmlan-forward")
    wait_until(lambda: site.json("forward", "shared", "ls") == forwards, what="the forwards")
    assert_no_loss(pair[0])


@pytest.mark.sanitized
def test_holder_killed_while_the_next_broker_meets_it(site, pair):
    """The new broker has connected, and has no answer yet."""
    before = ports(site)
    holder, broker = the(site, "vmlan-holder"), the(site, "vmlan-broker")
    os.kill(holder, signal.SIGSTOP)
    os.kill(broker, signal.SIGKILL)
    assert wait_gone([broker], 5) == []
    child = site.popen("ls", "--json")
    the(site, "vmlan-broker")
    wait_until(lambda: site.log().count("adopted") == 1, what="the adoption")
    os.kill(holder, signal.SIGKILL)
    assert child.wait(10) == 0
    assert ports(site) == before
    assert_no_loss(pair[0])


def test_port_that_was_lost_with_its_answer_is_given_again(site):
    """... with the same MAC address and name, though for a moment there are both."""
    words = ("run", "-n", "shared,name=web", "--", "sh", "-c", "echo $VMLAN_MAC; exec cat")
    first = site.popen(*words, stdin=subprocess.PIPE)
    mac = first.stdout.readline()
    first.stdin.close()
    assert first.wait(5) == 0
    wait_until(lambda: not ports(site), what="the port's end")
    holder, broker = the(site, "vmlan-holder"), the(site, "vmlan-broker")
    os.kill(holder, signal.SIGSTOP)
    second = site.popen(*words, stdin=subprocess.PIPE)
    wait_until(lambda: connected(second.pid), what="the request")
    time.sleep(0.2)  # until the broker has passed it on: nothing tells
    os.kill(broker, signal.SIGKILL)
    wait_until(lambda: site.log().count("adopted") == 1, what="the next broker")
    os.kill(holder, signal.SIGCONT)
    assert second.stdout.readline() == mac
    second.stdin.close()
    assert second.wait(5) == 0


def test_host_network_with_broker_and_holder_killed_at_once(site):
    """... which has no way out, but a forwarder that keeps its namespaces."""
    site.config("vmnet:\n  lan: {mode: host, linger: 0}\n")
    alice = Seat(site, "lan", name="alice")
    kill_together(site, "vmlan-broker", "vmlan-holder")
    bob = Seat(site, "lan", name="bob")
    bob.check(f"ping -c 1 -W 5 {alice.address}")
    holder, forwarder = the(site, "vmlan-holder"), the(site, "vmlan-forward")
    for guest in (alice, bob):
        guest.leave()
    assert wait_gone([holder, forwarder], 10) == []


@pytest.mark.sanitized
def test_all_roles_killed_at_once(site, pair):
    """Nobody has the namespaces but the guests: they talk on, and a new network takes the name."""
    kill_together(site, "vmlan-broker", "vmlan-holder", "vmlan-forward")
    assert site.json("ls") == []
    assert os.listdir(site.runtime / "net") == []
    carol = Seat(site, "shared", name="carol")
    assert carol.address.startswith("192.168.107.")
    assert list(named(site).values()) == ["carol"]
    assert_no_loss(pair[0])


@pytest.mark.sanitized
def test_dnsmasq_killed_comes_back_with_its_leases(site, pair):
    leases = site.json("leases", "shared")
    assert len(leases) >= 2
    old = kill(site, "dnsmasq")
    carol = Seat(site, "shared", name="carol")
    assert carol.address
    assert successor(site, "dnsmasq", old, 5) != old
    assert carol.check("getent ahostsv4 bob").split()[0] == pair[1].address
    addresses = {one["address"] for one in site.json("leases", "shared")}
    assert {one["address"] for one in leases} <= addresses
    assert_no_loss(pair[0])


def test_request_at_a_dead_holder_is_answered_by_the_next(site):
    """A holder that is stopped can't answer; the request must outlive it."""
    Vm(site, "shared")
    holder = the(site, "vmlan-holder")
    os.kill(holder, signal.SIGSTOP)
    child = site.popen("run", "shared", "--", "sh", "-c", "echo $VMLAN_FD; cat",
                       stdin=subprocess.PIPE)
    broker = the(site, "vmlan-broker")
    deadline = time.monotonic() + 5
    while not connected(child.pid) and time.monotonic() < deadline:
        pass
    os.kill(holder, signal.SIGKILL)
    assert child.stdout.readline().strip().isdigit()
    assert the(site, "vmlan-broker") == broker


def connected(pid):
    try:
        return any(os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket:")
                   for fd in os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return False


def test_forwarder_of_an_earlier_network_is_not_the_next_ones(site):
    """It was stopped while its network ended and another of that name began."""
    vm = Vm(site, "shared")
    old = the(site, "vmlan-forward")
    os.kill(old, signal.SIGSTOP)
    site.vmlan("down", "shared")
    guest = Seat(site, "shared", name="guest")
    os.kill(old, signal.SIGCONT)
    assert wait_gone([old], 5) == []
    assert the(site, "vmlan-forward") != old
    assert guest.check("getent ahostsv4 host.internal").split()[0] == "192.168.107.1"
    assert vm.leave() == 0


def test_forwarder_killed_another_takes_over(site, pair):
    old = kill(site, "vmlan-forward")
    assert successor(site, "vmlan-forward", old, 5) != old
    assert_no_loss(pair[0])


def test_forwarder_stays_with_a_new_holder(site, pair):
    forwarder, old = the(site, "vmlan-forward"), kill(site, "vmlan-holder")
    successor(site, "vmlan-holder", old, 5)
    assert Seat(site, "shared", name="carol").address
    assert role(site, "vmlan-forward") == [forwarder]
    assert_no_loss(pair[0])
