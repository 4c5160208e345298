# SPDX-License-Identifier: Apache-2.0
"""Guests of every backend on one network: a tap, and sockets whose frames an adapter moves."""

import itertools
import os
import signal

import lib
import pytest
import stage

pytestmark = [pytest.mark.engine, pytest.mark.needs("qemu-system-x86_64"), pytest.mark.limit(240)]

BACKENDS = ("tap", "stream", "socket", "datagram_next")


@pytest.fixture(scope="module")
def site(vm_user, vmlan_bin, test_root):
    one = lib.Site(vm_user, vmlan_bin, test_root)
    yield one
    one.close()


@pytest.fixture(scope="module")
def guests(site, image):
    every = [stage.guest(site, image, backend.replace("_", "-"),
                         networks=[f"shared,backend={backend}"], memory=128)
             for backend in BACKENDS]
    try:
        for guest in every:
            guest.start()
        for guest in every:
            guest.wait_address(4)
            guest.wait_address(6)
        yield every
    finally:
        for guest in every:
            guest.kill()


def ports(site):
    return {port["name"]: port["backend"] for network in site.json("ls")
            for port in network["ports"]}


def kill_role(site, role):
    victims = [one.pid for one in site.processes() if role.encode() in one.command]
    assert victims
    for pid in victims:
        os.kill(pid, signal.SIGKILL)


def test_every_pair_reaches_the_other(guests):
    for one, other in itertools.permutations(guests, 2):
        for family in (4, 6):
            one.wait_reach(other.name, family)


def test_ls_names_the_backends(site, guests):
    assert ports(site) == {"tap": "tap", "stream": "stream", "socket": "stream",
                           "datagram-next": "datagram_next"}


@pytest.mark.parametrize("family", [4, 6])
def test_tcp_between_backends(guests, family):
    tap, stream, _, datagram = guests
    for one, other in [(tap, stream), (stream, tap), (stream, datagram), (datagram, tap)]:
        other.iperf3_serve()
        one.wait_reach(other.name, family)
        end = one.iperf3(other.name, f"-{family}", seconds=1)["end"]
        assert end["sum_received"]["bytes"] > 1000000, (one.name, other.name)


@pytest.mark.parametrize("role", ["forwarder", "holder", "broker"])
def test_a_role_is_killed(site, guests, role):
    kill_role(site, role)
    site.json("ls")  # whoever is missing is started again
    for one, other in itertools.permutations(guests, 2):
        one.wait_reach(other.name, 4)
    assert len(ports(site)) == len(BACKENDS)


def test_a_guest_that_ends_frees_its_port(site, guests):
    guests[1].kill()
    lib.wait_until(lambda: "stream" not in ports(site), 5)
    assert len(ports(site)) == len(BACKENDS) - 1
