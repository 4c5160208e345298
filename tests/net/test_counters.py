# SPDX-License-Identifier: Apache-2.0
"""What networks have counted: vmlan inspect, top and metrics, and metrics.sock."""

import contextlib
import json
import os
import re
import signal
import socket

import pytest
from lib import wait_gone, wait_until
from netlib import Seat, kill, role, the
from observers import Terminal

pytestmark = pytest.mark.engine

SAMPLE = re.compile(r'(\w+)(?:\{(.*)\})? (\d+)\Z')


def counters(site, network="shared"):
    return json.loads(site.vmlan("inspect", network).stdout)["counters"]


def metrics(text):
    """name and labels -> value; every line is what the format allows."""
    found, helped = {}, set()
    for line in text.splitlines():
        if line.startswith("# "):
            helped.add(line.split()[2])
            continue
        name, labels, value = SAMPLE.match(line).groups()
        assert name in helped
        found[name, *re.findall(r'="([^"]*)"', labels)] = int(value)
    return found


@pytest.mark.sanitized
def test_traffic_is_counted(site):
    alice, bob = Seat(site, "shared", name="alice"), Seat(site, "shared", name="bob")
    before = {one["name"]: one for one in counters(site)["ports"]}
    alice.check(f"ping -c 20 -i 0.01 -s 1000 {bob.address}")
    after = {one["name"]: one for one in counters(site)["ports"]}
    for name in ("alice", "bob"):
        for way in ("receive", "transmit"):
            had, has = before[name][way], after[name][way]
            assert 20 <= has["packets"] - had["packets"] < 60, name
            assert 20 * 1042 <= has["bytes"] - had["bytes"] < 30000
    gateway = counters(site)["gateway"]
    alice.check("ping -c 20 -i 0.01 -s 1000 192.168.107.1")
    assert counters(site)["gateway"]["receive"]["packets"] >= gateway["receive"]["packets"] + 20
    assert counters(site)["flows"].keys() == {"tcp", "udp", "ping"}
    # One source: metrics say what inspect says.
    found = metrics(site.vmlan("metrics").stdout)
    assert found["vmlan_network_ports", "shared"] == 2
    assert (found["vmlan_port_transmit_packets_total", "shared", "vm0", "namespace", "alice"]
            >= after["alice"]["transmit"]["packets"])


def test_a_guest_that_does_not_read(site):
    """What its socket did not take is told as dropped."""
    vm = site.popen("run", "-n", "shared,backend=datagram,name=deaf,ip=192.168.107.50", "--",
                    "sleep", "60")
    alice = Seat(site, "shared", name="alice")
    wait_until(lambda: len(counters(site)["ports"]) == 2, what="both ports")
    alice.check("ip neigh add 192.168.107.50 lladdr 52:54:00:00:00:99 dev eth0")
    alice.check("python3 -c 'import socket; s = socket.socket(type=socket.SOCK_DGRAM); "
                "[s.sendto(bytes(1400), (\"192.168.107.50\", 9)) for _ in range(4000)]'")
    port, = [one for one in counters(site)["ports"] if one["name"] == "deaf"]
    assert port["backend"] == "datagram" and port["receive"]["dropped"] > 0
    vm.terminate()


def test_without_a_forwarder(site):
    """One that hangs is left out after a second, one that is gone at once."""
    Seat(site, "shared", name="alice")
    forwarder = the(site, "vmlan-forward")
    os.kill(forwarder, signal.SIGSTOP)
    assert "flows" not in counters(site) and len(counters(site)["ports"]) == 1
    os.kill(forwarder, signal.SIGCONT)
    wait_until(lambda: "flows" in counters(site), what="flows again")


def test_refused_packets_are_counted(site):
    site.config("vmnet:\n  shared: {mode: shared, egress: {deny: ['203.0.113.0/24']}}\n")
    alice = Seat(site, "shared", name="alice")

    def refused():
        rules = site.vmlan("inspect", "shared", "--rules").stdout
        return int(re.search(r"203\.0\.113\.0/24 counter packets (\d+)", rules)[1])

    assert refused() == 0
    alice.run("ping -c 3 -i 0.2 -W 1 203.0.113.5")
    assert refused() == 3


def ask(site, request, timeout=10):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(timeout)
        client.connect(str(site.runtime / "metrics.sock"))
        client.sendall(request)
        answer = b""
        while piece := client.recv(65536):
            answer += piece
    return answer.decode()


@pytest.mark.needs("curl")
@pytest.mark.sanitized
def test_metrics_socket(site):
    alice = Seat(site, "shared", name="alice")
    path = site.runtime / "metrics.sock"
    wait_until(lambda: "flows" in counters(site), what="a forwarder")
    page = site.run("curl", "-sS", "--fail", "--unix-socket", path, "http://vmlan/metrics").stdout
    assert metrics(page).keys() == metrics(site.vmlan("metrics").stdout).keys()
    assert ("vmlan_port_receive_bytes_total", "shared", "vm0", "namespace", "alice") in metrics(page)
    assert "HTTP/1.0 404" in ask(site, b"GET /other HTTP/1.0\r\n\r\n")
    assert "HTTP/1.0 405" in ask(site, b"DELETE / HTTP/1.0\r\n\r\n")
    assert "HTTP/1.0 400" in ask(site, b"\0\0\0\n\n")
    assert "HTTP/1.0 431" in ask(site, b"x" * 9000)
    assert ask(site, b"HEAD / HTTP/1.0\r\n\r\n").endswith("\r\n\r\n")
    kill(site, "vmlan-broker")
    assert metrics(site.vmlan("metrics").stdout)["vmlan_network_ports", "shared"] == 1
    assert "200 OK" in ask(site, b"GET / HTTP/1.0\r\n\r\n")
    assert alice.check("true") == ""


def test_metrics_of_peers_that_hang(site):
    """They are cut off, and others are answered meanwhile or soon."""
    site.vmlan("up", "shared")
    hanging = []
    for _ in range(40):
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(site.runtime / "metrics.sock"))
        with contextlib.suppress(BrokenPipeError):  # one too many is cut off at once
            client.send(b"GET ")
        hanging.append(client)
    for client in hanging:
        client.settimeout(10)
        try:
            assert client.recv(10) == b""
        except ConnectionResetError:
            pass
        client.close()
    assert "200 OK" in ask(site, b"GET / HTTP/1.0\r\n\r\n")


def test_metrics_keep_nothing(site):
    assert site.vmlan("metrics").stdout.startswith("# HELP") and role(site, "vmlan-broker") == []
    site.vmlan("up", "shared")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(site.runtime / "metrics.sock"))
        broker = the(site, "vmlan-broker")
        site.vmlan("down", "shared")
        assert not wait_gone([broker], 5)
    assert not (site.runtime / "metrics.sock").exists()


# top


def test_top_as_lines(site):
    alice = Seat(site, "shared", name="alice")
    alice.ping_start("192.168.107.1")
    lines = site.vmlan("top", "--interval", "0.5", "--count", "2").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["NETWORK", "shared"] * 2
    rows = [json.loads(line) for line in
            site.vmlan("top", "-i", "0.5", "-c", "2", "--json").stdout.splitlines()]
    assert len(rows) == 2
    for row in rows:
        assert row["name"] == "alice" and row["backend"] == "namespace"
        assert 10 < row["transmit"]["packets"] < 200 and row["receive"]["bits"] > 1000
    alice.ping_end()


def test_top_without_a_network(site):
    done = site.vmlan("top", "--interval", "0.1", "--count", "1")
    assert done.stdout.splitlines()[1:] == [] and role(site, "vmlan-broker") == []


@pytest.mark.parametrize("options, words", [
    (("--interval", "0"), "--interval 0"), (("--interval", "nan"), "--interval nan"),
    (("--count", "0"), "--count 0"), (("-c", "x"), "--count x")])
def test_top_wrong_options(site, options, words):
    done = site.vmlan("top", *options, check=False)
    assert done.returncode == 1 and words in done.stderr


@pytest.mark.parametrize("kind", ["dumb", ""])
def test_top_on_a_terminal_that_only_prints(site, kind):
    terminal = Terminal(site, "top", "--interval", "0.1", "--count", "2", kind=kind)
    terminal.until(b"NETWORK", 2)
    assert terminal.process.wait(5) == 0 and b"\x1b" not in terminal.output
    terminal.close()


@pytest.mark.parametrize("way", ["q", "SIGINT", "SIGTERM", "SIGHUP"])
def test_top_as_a_page(site, way):
    """The terminal is as it was, whatever ends it."""
    alice = Seat(site, "shared", name="alice")
    terminal = Terminal(site, "top", "--interval", "0.2")
    terminal.until(b"\x1b[?1049h")
    terminal.until(b"alice")
    assert not terminal.echoes()
    terminal.resize(3, 20)
    os.kill(terminal.process.pid, signal.SIGWINCH)
    terminal.output = b""
    terminal.until(b"\x1b[K")
    if way == "q":
        os.write(terminal.master, b"q")
    else:
        os.kill(terminal.process.pid, getattr(signal, way))
    terminal.until(b"\x1b[?25h\x1b[?1049l")
    assert terminal.process.wait(5) == 0
    assert terminal.echoes()
    terminal.close()
    assert alice.check("true") == ""


def test_top_fits_the_terminal(site):
    """The rates are seen whole; what gives way is a long name, which lines have whole."""
    name = "a-guest-with-a-name-of-more-letters-than-one-types"
    alice = Seat(site, "shared", name=name)
    terminal = Terminal(site, "top", "--interval", "0.2", columns=80)
    terminal.until(b"\x1b[H", 2)
    head, row = terminal.lines()[2:4]
    assert len(head) == 80 and head.endswith("TX bit/s  pkt/s drop/s")
    assert row.split()[2] == name[:len(row.split()[2])] and len(row.split()) == 10
    terminal.process.terminate()
    terminal.process.wait(5)
    terminal.close()
    assert name in site.vmlan("top", "--interval", "0.2", "--count", "1").stdout.split()
    assert alice.check("true") == ""
