# SPDX-License-Identifier: Apache-2.0
"""When ports and networks begin and end. Where a test must see that something does NOT end, another
network with the same linger time is its clock.
"""

import os
import statistics
import subprocess
import time

import pytest
from lib import wait_gone, wait_until
from netlib import Seat, Vm, down_all, ports, role, running, the

pytestmark = pytest.mark.engine
TWO = "vmnet:\n  a: {linger: %d}\n  b: {linger: %d}\n"


def pid_of(site, network):
    """The holder of one of several networks."""
    pid, = [one.pid for one in site.processes()
            if one.name == "vmlan-holder" and one.command.split(b"\0")[-2] == network.encode()]
    return pid


def test_port_goes_within_100_ms_of_sigkill(site):
    site.vmlan("up", "shared")
    times = []
    for _ in range(9):
        vm = Vm(site, "shared")
        assert list(ports(site)) == [vm.port]
        start = time.monotonic()
        vm.process.kill()
        while ports(site):
            assert time.monotonic() < start + 5
        times.append((time.monotonic() - start) * 1000)
        vm.process.wait()
    assert statistics.median(times) < 100, times


@pytest.mark.sanitized
def test_killed_vm_frees_its_port(site):
    first, second = Vm(site, "shared"), Vm(site, "shared")
    assert set(ports(site)) == {first.port, second.port}
    first.kill()
    wait_until(lambda: set(ports(site)) == {second.port}, what="the port's end")
    assert Vm(site, "shared").port == first.port  # the lowest that is free


def switches(pid):
    """How often a process went to sleep by itself."""
    status = open(f"/proc/{pid}/status").read()
    return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])


def rests(pids):
    before = [switches(pid) for pid in pids]
    time.sleep(1)  # this is what is measured
    return [switches(pid) for pid in pids] == before


def test_nothing_polls(site):
    """What polls wakes up in every second; dnsmasq and the kernel say something now and then."""
    vm = Vm(site, "shared")
    pids = [the(site, "vmlan-broker"), the(site, "vmlan-holder")]
    assert any(rests(pids) for _ in range(5))
    assert vm.leave() == 0


def test_port_stays_until_the_last_copy_of_its_fd_is_closed(site):
    child = site.popen("run", "shared", "--", "sh", "-c", "cat <&3 >/dev/null 2>&1 & echo",
                       stdin=subprocess.PIPE, preexec_fn=lambda: os.dup2(0, 3), pass_fds=[3])
    child.stdout.readline()
    assert child.wait(5) == 0
    assert list(ports(site)) == ["vm0"]
    child.stdin.close()
    wait_until(lambda: not ports(site), what="the port's end")


@pytest.mark.sanitized
def test_linger_0_ends_with_the_last_port(site):
    site.config("vmnet:\n  lan: {linger: 0}\n")
    first, second = Vm(site, "lan"), Vm(site, "lan")
    holder, broker = the(site, "vmlan-holder"), the(site, "vmlan-broker")
    first.leave()
    wait_until(lambda: list(ports(site, "lan")) == [second.port], what="the port's end")
    assert the(site, "vmlan-holder") == holder
    second.leave()
    assert wait_gone([holder, broker], 5) == []
    assert os.listdir(site.runtime / "net") == []
    assert not (site.runtime / "broker.sock").exists()


def test_linger_1_ends_a_second_later(site):
    site.config("vmnet:\n  lan: {linger: 1}\n")
    vm = Vm(site, "lan")
    holder = the(site, "vmlan-holder")
    start = time.monotonic()
    vm.leave()
    assert wait_gone([holder], 10) == []
    assert time.monotonic() - start >= 1


def test_new_port_stops_the_linger_time(site):
    site.config(TWO % (1, 1))
    vm, clock = Vm(site, "a"), Vm(site, "b")
    holder, clock_holder = pid_of(site, "a"), pid_of(site, "b")
    vm.leave()
    wait_until(lambda: not ports(site, "a"), what="the port's end")
    Vm(site, "a")
    clock.leave()
    assert wait_gone([clock_holder], 10) == []
    assert running(site) == ["a"] and pid_of(site, "a") == holder


def test_default_linger_is_a_minute(site):
    Vm(site, "shared").leave()
    assert site.json("ls")[0]["configuration"]["linger"] == 60


def test_grace_before_the_first_port(site):
    """Asked for, not got: the network waits for its first port though linger is 0."""
    site.config(TWO % (0, 0))
    failed = site.vmlan("run", "-n", "a,ip=203.0.113.1", "--", "true", check=False)
    assert failed.returncode == 1
    holder, clock = pid_of(site, "a"), Vm(site, "b")
    clock_holder = pid_of(site, "b")
    clock.leave()
    assert wait_gone([clock_holder], 5) == []
    assert running(site) == ["a"]
    Vm(site, "a").leave()
    assert wait_gone([holder], 5) == []


@pytest.mark.sanitized
def test_up_pins_and_down_ends(site):
    site.config(TWO % (0, 0))
    site.vmlan("up", "a")
    site.vmlan("up", "a")
    holder = pid_of(site, "a")
    assert [one["pinned"] for one in site.json("ls")] == [True]
    vm, clock = Vm(site, "a"), Vm(site, "b")
    clock_holder = pid_of(site, "b")
    vm.leave()
    wait_until(lambda: not ports(site, "a"), what="the port's end")
    clock.leave()
    assert wait_gone([clock_holder], 5) == []
    assert running(site) == ["a"]
    site.vmlan("down", "a")
    assert wait_gone([holder], 5) == []
    assert running(site) == []


def test_up_pins_a_network_that_runs(site):
    site.config(TWO % (0, 0))
    vm = Vm(site, "a")
    assert [one["pinned"] for one in site.json("ls")] == [False]
    site.vmlan("up", "a")
    assert [one["pinned"] for one in site.json("ls")] == [True]
    assert list(ports(site, "a")) == [vm.port]


def test_down_of_several(site):
    for network in ("shared", "host"):
        site.vmlan("up", network)
    assert sorted(running(site)) == ["host", "shared"]
    done = site.vmlan("down", "shared", "nosuch", "host", check=False)
    assert (done.returncode, done.stderr) == (
        1, "vmlan down: network nosuch is not running; vmlan ls shows which are; vmlan up nosuch "
           "starts it\n")
    assert wait_gone(role(site, "vmlan-holder"), 5) == []
    assert running(site) == []


def test_down_cuts_guests_off(site):
    alice, bob = Seat(site, "shared", name="alice"), Seat(site, "shared", name="bob")
    bob_address = bob.address
    alice.check(f"ping -c 1 -W 5 {bob_address}")
    holder, dnsmasq = the(site, "vmlan-holder"), the(site, "dnsmasq")
    site.vmlan("down", "shared")
    assert wait_gone([holder, dnsmasq], 5) == []
    assert running(site) == []
    assert alice.run(f"ping -c 1 -W 1 {bob_address}")[0] != 0


# A hypervisor's main loop: reads what is readable. After "down" it must have nothing to do.
HYPERVISOR = """
import os, select
fd = int(os.environ["VMLAN_FD"])
poll = select.poll()
poll.register(fd, select.POLLIN)
poll.register(0, select.POLLIN)
print(flush=True)
while True:
    for ready, _ in poll.poll():
        if ready == 0:
            raise SystemExit
        try:
            os.read(fd, 65536)
        except OSError:
            pass
"""


def cpu_seconds(pid):
    fields = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def test_down_does_not_make_a_hypervisor_spin(site):
    vm = site.popen("run", "shared", "--", "python3", "-c", HYPERVISOR, stdin=subprocess.PIPE)
    vm.stdout.readline()
    holder = the(site, "vmlan-holder")
    site.vmlan("down", "shared")
    assert wait_gone([holder], 5) == []
    before = cpu_seconds(vm.pid)
    time.sleep(1)  # this is what is measured
    assert cpu_seconds(vm.pid) - before < 0.1
    assert vm.poll() is None


def test_network_comes_back_after_down_with_guests(site):
    """The old port pins the old namespace; the new network knows nothing of it."""
    old = Vm(site, "-n", "shared,name=vm,mac=52:54:00:00:00:01")
    site.vmlan("down", "shared")
    new = Vm(site, "-n", "shared,name=vm,mac=52:54:00:00:00:01")
    guest = Seat(site, "shared", name="guest")
    assert guest.address.startswith("192.168.107.")
    assert set(ports(site)) == {new.port, "vm1"} and old.process.poll() is None


def test_down_and_run_in_a_row(site):
    """Whoever asks while a network is ending gets a new one."""
    for _ in range(10):
        assert site.vmlan("run", "shared", "--", "sh", "-c", "echo $VMLAN_FD").stdout.strip()
        site.vmlan("down", "shared")


def test_last_port_and_run_in_a_row(site):
    site.config("vmnet:\n  lan: {linger: 0}\n")
    for _ in range(15):
        assert site.vmlan("run", "lan", "--", "sh", "-c", "echo $VMLAN_FD").stdout.strip()


def test_nothing_is_left(site):
    vms = [Vm(site, "-n", "shared", "-n", "host") for _ in range(3)]
    guest = Seat(site, "shared", name="guest")
    assert guest.address
    for vm in vms:
        vm.leave()
    guest.leave()
    down_all(site)
    assert sorted(path.name for path in site.runtime.rglob("*")) == ["net"]
    assert sorted(path.name for path in site.state.iterdir()) == ["host.leases", "log",
                                                                "shared.leases"]
