# SPDX-License-Identifier: Apache-2.0
"""Guests of every kind on one network, each pair of them: QEMU on a tap and on the sockets whose
frames an adapter moves, and a command that has joined. They are booted once for all tests here.

A transfer is 100 MB of which the receiver compares each byte. Each pair has two of them: there over
IPv4, back over IPv6. VMLAN_MATRIX=full makes it four, and adds what is not worth everyday's time.
"""

import concurrent.futures
import ipaddress
import itertools
import os
import signal
import time

import lib
import pytest
import stage
from netlib import Seat
from shell import Shell

pytestmark = [pytest.mark.engine, pytest.mark.needs("qemu-system-x86_64"), pytest.mark.limit(240)]

FULL = os.environ.get("VMLAN_MATRIX") == "full"
SIZE = 100_000_000
SUBNET = ipaddress.ip_network("192.168.107.0/24")
# name of the guest -> backend as asked for, and as vmlan ls has it
QEMU = {"tap": ("tap", "tap"), "stream": ("stream", "stream"), "socket": ("socket", "stream"),
        "dgram": ("dgram", "datagram"), "tap-2": ("tap", "tap"), "stream-2": ("stream", "stream")}
if FULL:
    QEMU |= {"dgram-2": ("dgram_next", "datagram_next"), "socket-2": ("socket", "stream")}
JOINED = ("join", "join-2")
KINDS = ("tap", "stream", "socket", "dgram", "join")
PAIRS = [*itertools.combinations(KINDS, 2),
         *((kind, f"{kind}-2") for kind in KINDS if f"{kind}-2" in (*QEMU, *JOINED))]

EACH = pytest.mark.parametrize("name", [*QEMU, *JOINED])
EACH_PAIR = pytest.mark.parametrize("pair", PAIRS, ids="+".join, indirect=True)


class Joined(Seat, Shell):
    """A command that has joined the network, with the same questions as a QEMU guest."""

    def leave(self):
        self.run("kill $!")  # its transfer server
        super().leave()


@pytest.fixture(scope="module")
def site(vm_user, vmlan_bin, test_root):
    with lib.Site(vm_user, vmlan_bin, test_root) as one:
        yield one


@pytest.fixture(scope="module")
def guests(site, image, transfer):
    """Every guest by its name, with its addresses, ready to take transfers."""
    every = {name: stage.guest(site, image, name, networks=[f"shared,backend={backend}"])
             for name, (backend, _) in QEMU.items()}
    try:
        for guest in every.values():
            guest.start()
        for name in JOINED:
            every[name] = Joined(site, "shared", name=name)
            every[name].transfer = transfer
        for guest in every.values():
            guest.wait_address(4)
            guest.wait_address(6)
            guest.transfer_serve()
        yield every
    finally:
        for name, guest in every.items():
            guest.kill() if name in QEMU else guest.leave()


@pytest.fixture
def pair(request, guests):
    return [guests[name] for name in request.param]


def both_ways(pair):
    return [tuple(pair), tuple(reversed(pair))]


def backends(site):
    return {port["name"]: port["backend"] for network in site.json("ls")
            for port in network["ports"]}


def kill_role(site, role):
    victims = [one.pid for one in site.processes() if role.encode() in one.command]
    assert victims
    for pid in victims:
        os.kill(pid, signal.SIGKILL)


@EACH
def test_address_by_dhcp(site, guests, name):
    address = guests[name].wait_address(4)
    assert ipaddress.ip_address(address) in SUBNET
    assert [lease["address"] for lease in site.json("leases", "shared")
            if lease["name"] == name] == [address]
    assert "default via 192.168.107.1 dev eth0" in guests[name].check("ip -4 route")


@EACH_PAIR
def test_ping_by_name(pair):
    for one, other in both_ways(pair):
        for family in (4, 6):
            one.wait_reach(other.name, family)
            ping = one.ping(other.name, family, count=3, size=1400)
            assert ping.received == ping.sent == 3, (one.name, other.name, family)


@EACH_PAIR
def test_tcp(pair):
    for (one, other), first in zip(both_ways(pair), (4, 6)):
        for family in (4, 6) if FULL else (first,):
            one.transfer_send(other.wait_address(family), family, SIZE)


def test_ls_names_the_backends(site, guests):
    expected = {name: backend for name, (_, backend) in QEMU.items()}
    found = backends(site)
    assert {name: found[name] for name in expected} == expected
    assert set(found) == set(guests)


def test_broker_killed_below_iperf3(site, guests):
    """Twenty times while numbered datagrams go to a guest on a tap and to one on a stream."""
    flows = [("stream", "tap"), ("tap-2", "stream-2")]
    for _, target in flows:
        guests[target].iperf3_serve()
    before = backends(site)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        running = [pool.submit(guests[source].iperf3, target, "-u", "-b", "160K", "-l", "200",
                               seconds=8) for source, target in flows]
        for _ in range(20):
            kill_role(site, "broker")
            assert backends(site) == before
            time.sleep(0.2)  # spread over the time that iperf3 runs
        ends = [one.result()["end"]["sum"] for one in running]
    assert [end["lost_packets"] for end in ends] == [0, 0]
    assert all(end["packets"] > 500 for end in ends)


@pytest.mark.parametrize("role", ["forwarder", "holder", "broker"])
def test_a_role_is_killed(site, guests, role):
    kill_role(site, role)
    site.json("ls")  # whoever is missing is started again
    for names in PAIRS:
        for one, other in both_ways(names):
            guests[one].wait_reach(other, 4)
    assert set(backends(site)) == set(guests)


def test_a_guest_that_ends_frees_its_port(site, guests):
    for name in ("stream", "dgram", "tap"):
        guests[name].kill()
    gone = {"stream", "dgram", "tap"}
    lib.wait_until(lambda: not gone & set(backends(site)), 5)
    assert set(backends(site)) == set(guests) - gone
