# SPDX-License-Identifier: Apache-2.0
"""vmlan run --in-namespace: a hypervisor inside the network that opens its tap by name."""

import os
import signal
import subprocess

import pytest
from lib import wait_gone, wait_until
from netlib import Seat, kill, ports, successor

pytestmark = pytest.mark.engine

# A hypervisor like Firecracker: given a name, it opens the device and answers ARP for an address.
BY_NAME = r"""
import fcntl, os, struct, sys
name, mac = sys.argv[1], bytes.fromhex(sys.argv[2].replace(":", ""))
tap = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tap, 0x400454CA, struct.pack("16sH22x", name.encode(), 0x5002))  # TUNSETIFF: tap
assert os.environ["VMLAN_IFNAME"] == name and "VMLAN_FD" not in os.environ
print("open", flush=True)
me = bytes([192, 168, 107, 200])
while True:
    frame = os.read(tap, 65536)[10:]
    if frame[12:14] == b"\x08\x06" and frame[38:42] == me:
        reply = frame[6:12] + mac + frame[12:20] + b"\0\2" + mac + me + frame[22:32]
        os.write(tap, bytes(10) + reply)
"""


def hypervisor(site, *options):
    return site.popen("run", "--in-namespace", "-n", "shared,name=fire", *options, "--", "python3",
                      "-c", BY_NAME, "{ifname}", "{mac}", stdin=subprocess.PIPE)


def gone(site):
    wait_until(lambda: not ports(site), what="the port's end")


@pytest.mark.sanitized
def test_a_tap_is_opened_by_its_name(site):
    vm = hypervisor(site)
    assert vm.stdout.readline() == "open\n"
    assert [(one["backend"], one["name"]) for one in ports(site).values()] == [("named_tap",
                                                                              "fire")]
    guest = Seat(site, "shared", name="guest")
    guest.until("ping -c 1 -W 1 192.168.107.200 >/dev/null; ip neigh | grep -q "
                "'192.168.107.200.*lladdr'")
    guest.leave()
    vm.kill()
    gone(site)


def test_the_tap_goes_also_when_nobody_opened_it(site):
    assert site.vmlan("run", "--in-namespace", "shared", "--", "sh", "-c",
                      "ip -o link show $VMLAN_IFNAME | grep -c NO-CARRIER").stdout == "1\n"
    gone(site)


def test_the_tap_stays_while_a_child_of_the_command_lives(site):
    child = site.popen("run", "--in-namespace", "shared", "--", "sh", "-c",
                       "cat <&3 >/dev/null 2>&1 & echo", stdin=subprocess.PIPE,
                       preexec_fn=lambda: os.dup2(0, 3), pass_fds=[3])
    child.stdout.readline()
    assert child.wait(5) == 0
    assert list(ports(site)) == ["vm0"]
    child.stdin.close()
    gone(site)


@pytest.mark.sanitized
def test_a_new_holder_follows_it(site):
    vm = hypervisor(site)
    assert vm.stdout.readline() == "open\n"
    before = ports(site)
    old = kill(site, "vmlan-holder")
    assert ports(site) == before
    successor(site, "vmlan-holder", old, 5)
    os.kill(vm.pid, signal.SIGKILL)
    assert not wait_gone([vm.pid], 5)
    gone(site)


@pytest.mark.parametrize("words, message", [
    (["-n", "shared,backend=stream"], "shared: a tap by name has no backend or queues; leave them "
     "out, or --in-namespace"),
    (["-n", "shared", "-n", "host"], "a command can be inside one network only; name one network, "
     "or leave --in-namespace out")])
def test_what_can_not_be(site, words, message):
    failed = site.vmlan("run", "--in-namespace", *words, "--", "true", check=False)
    assert (failed.returncode, failed.stderr) == (1, f"vmlan run: {message}\n")


def test_qemu_is_told_the_name(site):
    """... which a stand-in that prints its arguments shows."""
    fake = site.write("qemu-system-x86_64", "#!/bin/sh\necho \"$@\"\n")
    fake.chmod(0o755)
    words = site.vmlan("run", "--in-namespace", "shared", "--", fake, "-m", "64").stdout.split()
    assert words[:4] == ["-m", "64", "-netdev",
                         "tap,id=vmlan0,ifname=vm0,script=no,downscript=no"]
    assert words[4] == "-device" and words[5].startswith("virtio-net-pci,netdev=vmlan0,mac=52:")
    gone(site)


@pytest.mark.needs("qemu-system-x86_64")
def test_qemu_opens_it(site):
    """Without a disk: its firmware has nothing to boot, but the tap is open and has a guest."""
    vm = site.popen("run", "--in-namespace", "-n", "shared,name=q", "--", "qemu-system-x86_64",
                    "-display", "none", "-m", "64", "-nodefaults", "-accel", "tcg", "-S")
    wait_until(lambda: "vm0" in ports(site), what="the port")
    shown = ["exec", "shared", "--", "ip", "-o", "link", "show", "vm0"]
    wait_until(lambda: "LOWER_UP" in site.vmlan(*shown).stdout, 10, "the carrier")
    vm.kill()
    gone(site)
