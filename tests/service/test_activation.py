# SPDX-License-Identifier: Apache-2.0
"""The broker as any service manager starts it, and vmlan service where there is none. Which calls
of systemctl are made is seen by a script in its place.
"""

import json
import os
import socket
import subprocess

import pytest
from asker import answers, connected
from lib import wait_gone, wait_until
from netlib import role, running, the

ROLE = ["--log-level", "info", "--log-format", "text", "broker"]
SOCKETS = ("vmlan.socket vmlan-stream-shared.socket vmlan-datagram-shared.socket "
           "vmlan-stream-host.socket vmlan-datagram-host.socket")
NO_SYSTEMD = "without systemd any vmlan command starts the broker"


@pytest.fixture
def runtime(site):
    site.runtime.mkdir(mode=0o700)
    return site.user.own(site.runtime)


# Puts the descriptors it is told of at 3, 4, …, and becomes the broker.
START = """
import fcntl, os, sys
count = int(sys.argv[1])
high = [fcntl.fcntl(int(word), fcntl.F_DUPFD_CLOEXEC, 100) for word in sys.argv[2:2 + count]]
for at, fd in enumerate(high, 3):
    os.dup2(fd, at)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2 + count], sys.argv[2 + count:])
"""


def start(site, listeners, names, **env):
    """The broker with these listening sockets, as sd_listen_fds(3) has it."""
    fds = [one.fileno() for one in listeners]
    child = subprocess.Popen(
        [*site.user.prefix, "/usr/bin/python3", "-c", START, str(len(fds)), *map(str, fds),
         site.bin, *ROLE],
        env={**site.env, "LISTEN_FDS": str(len(fds)), "LISTEN_FDNAMES": names, **env},
        cwd=site.root, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, pass_fds=fds)
    site.children.append(child)
    return child


def listener(site, path):
    one = socket.socket(socket.AF_UNIX)
    one.bind(str(path))
    one.listen(16)
    site.user.own(path)
    return one


@pytest.mark.sanitized
def test_started_by_a_manager(site, runtime):
    path = runtime / "broker.sock"
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(str(site.root / "notify"))
    site.user.own(site.root / "notify")
    notify.settimeout(10)
    with notify, listener(site, path) as one, listener(site, runtime / "other.sock") as other:
        child = start(site, [other, one], "unknown:broker",
                      NOTIFY_SOCKET=str(site.root / "notify"))
        assert b"READY=1" in notify.recv(200).split(b"\n")
        assert json.loads(site.vmlan("ls", "--json").stdout) == []
        assert notify.recv(200) == b"STOPPING=1"  # nobody wants anything of it
        assert child.wait(10) == 0
    assert path.exists()  # it is the manager's
    path.unlink()
    (runtime / "other.sock").unlink()


@pytest.mark.engine
def test_children_do_not_speak_for_the_broker(site, runtime):
    with listener(site, runtime / "broker.sock") as one:
        start(site, [one], "broker", NOTIFY_SOCKET="/nonexistent")
        site.vmlan("up", "shared")
        for name in ("vmlan-holder", "vmlan-forward"):
            process = next(one for one in site.processes() if one.pid == the(site, name))
            words = [entry.partition(b"=")[0] for entry in process.environ.split(b"\0")]
            assert b"NOTIFY_SOCKET" not in words and b"LISTEN_FDNAMES" not in words
        site.vmlan("down", "shared")
        pid = the(site, "vmlan-broker")
    assert not wait_gone([pid], 15)
    (runtime / "broker.sock").unlink()


@pytest.mark.sanitized
def test_started_without_a_socket(site, runtime):
    done = site.run(site.bin, *ROLE, check=False)
    assert done.returncode == 1
    assert "no socket was handed over to this broker; vmlan service register" in done.stdout + (
        done.stderr)


@pytest.mark.engine
@pytest.mark.sanitized
def test_connection_starts_the_network(site, runtime):
    """The manager's socket at the path outlives networks, and nothing else is left of them."""
    folder = runtime / "net/shared"
    for one in (folder.parent, folder):
        one.mkdir(mode=0o700)
        site.user.own(one)
    with listener(site, runtime / "broker.sock") as broker, \
            listener(site, folder / "stream.sock") as path:
        (folder / "stream.sock").chmod(0o700)  # the manager's: SocketMode of the units
        start(site, [broker, path], "broker:stream.shared")
        for _ in range(2):
            with connected(site) as cable:
                assert answers(cable)
            site.vmlan("down", "shared")
            assert os.listdir(folder) == ["stream.sock"]
        assert site.json("ls") == []
        broker_pid = the(site, "vmlan-broker")
    assert not wait_gone([broker_pid], 15)
    (folder / "stream.sock").unlink()
    folder.rmdir()
    (runtime / "broker.sock").unlink()


@pytest.mark.engine
@pytest.mark.needs("systemd-socket-activate")
def test_systemd_socket_activate(site, runtime):
    """The tool of systemd for this, as it is."""
    path = runtime / "broker.sock"
    words = [f"--setenv={name}" for name in site.env]
    child = subprocess.Popen([*site.user.prefix, "systemd-socket-activate", "-l", path,
                              "--fdname=broker", *words, site.bin, *ROLE],
                             env=site.env, cwd=site.root, stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    site.children.append(child)
    wait_until(path.exists, what="the socket")
    site.vmlan("up", "shared")
    assert the(site, "vmlan-broker") == child.pid
    site.vmlan("down", "shared")
    assert child.wait(15) == 0
    path.unlink()


# Without systemd


def test_register_without_systemctl(site):
    site.env["VMLAN_SYSTEMCTL"] = "/nonexistent"
    done = site.vmlan("service", "register", check=False)
    assert (done.returncode, done.stdout, done.stderr) == (
        1, "", "vmlan service: /nonexistent (VMLAN_SYSTEMCTL) can't be run; correct "
               "VMLAN_SYSTEMCTL, or unset it\n")
    assert not (site.root / "config/systemd").exists()


def fake(site, *answers):
    """systemctl that notes its words and answers each call by the status of its turn, then 0."""
    cases = "".join(f"{at}) echo '{text}'; exit {status};; "
                    for at, (status, text) in enumerate(answers, 1))
    site.write("systemctl", '#!/bin/sh\nshift 2\necho "$@" >>calls\n'
                            f"case $(wc -l <calls) in {cases} esac\n").chmod(0o755)
    site.env["VMLAN_SYSTEMCTL"] = str(site.root / "systemctl")


def calls(site):
    return (site.root / "calls").read_text().splitlines()


@pytest.mark.sanitized
def test_register_where_systemd_does_not_run(site):
    fake(site, (1, "Failed to connect to bus: No medium found"))
    done = site.vmlan("service", "register", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "vmlan service: systemd can't be reached: Failed to connect to bus: No medium found; log "
        f"in as this user (ssh, machinectl shell), so that it has a service manager; {NO_SYSTEMD}\n")
    assert not (site.root / "config/systemd").exists()


def test_status_where_systemd_does_not_run(site):
    fake(site, (1, "Failed to connect to bus: No medium found"),
         (1, "Failed to connect to bus: No medium found"))
    status = site.json("service", "status")
    assert (status["registered"], status["systemd"], status["units"]) == (False, False, [])
    (site.root / "calls").unlink()
    assert site.vmlan("service", "status").stdout == (
        "not registered: the first program that asks for a network starts the broker\n"
        "systemd can't be reached: Failed to connect to bus: No medium found\n"
        "the broker does not run now\n")
    assert site.processes() == []


@pytest.mark.sanitized
def test_register_that_fails_leaves_nothing(site):
    fake(site, (0, "Version=252"), (0, ""), (1, "Failed to enable unit: it is masked"))
    done = site.vmlan("service", "register", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "vmlan service: systemctl enable: Failed to enable unit: it is masked\n"
    assert list((site.root / "config/systemd/user").iterdir()) == []
    assert calls(site) == ["show --property=Version", "daemon-reload",
                           f"enable --quiet --now {SOCKETS}", f"stop {SOCKETS}",
                           f"stop {SOCKETS} vmlan.service", "daemon-reload"]


def test_unregister_without_systemd_removes_the_files(site):
    fake(site)
    site.vmlan("service", "register")
    wants = site.root / "config/systemd/user/sockets.target.wants"
    wants.mkdir()
    site.user.own(wants)
    (wants / "vmlan.socket").symlink_to("../vmlan.socket")
    site.env["VMLAN_SYSTEMCTL"] = "/nonexistent"
    site.vmlan("service", "unregister")
    assert list(wants.parent.iterdir()) == []


def test_unknown_action(site):
    done = site.vmlan("service", "frob", check=False)
    assert (done.returncode, done.stderr) == (
        1, "vmlan service: unknown action frob; there are register, unregister, status and "
           "restart\n")


# Restart, which needs no systemd


@pytest.mark.engine
@pytest.mark.sanitized
def test_restart(site):
    site.vmlan("up", "shared")
    broker, holder = the(site, "vmlan-broker"), the(site, "vmlan-holder")
    assert site.vmlan("service", "restart").stdout == (
        "the broker has ended; the next one is this vmlan\nnetwork shared goes on\n")
    assert not wait_gone([broker], 5)
    assert the(site, "vmlan-holder") == holder and running(site) == ["shared"]


@pytest.mark.sanitized
def test_restart_of_nothing(site):
    assert site.vmlan("service", "restart").stdout == (
        "no broker runs: the next one that is started is this vmlan\n")
    assert role(site, "vmlan-broker") == []


@pytest.mark.needs("systemd-analyze")
def test_systemd_reads_the_units(site):
    """systemd-analyze verify knows keys and values; a unit of the user is not to name others."""
    folder = site.root / "units"
    folder.mkdir()
    site.user.own(folder)
    site.env["XDG_RUNTIME_DIR"] = str(site.root / "tmp")
    text = site.vmlan("service", "register", "--print").stdout
    for part in filter(None, text.split("# " + str(site.root / "config/systemd/user") + "/")):
        name, _, unit = part.partition("\n")
        (folder / name).write_text(unit)
    done = site.run("systemd-analyze", "--user", "verify", "--man=no", folder / "vmlan.socket",
                    folder / "vmlan.service", check=False)
    assert (done.stdout, done.stderr) == ("", "")
