# SPDX-License-Identifier: Apache-2.0
"""The broker is killed, and replaced by a new binary, a hundred times below running guests."""

import json
import os
import shutil
import signal

import lib
import pytest
from figures import figures
from netlib import Seat, kill, ports, role, the
from peer import Peer
from wire import Line, SocketGuest

pytestmark = [pytest.mark.engine, pytest.mark.needs("iperf3"), pytest.mark.limit(110)]

ROUNDS = 100
FLOW = 6  # seconds


@pytest.fixture
def upgradable(site):
    """The site with a vmlan of its own, which can be replaced."""
    own = site.root / "bin" / "vmlan"
    own.parent.mkdir()
    site.user.own(own.parent)
    shutil.copy(site.bin, own)
    site.bin = site.user.own(own)
    return site


def replace(site):
    """As a package manager does it: another file, renamed over the old one. Then a new broker."""
    new = site.bin.with_suffix(".new")
    shutil.copy(site.bin, new)
    os.rename(site.user.own(new), site.bin)
    with Peer(site.runtime / "broker.sock") as peer:
        old = the(site, "vmlan-broker")
        peer.call("Quit")
    assert not lib.wait_gone([old], 5)


class Flow:
    """iperf3 from one guest to another, UDP, in the background."""

    def __init__(self, source, target, seconds):
        target.check("iperf3 -s -1 >/dev/null 2>&1 & true")
        target.until("ss -ltn | grep -q :5201")
        self.source = source
        source.check(f"iperf3 -J -u -l 200 -b 160K -t {seconds} -c {target.address} "
                     f">$TMPDIR/{source.name}.iperf3 2>&1 & iperf=$!")

    def running(self):
        return self.source.run("kill -0 $iperf")[0] == 0

    def lost(self, timeout):
        self.source.run("wait $iperf", timeout)
        text = self.source.check(f"cat $TMPDIR/{self.source.name}.iperf3")
        end = json.loads(text)["end"]["sum"]
        assert end["packets"] > 100
        return end["lost_packets"]


def test_broker_killed_and_replaced_a_hundred_times(upgradable):
    site = upgradable
    site.vmlan("up", "shared")
    alice, bob = Seat(site, "shared", name="alice"), Seat(site, "shared", name="bob")
    site.vmlan("forward", "shared", "add", "127.0.0.1:39090:alice:8000")
    path = site.runtime / "broker.sock"
    line = Line(SocketGuest(path, "shared", name="carol"), SocketGuest(path, "shared", name="dave"))
    line.meet()
    alice.serve()

    def one_round(number):
        if number % 2:
            replace(site)
        else:
            kill(site, "vmlan-broker")
        assert ports(site) == before

    before, leases = ports(site), site.json("leases", "shared")
    holder, forwarder = the(site, "vmlan-holder"), the(site, "vmlan-forward")
    for number in range(4):
        one_round(number)
    first, done = figures(site), 0
    while done < ROUNDS:  # one flow after the other: how long a round takes is the machine's matter
        flow = Flow(alice, bob, FLOW)
        while done < ROUNDS and flow.running():
            one_round(done)
            done += 1
        last = figures(site)
        assert flow.lost(FLOW + 20) == 0
    assert line.end() == []
    assert site.json("leases", "shared") == leases
    assert [one["pinned"] for one in site.json("ls")] == [True]
    assert site.json("forward", "shared", "ls")[0]["active"]
    assert site.run("python3", "-c", "import urllib.request as web; print(web.urlopen("
                    "'http://127.0.0.1:39090/', timeout=5).status)").stdout == "200\n"
    assert (the(site, "vmlan-holder"), the(site, "vmlan-forward")) == (holder, forwarder)
    alice.unserve()
    assert_no_growth(first, last)
    exe = os.stat(f"/proc/{the(site, 'vmlan-broker')}/exe")
    assert (exe.st_dev, exe.st_ino) == (site.bin.stat().st_dev, site.bin.stat().st_ino)


def assert_no_growth(first, last):
    assert {name: len(found) for name, found in last.items()} == \
        {name: len(found) for name, found in first.items()}
    for name, (before,) in first.items():
        (after,) = last[name]
        assert after.descriptors <= before.descriptors + 2, name  # a connection on its way out
        assert after.memory <= before.memory + 512, name


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_exec_after_an_upgrade_is_told_what_to_do(upgradable, number):
    """The broker of before does not know the new file; once it is gone all is well."""
    site = upgradable
    site.vmlan("up", "shared")
    new = site.bin.with_suffix(".new")
    shutil.copy(site.bin, new)
    os.rename(site.user.own(new), site.bin)
    failed = site.vmlan("exec", "shared", "--", "true", check=False)
    assert failed.returncode == 1 and "vmlan service restart" in failed.stderr
    os.kill(the(site, "vmlan-broker"), number)
    lib.wait_until(lambda: not role(site, "vmlan-broker"), 5)
    assert site.vmlan("exec", "shared", "--", "echo", "here").stdout == "here\n"
