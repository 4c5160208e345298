# SPDX-License-Identifier: Apache-2.0
"""vmlan bench: that it measures what it says, on networks of every kind, and leaves nothing. How
fast anything is, no test says."""

import json
import signal

import pytest
from lib import wait_until

pytestmark = pytest.mark.engine
NETWORKS = """vmnet:
  lan: {linger: 0, subnet: 10.58.0.0/24}
  alone: {linger: 0, subnet: 10.58.1.0/24, mode: host}
  apart: {linger: 0, subnet: 10.58.2.0/24, isolated: true}
  silent: {linger: 0, subnet: 10.58.3.0/24, dhcp: false}
"""
GUESTS = ["guest to guest", "round trip, guest to guest"]
HOST = ["guest to host", "round trip, guest to host"]


@pytest.fixture
def bench_site(site):
    site.config(NETWORKS)
    return site


def bench(site, network):
    """The rows by their names."""
    result = site.vmlan("bench", network, "--seconds", "0.02", "--json", timeout=60)
    return {row["name"]: row for row in json.loads(result.stdout)}


def ports(site):
    return [port for network in site.json("ls") for port in network["ports"]]


@pytest.mark.sanitized
def test_every_row(bench_site):
    rows = bench(bench_site, "lan")
    assert sorted(rows) == sorted([*GUESTS, *HOST, "attach"])
    for name, row in rows.items():
        assert row["value"] > 0, row
        assert name == "attach" or row["loopback"] > 0, row
    wait_until(lambda: bench_site.processes() == [], 30, "the end of all processes")


def test_what_a_network_does_not_let_through_is_said(bench_site):
    rows = bench(bench_site, "alone")
    assert [name for name in rows if "failure" in rows[name]] == HOST
    rows = bench(bench_site, "apart")
    assert [name for name in rows if "failure" in rows[name]] == GUESTS


def test_table(bench_site):
    lines = bench_site.vmlan("bench", "lan", "-s", "0.02", timeout=60).stdout.splitlines()
    assert lines[0].startswith("network lan; ") and "cubic" in lines[0]
    assert lines[1].split() == ["vmlan", "loopback", "ratio"]
    assert [line[:28].strip() for line in lines[2:]] == [GUESTS[0], HOST[0], GUESTS[1], HOST[1],
                                                         "attach"]


def test_without_dhcp(bench_site):
    result = bench_site.vmlan("bench", "silent", check=False, timeout=60)
    assert result.returncode == 1 and result.stdout == ""
    assert result.stderr == ("vmlan bench: network silent has no DHCP, so its guests have no "
                             "address to measure with; measure a network with \"dhcp: true\"\n")


@pytest.mark.parametrize("seconds", ["", "x", "1s", "0", "-1", "nan", "inf", "61"])
def test_wrong_time(bench_site, seconds):
    result = bench_site.vmlan("bench", "--seconds", seconds, check=False)
    assert result.returncode == 1
    assert result.stderr == (f"vmlan bench: --seconds {seconds}: not a time; use 0.01 to 60\n")
    assert bench_site.processes() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_helpers_end_with_it(bench_site, number):
    process = bench_site.popen("bench", "lan", "--seconds", "60")
    wait_until(lambda: len(ports(bench_site)) == 2, what="two guests")
    process.send_signal(number)
    process.wait(10)
    wait_until(lambda: bench_site.processes() == [], 30, "the end of all processes")
