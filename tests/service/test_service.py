# SPDX-License-Identifier: Apache-2.0
"""vmlan service with a real "systemd --user": the broker started by its socket, stopped, killed and
replaced while guests talk.
"""

import contextlib
import os
import shutil
import signal
import socket

import pytest
from asker import Cable, answers, connected
from lib import wait_gone, wait_until
from manager import Manager, missing_manager
from netlib import Seat, Vm, kill, named, ports, role, running, successor, the

pytestmark = [pytest.mark.engine, pytest.mark.needs("unshare", "setpriv")]


@pytest.fixture
def manager(site):
    """Also ends the networks: what is in a control group keeps that from being removed."""
    if reason := missing_manager(site):
        pytest.skip(reason)
    one = Manager(site)
    yield one
    site._end_children()
    problems = list(site._end_networks())
    site.vmlan("service", "unregister", check=False)
    one.close()
    assert not problems


@pytest.fixture
def registered(site, manager):
    site.vmlan("service", "register")
    return manager


def units(site):
    folder = site.root / "config/systemd/user"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def log_of(manager):
    return (manager.site.root / "manager.log").read_text(errors="replace")


def test_register_says_what_it_did(site, manager):
    folder = site.root / "config/systemd/user"
    done = site.vmlan("service", "register")
    sockets = ["vmlan.socket", "vmlan-stream-shared.socket", "vmlan-datagram-shared.socket",
               "vmlan-stream-host.socket", "vmlan-datagram-host.socket"]
    assert done.stdout == "".join(
        [*(f"wrote {folder}/{unit}\n" for unit in (*sockets, "vmlan.service")),
         f"enabled and started {' '.join(sockets)}\n",
         "the broker now starts when a program asks for a network, and a network when a hypervisor "
         "connects to its path\n"])
    assert manager.state("vmlan.socket") == "active"
    assert manager.systemctl("is-enabled", "vmlan.socket").stdout == "enabled\n"
    assert role(site, "vmlan-broker") == []
    status = site.json("service", "status")
    assert (status["registered"], status["systemd"]) == (True, True)
    assert {one["unit"]: one["state"] for one in status["units"]} == {
        **dict.fromkeys(sockets, "active"), "vmlan.service": "inactive"}
    assert "registered, by the units in" in site.vmlan("service", "status").stdout
    assert site.json("ls") == []
    assert role(site, "vmlan-broker") == []  # looking did not start it


def test_question_starts_the_broker(site, registered):
    site.vmlan("up", "shared")
    assert registered.main_pid() == the(site, "vmlan-broker")
    assert registered.state() == "active"  # Type=notify: it said that it is ready
    assert running(site) == ["shared"]


def test_broker_ends_when_idle_and_comes_again(site, registered):
    site.vmlan("up", "shared")
    site.vmlan("down", "shared")
    broker = registered.main_pid()
    assert not wait_gone([broker], 15)
    wait_until(lambda: registered.state() == "inactive", what="the end of the service")
    assert (site.runtime / "broker.sock").exists()  # systemd's
    site.vmlan("up", "shared")
    assert registered.main_pid() not in (0, broker)


def restart_by_systemd(site, manager):
    manager.systemctl("restart", "vmlan.service")


def restart_by_vmlan(site, manager):
    assert site.vmlan("service", "restart").stdout == (
        "the broker has ended; the next one is this vmlan\nnetwork shared goes on\n")


def stop_and_ask(site, manager):
    manager.systemctl("stop", "vmlan.service")
    assert manager.main_pid() == 0
    assert running(site) == ["shared"]


def crash(site, manager):
    os.kill(manager.main_pid(), signal.SIGKILL)  # Restart=on-failure


@pytest.mark.parametrize("replace", [restart_by_systemd, restart_by_vmlan, stop_and_ask, crash])
def test_guests_do_not_notice(site, registered, replace):
    one, vm = Seat(site, "shared", name="one"), Vm(site, "-n", "shared,name=vm")
    other = Seat(site, "shared", name="other")
    holder, forwarder = the(site, "vmlan-holder"), the(site, "vmlan-forward")
    one.ping_start("other")
    for _ in range(3):
        broker = registered.main_pid()
        replace(site, registered)
        assert successor(site, "vmlan-broker", broker, timeout=10)
        wait_until(lambda: registered.main_pid() not in (0, broker), what="the next broker")
    sent, received = one.ping_end()
    assert sent == received
    assert the(site, "vmlan-holder") == holder and the(site, "vmlan-forward") == forwarder
    assert sorted(named(site).values()) == ["one", "other", "vm"]
    assert vm.leave() == 0 and other.leave() == 0


def test_register_takes_over_from_a_broker_of_a_client(site, manager):
    seat = Seat(site, "shared", name="seat")
    broker, holder = the(site, "vmlan-broker"), the(site, "vmlan-holder")
    assert site.vmlan("service", "register").stdout.endswith("network shared goes on\n")
    assert manager.main_pid() == the(site, "vmlan-broker") != broker
    assert the(site, "vmlan-holder") == holder
    assert list(named(site).values()) == ["seat"]
    seat.check("ping -c 1 -W 5 host.internal")


def test_register_again(site, registered):
    """With another configuration: the sockets of a network that runs stay as they are."""
    with connected(site) as cable:
        assert answers(cable)
        site.config("vmnet:\n  shared: {subnet: 192.168.107.0/24}\n  other: {subnet: 192.168.77.0/24}\n")
        assert site.vmlan("service", "register").stdout.endswith("network shared goes on\n")
        assert answers(cable)
    with connected(site) as cable:
        assert answers(cable)
    with connected(site, "other") as cable:
        assert answers(cable, "192.168.77.1")
    assert registered.state("vmlan-stream-host.socket") == "inactive"
    assert not (site.runtime / "net/host").exists()
    assert registered.main_pid() == the(site, "vmlan-broker")


def test_unregister_leaves_the_networks(site, registered):
    folder = site.root / "config/systemd/user"
    (folder / "mine.socket").write_text("# mine\n")
    (folder / "vmlan-mine.socket").write_text("# mine\n")
    seat = Seat(site, "shared", name="seat")
    holder = the(site, "vmlan-holder")
    done = site.vmlan("service", "unregister")
    assert f"removed {folder}/vmlan.service\n" in done.stdout
    assert done.stdout.endswith("the first program that asks for a network now starts the broker\n"
                                "network shared goes on\n")
    assert units(site) == ["mine.socket", "vmlan-mine.socket"]
    assert registered.state("vmlan.socket") == "inactive"
    assert registered.main_pid() == 0
    assert the(site, "vmlan-holder") == holder and running(site) == ["shared"]
    seat.check("ping -c 1 -W 5 host.internal")
    assert site.vmlan("service", "unregister").stdout == (
        "not registered: there is nothing to remove\n")


def test_units_of_somebody_else(site, manager):
    folder = site.root / "config/systemd/user"
    site.run("mkdir", "-p", folder)
    (folder / "vmlan.service").write_text("[Service]\nExecStart=/bin/true\n")
    done = site.vmlan("service", "register", check=False)
    assert (done.returncode, done.stderr) == (
        1, f"vmlan service: {folder}/vmlan.service is there and was not written by vmlan; move it "
           "away\n")
    assert units(site) == ["vmlan.service"]


def test_fifty_at_once(site, registered):
    children = [site.popen("run", "shared", "--", "true") for _ in range(50)]
    assert [child.wait(30) for child in children] == [0] * 50
    assert role(site, "vmlan-broker") == [registered.main_pid()]


def test_asked_again_and_again(site, registered):
    """Brokers that end for want of work are not taken for ones that fail."""
    for _ in range(60):
        site.vmlan("leases", "shared")
    assert registered.state("vmlan.socket") == "active"


def test_odd_paths(site, manager):
    odd = site.root / 'od d "$1" 100%'
    odd.mkdir(mode=0o755)
    site.user.own(odd)
    program = site.root / "with $1 100%" / "vmlan"  # systemd takes no quotes in a program's path
    program.parent.mkdir()
    shutil.copy(site.bin, program)
    usual = site.env["VMLAN_RUNTIME_DIR"], site.env["VMLAN_STATE_DIR"]
    site.env.update(VMLAN_RUNTIME_DIR=f"{odd}/run", VMLAN_STATE_DIR=f"{odd}/state")
    site.run(program, "service", "register")
    site.run(program, "up", "shared")
    assert manager.main_pid() in role(site, "vmlan-broker")
    assert os.readlink(f"/proc/{manager.main_pid()}/exe") == str(program)
    assert "the network starts" in (odd / "state/log").read_text()
    site.run(program, "down", "shared")
    site.run(program, "service", "unregister")
    site.env["VMLAN_RUNTIME_DIR"], site.env["VMLAN_STATE_DIR"] = usual


# Paths of networks: stream.sock and datagram.sock


def test_connection_starts_the_network(site, registered):
    assert role(site, "vmlan-broker") == []
    with connected(site) as cable:
        assert answers(cable)
        assert running(site) == ["shared"]
        assert [one["backend"] for one in ports(site).values()] == ["stream"]
        with connected(site) as other:
            assert answers(other)
    assert "shared: started by its path" in site.log()


def test_datagram_starts_the_network(site, registered):
    with Cable(socket.SOCK_DGRAM) as cable:
        cable.bind(str(site.root / "tmp/vm.sock"))
        site.user.own(site.root / "tmp/vm.sock")
        cable.connect(str(site.runtime / "net/shared/datagram.sock"))
        assert answers(cable)
        assert running(site) == ["shared"]


def test_path_outlives_the_network(site, registered):
    for _ in range(3):
        with connected(site) as cable:
            assert answers(cable)
            site.vmlan("down", "shared")
        assert (site.runtime / "net/shared/stream.sock").is_socket()
        assert site.json("ls") == []


@pytest.mark.parametrize("name", ["vmlan-broker", "vmlan-holder"])
def test_path_when_a_role_is_killed(site, registered, name):
    with connected(site) as cable:
        assert answers(cable)
        successor(site, name, kill(site, name), timeout=10)
        assert answers(cable)
        with connected(site) as other:
            assert answers(other)
    site.vmlan("down", "shared")
    with connected(site) as cable:
        assert answers(cable)


def test_network_that_cannot_start(site, registered):
    site.config("vmnet:\n  shared: {mtu: 1}\n")
    with connected(site) as cable:
        cable.settimeout(10)
        assert cable.recv(1) == b""  # closed: nobody waits for what will not come
    wait_until(lambda: "somebody connects to its path, but it can't start" in site.log())
    site.config("vmnet:\n  shared: {subnet: 192.168.107.0/24}\n")

    def again():  # one that comes while the others are closed goes with them
        with connected(site) as cable, contextlib.suppress(ConnectionError, AssertionError):
            return answers(cable)

    wait_until(again, 20)


def test_register_while_a_network_runs(site, manager):
    """It listens at its paths itself, and goes on to."""
    site.vmlan("up", "shared")
    assert ("network shared runs with paths of its own: once it has ended, vmlan service register "
            "has systemd listen there\n") in site.vmlan("service", "register").stdout
    with connected(site) as cable:
        assert answers(cable)
    site.vmlan("down", "shared")
    assert not (site.runtime / "net/shared").exists()
    site.vmlan("service", "register")
    with connected(site) as cable:
        assert answers(cable)


def test_unregister_leaves_the_path_to_the_network(site, registered):
    with connected(site) as cable:
        assert answers(cable)
        site.vmlan("service", "unregister")
        assert not (site.runtime / "net/host").exists()
        assert answers(cable)
        with connected(site) as other:
            assert answers(other)
    site.vmlan("down", "shared")
    assert not (site.runtime / "net/shared").exists()


def test_systemd_has_nothing_to_say(site, registered):
    """No unknown key, no wrong value in the units."""
    site.vmlan("up", "shared")
    assert not [line for line in log_of(registered).splitlines()
                if "vmlan" in line and ("nknown" in line or "nvalid" in line or "gnoring" in line)]
