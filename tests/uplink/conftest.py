# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the uplink's tests: the world (world.py), a vmlan on its host, and guests there."""

import json
import sys
from pathlib import Path

import lib
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "net"))
from netlib import Seat  # noqa: E402
from world import RESOLVERS, SERVER, World, missing_world  # noqa: E402


@pytest.fixture(scope="session")
def world(vm_user, test_root):
    """The host and the internet with its servers; a test that changes something puts it back."""
    reason = lib.missing_engine(vm_user) or missing_world(vm_user)
    if reason:
        pytest.skip(reason)
    one = World(vm_user, test_root)
    try:
        one.start()
        one.ping_sockets(True)
        addresses = ",".join(SERVER.values())
        one.serve("tcp", addresses)
        one.serve("udp", addresses + ",203.0.113.6,2001:db8::6")
        yield one
    finally:
        one.close()


class Place:
    """Where probes run: on the host, or in a guest."""

    def __init__(self, world, run):
        self.world, self.run = world, run

    def probe(self, *actions, timeout=60):
        """What each of these actions of probe.py saw."""
        text = json.dumps(actions)
        script = self.world.script("probe.py")
        return json.loads(self.run(f"python3 {script} '{text}'", timeout))


class Guest(Seat):
    """A guest that has its addresses of both families."""

    def __init__(self, world, site, network="shared", *options, name=None, both=True):
        super().__init__(site, network, *options, name=name)
        self.check("ip link show eth0")
        if both:
            self.address6()
        self.place = Place(world, self.check)

    def probe(self, *actions, timeout=60):
        return self.place.probe(*actions, timeout=timeout)


def make_site(world, vmlan_bin, test_root):
    site = lib.Site(world.host_user, vmlan_bin, test_root)
    resolv = site.write("resolv.conf", f"nameserver {RESOLVERS[0]}\n")
    site.env["VMLAN_RESOLV_CONF"] = str(resolv)
    return site


@pytest.fixture
def site(world, vmlan_bin, test_root):
    """A vmlan on the world's host, with the first resolver in its resolv.conf."""
    one = make_site(world, vmlan_bin, test_root)
    yield one
    one.close()


@pytest.fixture
def guest(world, site):
    """Makes guests: guest(), guest("lan", name="alice")."""
    def make(*words, **options):
        return Guest(world, site, *words, **options)
    return make


@pytest.fixture
def host(world):
    """A process on the host: what it sees is what a guest is to see."""
    return Place(world, lambda command, timeout: world.host(
        "sh", "-c", command, timeout=timeout).stdout)
