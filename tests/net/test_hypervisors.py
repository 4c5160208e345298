# SPDX-License-Identifier: Apache-2.0
"""The arguments vmlan run adds for each hypervisor, seen by a program of its name that prints what
it was called with.
"""

import os

import pytest
from netlib import named

pytestmark = pytest.mark.engine
MAC = "52:54:00:00:00:01"
PRINT = """#!/bin/sh
for word; do printf '%s\\n' "$word"; done
echo "fds=$VMLAN_FDS vhost=$VMLAN_VHOST_FDS fds1=$VMLAN_FDS1 mac=$VMLAN_MAC"
"""


@pytest.fixture
def called(site):
    """called("qemu-…", words, …): the words the program got, and its VMLAN_ variables."""
    def call(program, *words, networks=("-n", f"shared,mac={MAC}")):
        path = site.write(f"tmp/{program}", PRINT)
        path.chmod(0o755)
        site.env["PATH"] = f"{site.root}/tmp:{site.env['PATH']}"
        *got, told = site.vmlan("run", *networks, "--", program, *words).stdout.splitlines()
        return got, dict(word.split("=", 1) for word in told.split(" "))
    return call


def vhost(told, name="vhostfd"):
    return f",vhost=on,{name}={told['vhost']}" if told["vhost"] else ""


@pytest.mark.sanitized
@pytest.mark.parametrize("program", ["qemu-system-x86_64", "qemu-system-arm", "qemu-kvm", "kvm"])
def test_qemu(called, program):
    got, told = called(program, "-m", "256", "-nodefaults")
    assert got == ["-m", "256", "-nodefaults",
                   "-netdev", f"tap,id=vmlan0,fd={told['fds']}{vhost(told)}",
                   "-device", f"virtio-net-pci,netdev=vmlan0,mac={MAC}"]


def test_qemu_by_its_path(called, site):
    called("qemu-system-x86_64")
    done = site.vmlan("run", "shared", "--", site.root / "tmp/qemu-system-x86_64")
    assert "-netdev" in done.stdout.splitlines()


def test_qemu_with_queues(called):
    got, told = called("qemu-system-x86_64", networks=("-n", f"shared,mac={MAC},queues=4"))
    assert len(told["fds"].split(":")) == 4
    assert got == ["-netdev", f"tap,id=vmlan0,fds={told['fds']}{vhost(told, 'vhostfds')}",
                   "-device", f"virtio-net-pci,netdev=vmlan0,mac={MAC},mq=on,vectors=10"]


def test_qemu_with_two_networks(called):
    got, told = called("qemu-system-x86_64", networks=(
        "-n", f"shared,mac={MAC}", "-n", "host,mac=52:54:00:00:00:02"))
    assert got[5].startswith(f"tap,id=vmlan1,fd={told['fds1']}")
    assert [word for word in got if word.startswith("virtio")] == [
        f"virtio-net-pci,netdev=vmlan0,mac={MAC}",
        "virtio-net-pci,netdev=vmlan1,mac=52:54:00:00:00:02"]


def test_qemu_with_a_large_mtu(called, site):
    site.config("vmnet:\n  big: {mtu: 9000}\n")
    got, _ = called("qemu-system-x86_64", networks=("-n", f"big,mac={MAC}"))
    assert got[-1] == f"virtio-net-pci,netdev=vmlan0,mac={MAC},host_mtu=9000"


@pytest.mark.parametrize("program, words, device", [
    ("qemu-system-x86_64", ["-M", "microvm"], "virtio-net-device"),
    ("qemu-system-x86_64", ["-machine", "microvm,pic=off"], "virtio-net-device"),
    ("qemu-system-x86_64", ["-M", "q35"], "virtio-net-pci"),
    ("qemu-system-s390x", [], "virtio-net-ccw")])
def test_qemu_device_of_the_machine(called, program, words, device):
    got, _ = called(program, *words)
    assert got[-1] == f"{device},netdev=vmlan0,mac={MAC}"


@pytest.mark.parametrize("words", [["-name", "alice"], ["--name", "alice"],
                                   ["-name", "guest=alice,debug-threads=on"]])
def test_qemu_name_is_the_guests(called, site, words):
    """... and gives it the MAC address of that name, whatever else the command says."""
    _, told = called("qemu-system-x86_64", *words, networks=("shared",))
    assert told["mac"] == site.vmlan("run", "-n", "shared,name=alice", "--", "sh", "-c",
                                     "echo $VMLAN_MAC").stdout.strip()
    assert "of alice for process" in site.log()


def test_qemu_name_that_is_no_name(called, site):
    """A title is not a host name: the guest has none, and runs."""
    got, _ = called("qemu-system-x86_64", "-name", "My Machine (old)", networks=("shared",))
    assert "-netdev" in got and " of My" not in site.log()


def test_qemu_name_that_is_taken_gives_way(called, site):
    other = site.popen("run", "-n", "shared,name=alice", "--", "sh", "-c", "echo; read never",
                       stdin=-1)
    other.stdout.readline()
    got, _ = called("qemu-system-x86_64", "-name", "alice", networks=("shared",))
    assert "-netdev" in got
    assert list(named(site).values()) in (["alice"], ["alice", None])


def test_placeholders_replace_the_arguments(called):
    got, told = called("qemu-system-x86_64", "-netdev", "tap,id=mine,fd={fd}", "-device",
                       "e1000,netdev=mine,mac={mac}")
    assert got == ["-netdev", f"tap,id=mine,fd={told['fds']}", "-device",
                   f"e1000,netdev=mine,mac={MAC}"]


@pytest.mark.sanitized
def test_cloud_hypervisor(called):
    got, told = called("cloud-hypervisor", "--kernel", "x")
    assert got == ["--kernel", "x", "--net", f"fd={told['fds']},mac={MAC}"]
    got, told = called("cloud-hypervisor", networks=("-n", f"shared,mac={MAC},queues=2"))
    fds = told["fds"].replace(":", ",")
    assert got == ["--net", f"fd=[{fds}],mac={MAC},num_queues=4"]


def test_crosvm(called):
    got, told = called("crosvm", "--log-level", "info", "run", "--cpus", "1", "run")
    assert got == ["--log-level", "info", "run", "--net", f"tap-fd={told['fds']},mac={MAC}",
                   "--cpus", "1", "run"]


SOCKETS = [("stream", "stream,id=vmlan0,addr.type=fd,addr.str="),
           ("socket", "socket,id=vmlan0,fd="),
           ("dgram", "dgram,id=vmlan0,local.type=fd,local.str="),
           ("dgram_next", "dgram,id=vmlan0,local.type=fd,local.str="),
           ("tap_next", "tap,id=vmlan0,fd=")]


@pytest.mark.parametrize("variable", ["VMLAN_BACKEND", "_LIMA_QEMU_VMNET_BACKEND"])
@pytest.mark.parametrize("word, netdev", SOCKETS)
def test_the_backend_of_the_environment(called, site, variable, word, netdev):
    site.env[variable] = word
    got, told = called("qemu-system-x86_64")
    assert got[1].startswith(f"{netdev}{told['fds']}")


def test_which_backend_counts(called, site):
    """The command line, then VMLAN_BACKEND, then Lima's for this hypervisor, then the best."""
    site.env.update(VMLAN_BACKEND="dgram", _LIMA_QEMU_VMNET_BACKEND="stream",
                    _LIMA_KRUNKIT_VMNET_BACKEND="nonsense")
    named_one = ("-n", f"shared,mac={MAC},backend=socket")
    assert called("qemu-kvm", networks=named_one)[0][1].startswith("socket,")
    assert called("qemu-kvm")[0][1].startswith("dgram,")
    site.env["VMLAN_BACKEND"] = ""
    assert called("qemu-kvm")[0][1].startswith("stream,")
    del site.env["_LIMA_QEMU_VMNET_BACKEND"]
    assert called("qemu-kvm")[0][1].startswith("tap,")


@pytest.mark.parametrize("program, variable, value, why", [
    ("kvm", "VMLAN_BACKEND", "fast", 'there is no backend "fast"; use tap, tap_next, stream, '
     "socket, dgram, dgram_next, datagram or datagram_next, or unset it"),
    ("krunkit", "_LIMA_KRUNKIT_VMNET_BACKEND", "vde", 'there is no backend "vde"; use tap, '
     "tap_next, stream, socket, dgram, dgram_next, datagram or datagram_next, or unset it"),
    ("crosvm", "VMLAN_BACKEND", "socket",
     "crosvm can't be given the backend socket; it can be given: tap")])
def test_a_wrong_backend_in_the_environment(site, program, variable, value, why):
    site.env[variable] = value
    done = site.vmlan("run", "shared", "--", program, check=False)
    assert (done.returncode, done.stderr) == (1, f"vmlan run: ${variable}: {why}\n")
    assert not os.path.exists(site.runtime / "broker.sock")


@pytest.mark.parametrize("fields, kind, more", [
    ("", "unixstream", ""), (",backend=dgram", "unixgram", ""),
    (",tso=on,checksumOffload=on", "unixstream", ",offloading=on"),
    (",backend=datagram,tso=off,checksumOffload=off", "unixgram", "")])
def test_krunkit(called, fields, kind, more):
    got, told = called("krunkit", "--cpus", "2", networks=("-n", f"shared,mac={MAC}{fields}"))
    assert got == ["--cpus", "2", "--device",
                   f"virtio-net,type={kind},fd={told['fds']},mac={MAC}{more}"]


def test_other_programs_get_nothing_added(called):
    assert called("vmm", "{", "a b", "")[0] == ["{", "a b", ""]


@pytest.mark.parametrize("program, why", [
    ("firecracker", "firecracker takes a tap by name only"),
    ("krunvm", "libkrun takes a tap by name only")])
def test_programs_that_take_no_descriptor(site, program, why):
    done = site.vmlan("run", "shared", "--", program, check=False)
    assert (done.returncode, done.stderr) == (
        1, f"vmlan run: {program}: {why}; use vmlan run --in-namespace, with {{ifname}} where it "
           "takes the name\n")
    assert not os.path.exists(site.runtime / "broker.sock")
