# SPDX-License-Identifier: Apache-2.0
"""vmlan join: any command as a guest with an address, names, and an MTU of its own."""

import os
import subprocess

import lib
import pytest
from netlib import Seat, down_all, kill, named, ports, the

pytestmark = pytest.mark.engine


@pytest.mark.sanitized
def test_address_name_and_route(site):
    alice = Seat(site, "shared", name="alice")
    assert alice.addresses(4) == ports(site)["vm0"]["addresses"]
    assert alice.address.startswith("192.168.107.")
    assert alice.check("ip -4 route show default").startswith("default via 192.168.107.1 dev eth0")
    mac = alice.check("cat /sys/class/net/eth0/address || ip -br link show eth0").split()[-1]
    lease, = [one for one in site.json("leases", "shared") if one["address"] == alice.address]
    assert lease["name"] == "alice" and ports(site)["vm0"]["mac"] in (mac, lease["mac"])


def test_interface_has_the_mac_of_its_port(site):
    alice = Seat(site, "shared", "--mac", "52:54:00:aa:bb:cc", name="alice")
    assert "52:54:00:aa:bb:cc" in alice.check("ip link show eth0")
    assert ports(site)["vm0"]["mac"] == "52:54:00:aa:bb:cc"


def test_same_address_after_down_and_up(site):
    """.77 comes from a wish, so that only the kept lease can explain it the second time."""
    first = Seat(site, "shared", "--ip", "192.168.107.77", name="alice")
    assert first.address == "192.168.107.77"
    first.leave()
    down_all(site)
    assert Seat(site, "shared", name="alice").address == "192.168.107.77"


def test_same_address_after_a_new_broker(site):
    first = Seat(site, "shared", "--ip", "192.168.107.78", name="alice")
    assert first.address == "192.168.107.78"
    first.leave()
    kill(site, "vmlan-broker")
    assert Seat(site, "shared", name="alice").address == "192.168.107.78"


@pytest.mark.sanitized
def test_guests_find_each_other_by_name(site):
    alice, bob = Seat(site, "shared", name="alice"), Seat(site, "shared", name="bob")
    assert alice.check("getent ahostsv4 bob").split()[0] == bob.address
    assert bob.check("getent ahostsv4 alice.shared.internal").split()[0] == alice.address
    bob6 = bob.address6()
    alice.address6()
    alice.until("getent ahostsv6 bob | grep -q ^fd")  # dnsmasq looks who is there first
    bob.until("getent ahostsv6 alice | grep -q ^fd")
    assert alice.check("getent ahostsv6 bob").split()[0] == bob6
    for family in (4, 6):
        alice.check(f"ping -{family} -c 1 -W 5 bob")
        bob.check(f"ping -{family} -c 1 -W 5 alice.shared.internal")


def test_addresses_have_names(site):
    alice = Seat(site, "shared", name="alice")
    assert alice.check(f"getent hosts {alice.address}").split()[1] == "alice.shared.internal"


def test_unknown_names_are_unknown(site):
    alice = Seat(site, "shared", name="alice")
    assert alice.run("getent ahosts nobody.shared.internal") == (2, "")
    assert alice.run("getent ahosts nobody.internal") == (2, "")


@pytest.mark.parametrize("name", ["host.internal", "host.lima.internal", "gateway.shared.internal"])
def test_the_gateway_has_names(site, name):
    alice = Seat(site, "shared", name="alice")
    assert alice.check(f"getent ahostsv4 {name}").split()[0] == "192.168.107.1"
    alice.check(f"ping -4 -c 1 -W 5 {name}")
    alice.address6()
    alice.check(f"ping -6 -c 1 -W 5 {name}")


def test_tcp_between_guests_by_name(site):
    alice, bob = Seat(site, "shared", name="alice"), Seat(site, "shared", name="bob")
    bob.serve()
    assert alice.fetch("http://bob:8000/") == "200"
    bob.unserve()


def test_mtu_is_1500(site):
    alice = Seat(site, "shared", name="alice")
    assert " mtu 1500 " in alice.check("ip link show eth0")
    alice.check("ping -4 -M do -s 1472 -c 1 -W 5 host.internal")
    status, text = alice.run("ping -4 -M do -s 1473 -c 1 -W 1 host.internal")
    assert status == 1 and "message too long" in text


@pytest.mark.sanitized
def test_mtu_is_9000_when_configured(site):
    site.config("vmnet:\n  big: {mtu: 9000}\n")
    alice, bob = Seat(site, "big", name="alice"), Seat(site, "big", name="bob")
    assert " mtu 9000 " in alice.check("ip link show eth0")
    for target in ("bob", "host.internal"):
        alice.check(f"ping -4 -M do -s 8972 -c 1 -W 5 {target}")
    bob.address6()
    alice.address6()
    alice.check(f"ping -6 -M do -s 8952 -c 1 -W 5 {bob.addresses(6)[0]}")


def test_resolver_is_the_networks(site):
    text = site.vmlan("join", "shared", "--", "cat", "/etc/resolv.conf").stdout
    words = [line.split() for line in text.splitlines() if not line.startswith("#")]
    assert ["search", "shared.internal"] in words
    assert ["nameserver", "192.168.107.1"] in words
    host = open("/etc/resolv.conf").read()
    assert "shared.internal" not in host


def test_command_is_root_inside_and_the_user_outside(site):
    done = site.vmlan("join", "shared", "--", "sh", "-c", "id -u; id -g; echo >$TMPDIR/made")
    assert done.stdout.split() == ["0", "0"]
    made = os.stat(site.root / "tmp/made")
    assert (made.st_uid, made.st_gid) == (site.user.uid, site.user.gid)


@pytest.mark.sanitized
@pytest.mark.parametrize("command, status", [
    ("true", 0), ("exit 7", 7), ("kill -TERM $$", -15), ("kill -KILL $$", -9)])
def test_exit_status_is_the_commands(site, command, status):
    assert site.vmlan("join", "shared", "--", "sh", "-c", command,
                      check=False).returncode == status


def test_command_gets_no_descriptor_and_no_child(site):
    done = site.vmlan("join", "shared", "--", "sh", "-c",
                      "read children </proc/$$/task/$$/children; echo .$children; ls /proc/$$/fd")
    assert done.stdout.split() == [".", "0", "1", "2"]


def test_pipe_ends_with_the_command(site):
    """The process that renews the lease holds nothing of the command's: a reader sees its end."""
    done = site.run("sh", "-c", f"{site.bin} join shared -- echo out | cat; echo end")
    assert done.stdout.split() == ["out", "end"]


def test_lease_keeper_ends_with_the_command(site):
    alice = Seat(site, "shared", name="alice")
    keepers = [one.pid for one in site.processes() if b"join" in one.command.split(b"\0")]
    assert len(keepers) == 1 and keepers[0] != alice.process.pid
    alice.process.kill()
    alice.process.wait(5)
    assert lib.wait_gone(keepers, 5) == []
    lib.wait_until(lambda: not ports(site), what="the port's end")


def test_address_that_is_wished_for(site):
    assert Seat(site, "shared", "--ip", "192.168.107.200").address == "192.168.107.200"


def test_reservation_of_the_configuration(site):
    site.config("vmnet:\n  lan:\n    subnet: 10.55.0.0/24\n    reservations:\n"
                "    - {name: web, mac: 52:54:00:00:00:55, ip: 10.55.0.9}\n")
    web = Seat(site, "lan", "--mac", "52:54:00:00:00:55", name="anything")
    other = Seat(site, "lan", name="other")
    assert web.address == "10.55.0.9" and other.address != web.address


def test_network_without_dhcp(site):
    site.config("vmnet:\n  quiet: {dhcp: false, subnet: 10.56.0.0/24}\n")
    bare = Seat(site, "quiet", name="bare")
    assert bare.addresses(4) == []
    by_hand = Seat(site, "quiet", "--ip", "10.56.0.7", name="byhand")
    assert by_hand.addresses(4) == ["10.56.0.7"]
    by_hand.check("ping -c 1 -W 5 10.56.0.1")


def test_waiting_for_a_lease(site):
    waiting = site.popen("leases", "--wait", "bob", "--json", "shared")
    the(site, "vmlan-broker")
    bob = Seat(site, "shared", name="bob")
    output, _ = waiting.communicate(timeout=10)
    assert waiting.returncode == 0
    assert f'"address": "{bob.address}"' in output and '"name": "bob"' in output


def test_waiting_for_a_lease_has_an_end(site):
    done = site.vmlan("leases", "--wait", "nobody", "--timeout", "1", "shared", check=False)
    assert (done.returncode, done.stderr) == (
        1, "vmlan leases: nobody has no lease on shared after 1 s\n")


def test_guests_are_told_apart(site):
    """The same command twice at once: two ports, two addresses, no name."""
    first, second = Seat(site, "shared"), Seat(site, "shared")
    assert first.address != second.address
    assert list(named(site).values()) == [None, None]


def test_background_command_keeps_the_port(site):
    """A port ends with the last process in its namespace, not with the first."""
    child = site.popen("join", "shared", "--", "sh", "-c", "cat <&3 & echo", stdin=subprocess.PIPE,
                       preexec_fn=lambda: os.dup2(0, 3), pass_fds=[3])
    child.stdout.readline()
    assert child.wait(5) == 0
    assert list(ports(site)) == ["vm0"]
    child.stdin.close()
    lib.wait_until(lambda: not ports(site), what="the port's end")
