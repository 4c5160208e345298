# SPDX-License-Identifier: Apache-2.0
"""Guests that have gone do not fill a subnet; those that are there keep their addresses."""

import pytest
from lib import wait_until
from netlib import Seat, the

pytestmark = pytest.mark.engine
SMALL = """vmnet:
  lab:
    subnet: 192.168.120.0/29
    reservations: [{name: db, mac: "52:54:00:00:00:01", ip: 192.168.120.3}]
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
