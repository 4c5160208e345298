# SPDX-License-Identifier: Apache-2.0
"""Guests that have gone are in nobody's way; those that are there keep their addresses."""

import pytest
from lib import wait_until
from netlib import Seat, the

pytestmark = pytest.mark.engine
SMALL = """vmnet:
  lab:
    subnet: 192.168.120.0/29
    reservations: [{name: db, mac: "52:54:00:00:00:01", ip: 192.168.120.3}]
"""
DEFAULTS = "vmnet: {lab: {subnet: 192.168.120.0/24}}"
RESERVED = """vmnet:
  lab:
    subnet: 192.168.120.0/24
    reservations:
    - {{mac: "{}", ip: 192.168.120.10}}
    - {{mac: "{}", ip: 192.168.120.11}}
"""
ADDRESS = "ip -4 -o addr show eth0 | tr -s ' ' | cut -d' ' -f4"


def address(site, *words):
    return site.vmlan("join", "lab", *words, "--", "sh", "-c", ADDRESS).stdout.strip()


@pytest.mark.sanitized
def test_guests_that_come_and_go(site):
    """Five addresses, one of them reserved, for a dozen guests one after the other."""
    site.config(SMALL)
    assert all(address(site, "--name", f"g{i}") for i in range(12))
    last = address(site, "--name", "g11")
    names = [lease["name"] for lease in site.json("leases", "lab")]
    assert "g11" in names and "g0" not in names and len(names) <= 4
    assert address(site, "--name", "g11") == last
    assert address(site, "--mac", "52:54:00:00:00:01") == "192.168.120.3/29"


def test_guests_that_stay(site):
    """They are asked for nothing, and DHCP and names are there again at once."""
    site.config(SMALL)
    stay = [Seat(site, "lab", name=f"s{i}") for i in range(3)]
    before = [one.address for one in stay]
    dnsmasq = the(site, "dnsmasq")
    for i in range(3):
        assert address(site, "--name", f"g{i}") not in [f"{one}/29" for one in before]
    assert the(site, "dnsmasq") != dnsmasq  # it was needed
    leases = {lease["name"]: lease["address"] for lease in site.json("leases", "lab")}
    assert [leases[f"s{i}"] for i in range(3)] == before
    wait_until(lambda: stay[0].run("getent ahostsv4 s2")[1].startswith(before[2]), what="the name")
    for one in stay:
        one.leave()


@pytest.mark.sanitized
def test_an_address_that_another_guest_had(site):
    """Who is to have a certain address has it, and is refused while another guest is there with it."""
    site.config(DEFAULTS)
    had = address(site, "--name", "first").partition("/")[0]
    assert address(site, "--ip", had, "--name", "second") == f"{had}/24"
    third = Seat(site, "lab", name="third")
    done = site.vmlan("join", "lab", "--ip", third.address, "--", "true", check=False)
    mac = {port["name"]: port["mac"] for port in site.json("ls")[0]["ports"]}["third"]
    assert (done.returncode, done.stderr) == (
        1, f"vmlan join: Attach.ip: {third.address} is the address of a guest that is here, {mac}; "
        "choose another address, or leave ip out to have one chosen\n")
    third.leave()


def test_an_address_that_is_reserved_later(site):
    """Also where two reservations change places."""
    first, second = "52:54:00:00:00:01", "52:54:00:00:00:02"
    for order in (first, second), (second, first):
        site.config(RESERVED.format(*order))
        for mac, end in zip(order, (10, 11)):
            assert address(site, "--mac", mac) == f"192.168.120.{end}/24"
        site.vmlan("down", "lab")
