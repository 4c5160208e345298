# SPDX-License-Identifier: Apache-2.0
"""From nothing to a descriptor in hand, and the many who start at once. The limits are medians of
wall-clock time from the start of "vmlan run" to the first line its command prints.
"""

import os
import statistics
import subprocess
import time

import lib
import pytest
from netlib import Seat, Vm, down_all, named, ports, role, running, the

pytestmark = pytest.mark.engine


def attach_ms(site):
    """One "vmlan run shared": ms until the command runs, with the tap's number in its hand."""
    start = time.monotonic()
    child = site.popen("run", "shared", "--", "sh", "-c", "echo $VMLAN_FD")
    line = child.stdout.readline()
    took = (time.monotonic() - start) * 1000
    assert line.strip().isdigit(), child.stderr.read()
    assert child.wait(10) == 0
    return took


def test_from_nothing_to_fd_in_150_ms(site):
    times = []
    for _ in range(9):
        times.append(attach_ms(site))
        down_all(site)
    assert statistics.median(times) < 150, times


def test_with_network_up_to_fd_in_15_ms(site):
    site.vmlan("up", "shared")
    times = [attach_ms(site) for _ in range(25)]
    assert statistics.median(times) < 15, times


@pytest.mark.sanitized
def test_ten_at_once_make_one_network(site):
    children = [site.popen("run", "shared", "--", "sh", "-c", "echo $VMLAN_PORT $VMLAN_MAC; cat",
                           stdin=subprocess.PIPE) for _ in range(10)]
    got = [child.stdout.readline().split() for child in children]
    assert running(site) == ["shared"]
    assert {port: one["mac"] for port, one in ports(site).items()} == dict(got)
    assert len(dict(got)) == 10 and len({mac for _, mac in got}) == 10
    assert len(role(site, "vmlan-broker")) == len(role(site, "vmlan-holder")) == 1
    pids = {port: child.pid for (port, _), child in zip(got, children)}
    assert {port: one["pid"] for port, one in ports(site).items()} == pids


def test_ten_networks_at_once(site):
    site.config("vmnet:\n" + "".join(f"  n{i}: {{linger: 0}}\n" for i in range(10)))
    children = [site.popen("run", f"n{i}", "--", "sh", "-c", "echo $VMLAN_SUBNET; cat",
                           stdin=subprocess.PIPE) for i in range(10)]
    subnets = [child.stdout.readline().strip() for child in children]
    assert len(set(subnets)) == 10 and all(subnets)
    assert sorted(running(site)) == sorted(f"n{i}" for i in range(10))
    assert len(role(site, "vmlan-broker")) == 1


@pytest.mark.sanitized
def test_listing_starts_nothing(site):
    assert site.json("ls") == []
    assert site.vmlan("ls").stdout == ""
    assert site.processes() == []


def test_log_goes_to_the_state_directory(site):
    site.vmlan("--log-level", "debug", "--log-format", "json", "run", "shared", "--", "true")
    the(site, "vmlan-holder")
    assert '"level":"info"' in site.log().replace(" ", "")
    assert "the network starts" in site.log()


def test_log_follows_the_command_and_not_the_guest(site):
    vm = Vm(site, "shared")
    assert vm.leave() == 0
    assert vm.process.stderr.read() == ""


def test_without_any_variable_of_ours(site):
    """The directories of an ordinary user, as a session has them."""
    ours = {name: site.env.pop(name) for name in ("VMLAN_RUNTIME_DIR", "VMLAN_STATE_DIR")}
    session = site.root / "session"
    session.mkdir(mode=0o700)
    site.env["XDG_RUNTIME_DIR"] = str(site.user.own(session))
    try:
        seat = Seat(site, "shared", name="seat")
        assert site.json("leases", "shared")[0]["address"]
        assert seat.leave() == 0
        site.vmlan("down", "shared")
    finally:
        mark = f"XDG_RUNTIME_DIR={session}".encode()
        left = [one.pid for one in lib.processes() if mark in one.environ.split(b"\0")]
        assert not lib.wait_gone(left, 10)
        site.env.update(ours)
    assert sorted(path.name for path in (site.root / "home/.local/state/vmlan").iterdir()) == [
        "log", "shared.leases"]
    assert list((session / "vmlan").rglob("*.sock")) == []


@pytest.fixture
def root_site(vmlan_bin, test_root):
    if os.geteuid() != 0:
        pytest.skip("not root")
    with lib.Site(lib.User(0, 0), vmlan_bin, test_root) as one:
        yield one


@pytest.mark.sanitized
def test_root_has_networks_too(root_site):
    vm = Vm(root_site, "-n", "shared,name=vm")
    guest = Seat(root_site, "shared", name="guest")
    assert guest.address.startswith("192.168.107.")
    assert sorted(named(root_site).values()) == ["guest", "vm"]
    guest.check("ping -c 1 -W 5 host.internal")
    assert "192.168.107.1/24" in root_site.vmlan("exec", "shared", "--", "ip", "addr").stdout
    assert vm.leave() == 0


def test_root_does_not_use_the_directory_of_another(root_site, site):
    site.vmlan("up", "shared")
    root_site.env["VMLAN_RUNTIME_DIR"] = str(site.runtime)
    done = root_site.vmlan("ls", check=False)
    root_site.env["VMLAN_RUNTIME_DIR"] = str(root_site.runtime)
    assert (done.returncode, done.stderr) == (
        1, f"vmlan ls: {site.runtime} is not a directory that belongs to this user alone; "
           "remove it, or chown it to uid 0 and chmod 0700 it\n")
