# SPDX-License-Identifier: Apache-2.0
"""Twenty stories of a vmlan's life. STORIES is the table: what happens, what should come of it, and
the function that makes it happen and looks. The fixture site sees to the last line of every story:
when it is over neither a process nor a file is left.

VMLAN_STOPPED sets the seconds for which everything is stopped (5; a minute says more).
"""

import contextlib
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections import namedtuple
from pathlib import Path

import lib
import pytest
from netlib import Seat, Vm, by_way_of, kill, named, ports, role, running, the

pytestmark = pytest.mark.engine

LAN = "vmnet:\n  lan: {linger: %d, subnet: 192.168.120.0/24}\n"
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
STOPPED = float(os.environ.get("VMLAN_STOPPED", 5))
ROLES = ("vmlan-broker", "vmlan-holder", "vmlan-forward", "dnsmasq")
STEPS = 8  # moments of an attach at which a role is killed

# What the stories are told with


def asking(site, network="lan"):
    """vmlan run in the background; got() says which port it got."""
    return site.popen("run", network, "--", "sh", "-c", "echo $VMLAN_PORT; exec cat >/dev/null",
                      stdin=subprocess.PIPE)


def got(child):
    line = child.stdout.readline()
    assert line.startswith("vm"), f"status {child.wait(10)}: {child.stderr.read()}"
    return line.strip()


def leave(*children):
    for child in children:
        child.stdin.close()
        assert child.wait(10) == 0


def no_networks(site, timeout=15):
    lib.wait_until(lambda: not any(role(site, name) for name in ROLES), timeout, "their end")


def kill_when_there(site, name, child, delay):
    """SIGKILLs the role once it has been there for delay; not at all if child is quicker."""
    deadline = time.monotonic() + 5
    while not (pids := role(site, name)) and child.poll() is None:
        if time.monotonic() > deadline:
            return
    time.sleep(delay)  # this is the step of the attach
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def sweep(site, name, start):
    site.config(LAN % 60)
    for step in range(STEPS):
        start()
        child = asking(site)
        kill_when_there(site, name, child, step * 0.006)
        assert got(child) == "vm0"
        assert list(ports(site, "lan")) == ["vm0"]
        leave(child)
        site.vmlan("down", "lan")
        no_networks(site)


def killed_at_the_first_attach(name):
    return lambda site: sweep(site, name, lambda: None)


def killed_at_a_later_attach(name):
    def start(site):
        site.vmlan("up", "lan")
        the(site, name)

    return lambda site: sweep(site, name, lambda: start(site))


@contextlib.contextmanager
def small_disk(site, path, options):
    """A tmpfs of that size at path, for what the site starts from here on; the path of it as this
    process reaches it."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    path.mkdir(mode=0o700, exist_ok=True)
    script = f"mount -t tmpfs -o mode=700,uid={site.user.uid},gid={site.user.gid},{options} " \
        f"small {path} && echo && exec sleep infinity"
    with subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sh", "-c", script],
                          stdout=subprocess.PIPE) as keeper:
        try:
            assert keeper.stdout.readline() == b"\n"
            with by_way_of(site, before=["nsenter", f"--mount=/proc/{keeper.pid}/ns/mnt", "--"]):
                yield Path(f"/proc/{keeper.pid}/root") / path.relative_to("/")
                for network in running(site):
                    site.vmlan("down", network)
                no_networks(site)
        finally:
            keeper.kill()


def fill(path):
    """Everything that is left of a file system; returns the file that has it."""
    filler = path / "filler"
    with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return filler


def disk_full_of(site, child_text):
    failed = site.vmlan("run", "-n", "lan,name=late", "--", "true", check=False)
    assert failed.returncode == 1 and child_text in failed.stderr, failed.stderr
    assert failed.stderr.count("\n") == 1


# The stories


def started_by_a_socket(site):
    """A service manager holds the socket and starts the broker when somebody connects."""
    site.config(LAN % 0)
    site.runtime.mkdir(mode=0o700)
    site.user.own(site.runtime)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(site.runtime / "broker.sock"))
        site.user.own(site.runtime / "broker.sock")
        listener.listen()
        for _ in range(3):
            child = asking(site)
            assert lib.wait_until(lambda: pending(listener), 10, "a client")
            manager = subprocess.Popen(
                [*site.user.prefix, "sh", "-c", f"LISTEN_PID=$$ exec {site.bin} --log-level info "
                 "--log-format text broker"], stdin=subprocess.DEVNULL, pass_fds=[3],
                preexec_fn=lambda: os.dup2(listener.fileno(), 3),
                env={**site.env, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "broker"})
            assert got(child) == "vm0"
            leave(child)
            assert manager.wait(15) == 0
            assert (site.runtime / "broker.sock").exists()
    (site.runtime / "broker.sock").unlink()


def pending(listener):
    return bool(select.select([listener], [], [], 0)[0])


def fifty_at_once(site):
    site.config(LAN % 60)
    children = [asking(site) for _ in range(50)]
    assert len({got(child) for child in children}) == 50
    assert {name: len(role(site, name)) for name in ROLES} == dict.fromkeys(ROLES, 1)
    leave(*children)
    lib.wait_until(lambda: not ports(site, "lan"), 10, "the ports' end")


def stopped_and_started_quickly(site):
    """down and run in two loops that do not know of each other."""
    site.config(LAN % 60)
    over = threading.Event()

    def down_and_down():
        while not over.is_set():
            site.vmlan("down", "lan", check=False)

    thread = threading.Thread(target=down_and_down)
    thread.start()
    try:
        for _ in range(25):
            assert site.vmlan("run", "lan", "--", "sh", "-c", "echo $VMLAN_PORT").stdout == "vm0\n"
    finally:
        over.set()
        thread.join()


def linger_over_while_one_attaches(site):
    site.config(LAN % 1)
    for step in range(6):
        first = asking(site)
        got(first)
        leave(first)
        lib.wait_until(lambda: not ports(site, "lan"), 5, "the port's end")
        time.sleep(0.95 + step * 0.01)  # the linger time is over at about 1 s
        second = asking(site)
        assert got(second) == "vm0"
        assert list(ports(site, "lan")) == ["vm0"]
        leave(second)


def runtime_disk_full(site):
    site.config(LAN % 60)
    with small_disk(site, site.runtime, "size=64k") as path:
        filler = fill(path)
        disk_full_of(site, "No space left on device")
        filler.unlink()
        guest = Seat(site, "lan", name="guest")
        filler = fill(path)
        disk_full_of(site, "No space left on device")
        guest.check("ping -c 1 -W 5 192.168.120.1")
        assert list(named(site, "lan").values()) == ["guest"]
        filler.unlink()
        late = Vm(site, "-n", "lan,name=late")
        assert sorted(named(site, "lan").values()) == ["guest", "late"]
        late.leave()
        guest.leave()


def runtime_disk_without_inodes(site):
    """Sockets need no blocks: this is what keeps a broker from starting at all."""
    site.config(LAN % 60)
    with small_disk(site, site.runtime, "size=1m,nr_inodes=4") as path:
        for number in range(3):
            (path / str(number)).touch()
        failed = site.vmlan("run", "lan", "--", "true", check=False)
        assert failed.returncode == 1 and "No space left on device" in failed.stderr
        assert failed.stderr.count("\n") == 1
        assert not any(role(site, name) for name in ROLES)
        for number in range(3):
            (path / str(number)).unlink()


def state_disk_full(site):
    """Leases can't be written; those that guests have stay theirs, and nothing else needs it."""
    site.config("vmnet:\n  lan: {linger: 60}\n  lab: {linger: 60, subnet: 192.168.121.0/24}\n")
    with small_disk(site, site.state, "size=32k") as path:
        guest = Seat(site, "lab", name="guest")
        address, filler = guest.address, fill(path)
        second = Seat(site, "lab", name="second")
        assert second.address != address
        second.check(f"ping -c 1 -W 5 {address}")
        failed = site.vmlan("run", "lan", "--", "true", check=False)  # wants a subnet of its own
        assert failed.returncode == 1 and "No space left on device" in failed.stderr
        kill(site, "dnsmasq")
        third = Seat(site, "lab", name="third")
        assert third.address not in (address, second.address)
        filler.unlink()
        assert site.vmlan("run", "lan", "--", "echo", "here").stdout == "here\n"
        for one in (guest, second, third):
            one.leave()


def runtime_directory_removed(site):
    """Guests go on; the name starts anew, and the old network's end does not touch the new one."""
    site.config(LAN % 0)
    site.vmlan("up", "lan")
    alice, bob = Seat(site, "lan", name="alice"), Seat(site, "lan", name="bob")
    old = the(site, "vmlan-holder")
    shutil.rmtree(site.runtime)
    lib.wait_until(lambda: not role(site, "vmlan-broker"), 5, "the end of the broker")
    alice.check(f"ping -c 3 -i 0.2 -W 5 {bob.address}")
    assert running(site) == []
    carol = Seat(site, "lan", name="carol")
    assert list(named(site, "lan").values()) == ["carol"]
    for one in (alice, bob):
        one.leave()
    assert not lib.wait_gone([old], 5)  # also pinned: nobody could take that back
    assert list(named(site, "lan").values()) == ["carol"]
    dave = Seat(site, "lan", name="dave")
    dave.check("ping -c 1 -W 5 carol")
    for one in (carol, dave):
        one.leave()


def state_directory_removed(site):
    site.config(LAN % 0)
    alice = Seat(site, "lan", name="alice")
    address = alice.address
    shutil.rmtree(site.state)
    bob = Seat(site, "lan", name="bob")
    assert bob.address != address
    bob.check("ping -c 1 -W 5 alice")
    for one in (alice, bob):
        one.leave()
    no_networks(site)
    carol = Seat(site, "lan", name="carol")
    assert carol.address
    assert site.json("leases", "lan")[0]["name"] == "carol"
    carol.leave()


def clock_jumps(site):
    """The wall clock goes two hours on and two days back: nobody loses port, address or network."""
    if not FAKETIME:
        pytest.skip("faketime is not installed")
    stamp = site.write("stamp", "+0")
    with by_way_of(site, after=[
            "env", f"LD_PRELOAD={FAKETIME}", f"FAKETIME_TIMESTAMP_FILE={stamp}",
            "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1", "FAKETIME_DISABLE_SHM=1"]):
        site.config(LAN % 2)
        alice = Seat(site, "lan", name="alice")
        address = alice.address
        for jump, seconds in (("+2h", 7200), ("-2d", -172800), ("+0", 0)):
            stamp.write_text(jump)
            guest = Seat(site, "lan", name=f"guest{jump[1:]}")
            expires = {one["name"]: one["expires"] for one in site.json("leases", "lan")}
            left = expires[guest.name] - time.time() - seconds
            assert 0 < left < 86400  # so dnsmasq did see the jump
            assert guest.address != address
            guest.check(f"ping -c 1 -W 5 {address}")
            guest.leave()
        lib.wait_until(lambda: list(named(site, "lan").values()) == ["alice"], 5, "one port")
        alice.check("ip -4 addr show dev eth0 | grep -q " + address)
    alice.leave()
    start = time.monotonic()
    no_networks(site)
    assert time.monotonic() - start > 1  # its linger time is not the wall clock's


def everything_stopped(site):
    """By SIGSTOP: guests talk on, who asks waits, and afterwards all is as before."""
    site.config(LAN % 0)
    alice, bob = Seat(site, "lan", name="alice"), Seat(site, "lan", name="bob")
    alice.ping_start(bob.address)
    before = ports(site, "lan")
    pids = [pid for name in ROLES for pid in role(site, name)]
    assert len(pids) == 4
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        child = asking(site)
        time.sleep(STOPPED)  # this is the story
        assert child.poll() is None
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    assert got(child) == "vm2"
    leave(child)
    lib.wait_until(lambda: ports(site, "lan") == before, 5, "the ports as before")
    sent, received = alice.ping_end()
    assert sent == received > STOPPED * 10
    assert [pid for name in ROLES for pid in role(site, name)] == pids
    carol = Seat(site, "lan", name="carol")
    for one in (alice, bob, carol):
        one.leave()


def clients_killed(site):
    """At random moments of their request: no port stays."""
    site.config(LAN % 60)
    site.vmlan("up", "lan")
    chance = random.Random(7)
    for _ in range(40):
        child = asking(site)
        time.sleep(chance.uniform(0, 0.03))
        child.kill()
        child.wait()
    lib.wait_until(lambda: not ports(site, "lan"), 10, "the ports' end")


def four_roles_killed_one_after_the_other(site):
    site.config(LAN % 60)
    site.vmlan("up", "lan")
    alice, bob = Seat(site, "lan", name="alice"), Seat(site, "lan", name="bob")
    alice.ping_start(bob.address)
    before = ports(site, "lan")
    for _ in range(2):
        for name in ROLES:
            kill(site, name)
            assert ports(site, "lan") == before
            the(site, name)
    sent, received = alice.ping_end()
    assert sent == received > 1
    for one in (alice, bob):
        one.leave()


Story = namedtuple("Story", "title should tell seconds", defaults=(60,))
SANITIZED = (stopped_and_started_quickly, clients_killed, runtime_disk_full, state_disk_full,
             runtime_directory_removed)  # also run against the sanitizer build
STORIES = [
    Story("started by a socket", "starts on demand, ends when unused, starts again",
          started_by_a_socket),
    Story("fifty ask at once", "one broker, one holder, fifty ports", fifty_at_once),
    Story("stopped and started quickly", "every run gets a port, of the old network or the next",
          stopped_and_started_quickly),
    Story("linger is over while one attaches", "the attach gets a port that stays",
          linger_over_while_one_attaches),
    *(Story(f"{name} killed at each step of the first attach", "the attach gets its port",
            killed_at_the_first_attach(name)) for name in ROLES),
    *(Story(f"{name} killed at each step of a later attach", "the attach gets its port",
            killed_at_a_later_attach(name)) for name in ROLES[:3]),
    Story("all four roles killed in turn", "guests talk on, all of it is taken over",
          four_roles_killed_one_after_the_other),
    Story("clients killed while they ask", "no port of theirs stays", clients_killed),
    Story("runtime directory full", "one message; who is there goes on; works when there is room",
          runtime_disk_full),
    Story("runtime directory without inodes", "one message, nothing starts",
          runtime_disk_without_inodes),
    Story("state directory full", "guests get and keep addresses; no new subnet",
          state_disk_full),
    Story("runtime directory removed", "guests talk on, the name starts anew beside them",
          runtime_directory_removed),
    Story("state directory removed", "guests go on, leases begin anew", state_directory_removed),
    Story("the wall clock jumps", "nothing is lost by it", clock_jumps),
    Story("everything stopped", "guests talk on, who asks waits, all goes on", everything_stopped,
          60 + 2 * STOPPED),
]


def marks(story):
    return [pytest.mark.limit(story.seconds),
            *([pytest.mark.sanitized] if story.tell in SANITIZED else [])]


@pytest.mark.parametrize("story", [
    pytest.param(one, id=one.title.replace(" ", "-"), marks=marks(one)) for one in STORIES])
def test_story(site, story):
    story.tell(site)


def test_there_are_twenty():
    assert len({one.title for one in STORIES}) == 20
