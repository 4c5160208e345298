# SPDX-License-Identifier: Apache-2.0
"""A broker that is killed, or replaced by a new binary, again and again below guests that talk. The
guests are anybody with name, run() and check() as netlib.Seat has them.
"""

import json
import os
import shutil

import lib
from figures import figures
from netlib import free_port, kill, ports, the
from peer import Peer

ROUNDS = 100
FLOW = 6  # seconds


def own_vmlan(site):
    """Gives the site a vmlan of its own, which can be replaced."""
    own = site.root / "bin" / "vmlan"
    own.parent.mkdir()
    site.user.own(own.parent)
    shutil.copy(site.bin, own)
    site.bin = site.user.own(own)
    return site


def overwrite(site):
    """As a package manager does it: another file, renamed over the old one."""
    new = site.bin.with_suffix(".new")
    shutil.copy(site.bin, new)
    os.rename(site.user.own(new), site.bin)


def replace(site):
    """A new binary, and the old broker told to end; the next command starts a new one."""
    overwrite(site)
    with Peer(site.runtime / "broker.sock") as peer:
        old = the(site, "vmlan-broker")
        peer.call("Quit")
    assert not lib.wait_gone([old], 5)


class Flow:
    """iperf3 between two guests, numbered datagrams both ways, in the background."""

    def __init__(self, source, target, address, seconds):
        target.check("iperf3 -s -1 >/dev/null 2>&1 &")
        target.check("until grep -q ':1451 ' /proc/net/tcp /proc/net/tcp6; do sleep 0.05; done")
        self.source, self.path = source, f"${{TMPDIR:-/tmp}}/{source.name}.iperf3"
        source.check(f"rm -f {self.path}.end; "
                     f"{{ iperf3 -J -u -l 200 -b 160K --bidir -t {seconds} -c {address} "
                     f">{self.path} 2>&1; : >{self.path}.end; }} >/dev/null 2>&1 &")

    def running(self):
        return self.source.run(f"test -e {self.path}.end")[0] != 0

    def end(self, timeout):
        """Waits for it: how many datagrams it sent, and how many of them were lost."""
        self.source.check(f"until test -e {self.path}.end; do sleep 0.1; done", timeout)
        end = json.loads(self.source.check(f"cat {self.path}"))["end"]
        sums = [end[name] for name in ("sum", "sum_bidir_reverse")]
        assert min(one["packets"] for one in sums) > 100, sums
        return [sum(one[name] for one in sums) for name in ("packets", "lost_packets")]


def assert_no_growth(first, last):
    assert {name: len(found) for name, found in last.items()} == \
        {name: len(found) for name, found in first.items()}
    for name, (before,) in first.items():
        (after,) = last[name]
        assert after.descriptors <= before.descriptors + 2, name  # a connection on its way out
        assert after.memory <= before.memory + 512, name


def kill_and_replace(site, source, target, address):
    """ROUNDS times, below a Flow between these two guests of network shared, the second of which
    answers HTTP at port 8000: no datagram is lost, nothing grows, all the network had it has.
    """
    port = free_port()
    site.vmlan("up", "shared")
    site.vmlan("forward", "shared", "add", f"127.0.0.1:{port}:{target.name}:8000")
    before, leases = ports(site), site.json("leases", "shared")
    holder, forwarder = the(site, "vmlan-holder"), the(site, "vmlan-forward")

    def one_round(number):
        if number % 2:
            replace(site)
        else:
            kill(site, "vmlan-broker")
        assert ports(site) == before

    for number in range(4):
        one_round(number)
    first, processes = figures(site), len(site.processes())
    done = sent = 0
    while done < ROUNDS:  # one flow after the other: how long a round takes is the machine's matter
        flow = Flow(source, target, address, FLOW)
        while done < ROUNDS and flow.running():
            one_round(done)
            done += 1
        last = figures(site)
        packets, lost = flow.end(FLOW + 20)
        sent += packets
        assert lost == 0, f"{lost} of {packets} datagrams after {done} rounds"
    print(f"{done} rounds, {sent} datagrams, {first} {last}")
    assert_no_growth(first, last)
    assert len(site.processes()) == processes
    assert site.json("leases", "shared") == leases
    assert [one["pinned"] for one in site.json("ls")] == [True]
    assert site.json("forward", "shared", "ls")[0]["active"]
    assert site.run("python3", "-c", "import urllib.request as web; print(web.urlopen("
                    f"'http://127.0.0.1:{port}/', timeout=5).status)").stdout == "200\n"
    assert (the(site, "vmlan-holder"), the(site, "vmlan-forward")) == (holder, forwarder)
    exe = os.stat(f"/proc/{the(site, 'vmlan-broker')}/exe")
    assert (exe.st_dev, exe.st_ino) == (site.bin.stat().st_dev, site.bin.stat().st_ino)
