# SPDX-License-Identifier: Apache-2.0
"""Many ports on one network: the last is as quick as the first, each costs little, and there is a
clear end.
"""

import os
import resource
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from netlib import role
from peer import Peer, Refused

pytestmark = [pytest.mark.engine, pytest.mark.limit(110)]

PORTS = 200
SAMPLE = 20
BRIDGE_PORTS = 1024  # BR_MAX_PORTS: net/bridge/br_private.h
IDLE_MAX = 300 * 1024  # bytes that an idle stream port may cost all processes together
SLOWER_MAX = 3  # times; a machine that is busy meanwhile is no more even than that


@pytest.fixture
def attach(site):
    """attach(backend) adds a port, which goes with the test, and returns the seconds it took."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    site.vmlan("up", "shared")
    every = []
    with Peer(site.runtime / "broker.sock") as peer:
        def add(backend):
            start = time.monotonic()
            _, fds = peer.attach("shared", backend=backend)
            taken = time.monotonic() - start
            every.extend(fds)
            return taken
        yield add
        with ThreadPoolExecutor(64) as pool:  # the kernel takes its time for each
            list(pool.map(os.close, every))
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def memory(site):
    """Bytes that vmlan's processes use, their share of what they share (Pss)."""
    total = 0
    for name in ("vmlan-broker", "vmlan-holder", "vmlan-forward"):
        for pid in role(site, name):
            with open(f"/proc/{pid}/smaps_rollup") as file:
                total += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
    return total * 1024


def test_two_hundred_ports(site, attach):
    """Half of them streams; attaching them does not get slower."""
    times = [attach(("tap", "stream")[i % 2]) for i in range(PORTS)]
    first, last = (statistics.median(part) for part in (times[:SAMPLE], times[-SAMPLE:]))
    print(f"attach: first {first * 1e3:.1f} ms, last {last * 1e3:.1f} ms")
    assert last < SLOWER_MAX * first, times
    assert len(site.json("ls")[0]["ports"]) == PORTS


def test_an_idle_stream_port_costs_little(site, attach):
    attach("stream")  # what the first one needs is there for all
    before = memory(site)
    for _ in range(PORTS):
        attach("stream")
    site.json("ls")
    each = (memory(site) - before) / PORTS
    print(f"memory of an idle stream port: {each / 1024:.1f} KiB")
    assert each < IDLE_MAX


def test_the_bridge_is_full(site, attach):
    """The port that the kernel has no room for is refused, in words; one that leaves makes room."""
    with pytest.raises(Refused) as refused:
        for _ in range(BRIDGE_PORTS + 1):
            attach("tap")
    assert refused.value.name == "io.vmlan.Broker.LimitReached"
    assert "1024" in refused.value.reason and refused.value.hint
    assert len(site.json("ls")[0]["ports"]) >= BRIDGE_PORTS - 2
