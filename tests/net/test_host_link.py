# SPDX-License-Identifier: Apache-2.0
"""The host's own interface on a network, for root and for a user who has CAP_NET_ADMIN and nothing
else. A network namespace of the test plays the host, so that the machine's own is not touched.
"""

import json
import os
import subprocess
from pathlib import Path

import lib
import pytest
from lib import wait_gone, wait_until
from netlib import Seat, by_way_of, kill, ports, successor, the

pytestmark = pytest.mark.engine
ONE_LINK = "vmnet:\n  lan: {subnet: 192.168.130.0/24, subnet6: 'fd00:130::/64'}\n"


class Administrator(lib.User):
    """An ordinary user who may make links."""

    @property
    def prefix(self):
        return ["setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups",
                "--inh-caps=-all,+net_admin", "--ambient-caps=-all,+net_admin", "--"]


def users():
    return {"root": lib.User(0, 0), "CAP_NET_ADMIN": Administrator(*lib.acting_user())}


@pytest.fixture(params=["root", "CAP_NET_ADMIN"])
def host(request, vmlan_bin, test_root):
    """A vmlan of who may make links, whose host is a namespace."""
    if os.geteuid() != 0:
        pytest.skip("only root can make links, or let somebody else make them")
    site = lib.Site(users()[request.param], vmlan_bin, test_root)
    site.config(ONE_LINK)
    site.env["VMLAN_CONFIG"] = str(site.root / "config/vmlan/networks.yaml")
    with subprocess.Popen(["unshare", "--net", "sh", "-c",
                           "ip link set lo up && echo && exec sleep infinity"],
                          stdout=subprocess.PIPE) as keeper:
        try:
            assert keeper.stdout.readline() == b"\n"
            with by_way_of(site, before=["nsenter", f"--net=/proc/{keeper.pid}/ns/net", "--"]):
                yield site
                site.close()
        finally:
            keeper.kill()


def links(host):
    return [one["ifname"] for one in json.loads(host.run("ip", "-j", "link").stdout)]


def state(host):
    """What a host is configured with, as texts; without counters and ages."""
    return [host.run("sh", "-c", command).stdout for command in (
        "ip -o addr | sort", "ip rule; ip route show table all; ip -6 route show table all",
        "nft list ruleset", "sysctl -a 2>/dev/null | grep -E '^net\\.(ipv4|ipv6|bridge)' | sort")]


@pytest.mark.sanitized
def test_host_and_guests_reach_each_other(host):
    before = state(host)
    made = host.vmlan("up", "lan", "--host-link").stdout
    name, address, address6 = made.split()
    assert (name, address, address6) == ("vmlan0", "192.168.130.254/24", "fd00:130::2/64")
    alice = Seat(host, "lan", name="alice")
    host.run("ping", "-c", "1", "-W", "5", alice.address)
    host.run("ping", "-c", "1", "-W", "5", alice.address6())
    alice.check("ping -c 1 -W 5 192.168.130.254")
    alice.check("ping -c 1 -W 5 fd00:130::2")
    assert sorted(one["backend"] for one in ports(host, "lan").values()) == ["host_link",
                                                                            "namespace"]
    assert "default" not in host.run("ip", "route").stdout + host.run("ip", "-6", "route").stdout
    alice.leave()
    holder = the(host, "vmlan-holder")
    host.vmlan("down", "lan")
    assert not wait_gone([holder], 5)
    assert links(host) == ["lo"]
    assert state(host) == before


def test_a_network_has_one_such_link(host):
    host.vmlan("up", "lan", "--host-link")
    failed = host.vmlan("up", "lan", "--host-link", check=False)
    assert failed.returncode == 1
    assert failed.stderr == ("vmlan up: network lan has a host link already; vmlan ls and ip addr "
                             "show it\n")
    assert links(host) == ["lo", "vmlan0"]


def test_the_link_outlives_roles_and_goes_with_the_network(host):
    host.vmlan("up", "lan", "--host-link")
    alice = Seat(host, "lan", name="alice")
    for name in ("vmlan-broker", "vmlan-holder"):
        old = kill(host, name)
        assert len(ports(host, "lan")) == 2
        successor(host, name, old, 5)
    host.run("ping", "-c", "1", "-W", "5", alice.address)
    host.vmlan("down", "lan")
    wait_until(lambda: links(host) == ["lo"], what="the link's end")


def test_the_link_can_be_deleted_by_hand(host):
    host.vmlan("up", "lan", "--host-link")
    host.run("ip", "link", "del", "vmlan0")
    wait_until(lambda: not ports(host, "lan"), what="the port's end")
    assert host.vmlan("up", "lan", "--host-link").stdout.startswith("vmlan0  192.168.130.")


@pytest.mark.parametrize("host", ["CAP_NET_ADMIN"], indirect=True)
@pytest.mark.sanitized
def test_a_broker_that_was_started_without_the_capability(host):
    """The kernel does not show it what program a process with the capability runs."""
    ordinary = ["setpriv", "--inh-caps=-all", "--ambient-caps=-all", "--"]
    host.run(*ordinary, host.bin, "up", "lan")
    broker = the(host, "vmlan-broker")
    assert host.vmlan("up", "lan", "--host-link").stdout.startswith("vmlan0  192.168.130.")
    assert host.vmlan("exec", "lan", "--", "echo", "here").stdout == "here\n"
    assert the(host, "vmlan-broker") == broker
    alice = Seat(host, "lan", name="alice")
    host.run(*ordinary, "ping", "-c", "1", "-W", "5", alice.address)


@pytest.mark.parametrize("host", ["CAP_NET_ADMIN"], indirect=True)
def test_no_role_has_the_capability(host):
    host.vmlan("up", "lan", "--host-link")
    for name in ("vmlan-broker", "vmlan-forward"):
        status = Path(f"/proc/{the(host, name)}/status").read_text()
        assert {"CapPrm:\t0000000000000000", "CapAmb:\t0000000000000000"} <= set(
            status.splitlines())


def test_who_is_not_root_is_told_what_else_there_is(site):
    failed = site.vmlan("up", "shared", "--host-link", check=False)
    assert failed.returncode == 1
    assert failed.stderr == (
        "vmlan up: only root can give the host an interface; as root (or with CAP_NET_ADMIN) it "
        "can; without, vmlan exec NET -- CMD reaches the guests\n")
    assert not (site.runtime / "net").exists()
