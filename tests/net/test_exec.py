# SPDX-License-Identifier: Apache-2.0
"""vmlan exec: a command at the host's seat on a network."""

import os
import subprocess

import pytest
from lib import wait_gone, wait_until
from netlib import Seat, running, the

pytestmark = pytest.mark.engine
QUICK = "vmnet:\n  lan: {linger: 0, subnet: 10.57.0.0/24}\n"


@pytest.mark.sanitized
def test_seat_has_the_gateways_addresses(site):
    guest, seat = Seat(site, "shared", name="guest"), Seat(site, "shared", verb="exec")
    assert seat.addresses(4, "br0") == ["192.168.107.1"]
    gateway6, = seat.addresses(6, "br0")
    assert site.json("inspect", "shared")["network"]["gateway6"] == gateway6
    assert guest.check("ip -4 route show default").split()[2] == "192.168.107.1"


@pytest.mark.sanitized
def test_seat_reaches_guests_by_name(site):
    guest, seat = Seat(site, "shared", name="guest"), Seat(site, "shared", verb="exec")
    assert seat.check("getent ahostsv4 guest").split()[0] == guest.address
    seat.check("ping -4 -c 1 -W 5 guest")
    guest6 = guest.address6()
    seat.until("getent ahostsv6 guest | grep -q ^fd")
    assert seat.check("getent ahostsv6 guest.shared.internal").split()[0] == guest6
    seat.check("ping -6 -c 1 -W 5 guest")


def test_guest_reaches_a_service_at_the_seat(site):
    guest, seat = Seat(site, "shared", name="guest"), Seat(site, "shared", verb="exec")
    seat.serve()
    assert guest.fetch("http://host.internal:8000/") == "200"
    seat.unserve()


def test_network_stays_while_a_seat_is_taken(site):
    site.config(QUICK)
    seat, guest = Seat(site, "lan", verb="exec"), Seat(site, "lan", name="guest")
    holder = the(site, "vmlan-holder")
    guest.leave()
    wait_until(lambda: site.json("ls")[0]["ports"] == [], what="the port's end")
    seat.check("ip addr show br0")
    assert the(site, "vmlan-holder") == holder
    seat.leave()
    assert wait_gone([holder], 5) == []
    assert running(site) == []


def test_process_left_behind_keeps_the_network(site):
    site.config(QUICK)
    child = site.popen("exec", "lan", "--", "sh", "-c", "cat <&3 >/dev/null 2>&1 & echo",
                       stdin=subprocess.PIPE, preexec_fn=lambda: os.dup2(0, 3), pass_fds=[3])
    child.stdout.readline()
    assert child.wait(5) == 0 and running(site) == ["lan"]
    holder = the(site, "vmlan-holder")
    child.stdin.close()
    assert wait_gone([holder], 5) == []


def test_command_gets_one_descriptor(site):
    """The writing end of a pipe: it keeps the network."""
    done = site.vmlan("exec", "shared", "--", "sh", "-c", "ls -l /proc/$$/fd")
    kept = [line.split("-> ")[1] for line in done.stdout.splitlines()[1:]
            if line.split()[-3] not in ("0", "1", "2")]
    assert len(kept) == 1 and kept[0].startswith("pipe:")


def test_seat_is_root_of_the_network_only(site):
    done = site.vmlan("exec", "shared", "--", "sh", "-c", "set -e; id -u; ip link add d0 type "
                      "bridge; ip link del d0; cat /proc/self/uid_map")
    assert done.stdout.split() == ["0", "0", str(site.user.uid), "1"]


@pytest.mark.parametrize("command, status", [("exit 9", 9), ("kill -TERM $$", -15)])
def test_exit_status_is_the_commands(site, command, status):
    assert site.vmlan("exec", "shared", "--", "sh", "-c", command,
                      check=False).returncode == status


def test_resolver_of_the_host_stays(site):
    before = open("/etc/resolv.conf").read()
    text = site.vmlan("exec", "shared", "--", "cat", "/etc/resolv.conf").stdout
    assert "search shared.internal" in text and "nameserver 192.168.107.1" in text
    assert open("/etc/resolv.conf").read() == before
