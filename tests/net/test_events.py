# SPDX-License-Identifier: Apache-2.0
"""vmlan events: what there is and what changes, in order and complete, whatever dies meanwhile."""

import json
import os
import signal
import socket
import time

import pytest
from lib import wait_gone, wait_until
from netlib import Seat, Vm, down_all, kill, role, running, the
from observers import Watcher

pytestmark = pytest.mark.engine


@pytest.mark.sanitized
def test_a_life(site):
    """From nothing to nothing: nobody is started by watching, and nothing is missed."""
    watcher = Watcher(site)
    alice = Seat(site, "shared", name="alice")
    up = watcher.take("network-up", network="shared")
    assert up["mode"] == "shared" and up["gateway"] == "192.168.107.1"
    port = watcher.take("port-up", name="alice")
    assert port["port"] == "vm0" and port["backend"] == "namespace" and port["pid"] > 0
    lease = watcher.take("lease-given", mac=port["mac"])
    assert lease["address"] == alice.address and lease["name"] == "alice"
    assert time.time() < lease["expires"]
    vm = Vm(site, "-n", "shared,name=bob")
    assert watcher.take("port-up")["name"] == "bob"
    vm.leave()
    assert watcher.take("port-down")["name"] == "bob"
    site.vmlan("down", "shared")
    assert watcher.take("port-down")["name"] == "alice"
    assert watcher.take("network-down", network="shared")["reason"] == "down"
    alice.process.kill()
    assert watcher.take("service-down", service="broker")
    assert not [one for one in watcher.seen if one["event"] == "service-restarted"]
    assert running(site) == []


def test_what_there_is_comes_first(site):
    alice = Seat(site, "shared", name="alice")
    site.vmlan("forward", "shared", "add", "18080:alice:80")
    watcher, second = Watcher(site), None
    for _ in range(2):  # the second watcher is told what the broker knows already
        watcher.take("ready")
        present = [one for one in watcher.seen if one.get("present")]
        names = [one["event"] for one in present]
        assert names[0] == "service-up" and present[0]["service"] == "broker"
        assert {"network-up", "port-up", "forward-added", "lease-given"} <= set(names)
        assert {one.get("service") for one in present} >= {"broker", "holder", "dnsmasq",
                                                           "forwarder"}
        assert [one for one in watcher.seen if not one.get("present")] == watcher.seen[-1:]
        watcher, second = second or Watcher(site), watcher
    site.vmlan("forward", "shared", "rm", "18080:alice:80")
    for one in (watcher, second):
        assert one.take("forward-removed")["forward"] == "127.0.0.1:18080:alice:80/tcp"
    alice.leave()


def test_only_the_networks_asked_for(site):
    watcher = Watcher(site, "host")
    site.vmlan("up", "shared")
    site.vmlan("up", "host")
    watcher.take("network-up", network="host")
    assert not [one for one in watcher.seen if one.get("network") == "shared"]


def test_forwards(site):
    site.config("vmnet:\n  shared: {mode: shared, forwards: ['18081:web:80']}\n")
    watcher = Watcher(site)
    site.vmlan("up", "shared")
    assert watcher.take("forward-added")["forward"] == "127.0.0.1:18081:web:80/tcp"
    with socket.create_server(("127.0.0.1", 18082)):
        assert site.vmlan("forward", "shared", "add", "18082:web:80", check=False).returncode == 1
    site.vmlan("forward", "shared", "rm", "18081:web:80")
    watcher.take("forward-removed", forward="127.0.0.1:18081:web:80/tcp")
    # What could not be added was never there.
    assert not [one for one in watcher.seen if "18082" in one.get("forward", "")]


@pytest.mark.parametrize("name, service", [
    ("dnsmasq", "dnsmasq"), ("vmlan-forward", "forwarder"), ("vmlan-holder", "holder"),
    ("vmlan-broker", "broker")])
@pytest.mark.sanitized
def test_a_service_that_dies(site, name, service):
    watcher = Watcher(site)
    alice = Seat(site, "shared", name="alice")
    site.vmlan("forward", "shared", "add", "18083:alice:80")
    watcher.take("forward-added")
    if "lease-given" not in [one["event"] for one in watcher.seen]:
        watcher.take("lease-given")
    if not [one for one in watcher.seen if one.get("service") == "forwarder"]:
        watcher.take("service-up", service="forwarder")
    watcher.names()
    old = kill(site, name)
    again = watcher.take("service-restarted", service=service)
    assert again["pid"] == the(site, name) != old
    if service == "broker":
        watcher.take("ready")
    site.vmlan("up", "shared")
    Vm(site, "-n", "shared,name=bob")
    watcher.take("port-up", name="bob")
    names = watcher.names()
    assert not {"port-down", "lease-ended", "network-down", "forward-removed"} & set(names)
    if service != "broker":  # a new broker says all there is again
        assert "lease-given" not in names and names.count("port-up") == 1
    assert alice.check("true") == ""


def test_ports_that_go_while_nobody_can_tell(site):
    watcher = Watcher(site)
    vm, stays = Vm(site, "-n", "shared,name=goes"), Vm(site, "-n", "shared,name=stays")
    watcher.take("port-up", name="stays")
    holder = the(site, "vmlan-holder")
    os.kill(holder, signal.SIGSTOP)
    vm.kill()
    os.kill(holder, signal.SIGKILL)
    assert not wait_gone([holder], 5)
    assert watcher.take("port-down")["name"] == "goes"
    assert "stays" in {one["name"] for one in site.json("ls")[0]["ports"]}
    stays.leave()


def test_watching_keeps_nothing(site):
    site.config("vmnet:\n  shared: {mode: shared, linger: 0}\n")
    watcher = Watcher(site)
    Vm(site, "shared").leave()
    watcher.take("network-down", timeout=15)
    watcher.take("service-down", service="broker")
    wait_until(lambda: not role(site, "vmlan-broker"), what="the end of the broker")
    Vm(site, "shared")  # and goes on with the next
    watcher.take("port-up")
    assert watcher.take("ready")


def monitor(site, **parameters):
    """A watcher by hand."""
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(str(site.runtime / "broker.sock"))
    request = {"method": "io.vmlan.Broker.Monitor", "more": True, "parameters": parameters}
    peer.sendall(json.dumps(request).encode() + b"\0")
    return peer


@pytest.mark.limit(60)
def test_a_watcher_that_does_not_read(site):
    """It is told so, when it reads again, and costs the broker no memory meanwhile."""
    site.vmlan("up", "shared")
    slow = monitor(site)
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peers = [monitor(site) for _ in range(2)]
    forwards = [f"{port}:web:80" for port in range(20000, 20064)]
    answer, deadline = b"", time.monotonic() + 40
    for _ in range(100):
        assert time.monotonic() < deadline
        site.vmlan("forward", "shared", "add", *forwards)
        site.vmlan("forward", "shared", "rm", *forwards)
    slow.settimeout(10)
    while b"LimitReached" not in answer and (piece := slow.recv(1 << 16)):
        answer += piece
    assert b"LimitReached" in answer.split(b"\0")[-2]
    assert len(answer) < 3 << 20
    for peer in [slow, *peers]:
        peer.close()


def test_wrong_requests(site):
    site.vmlan("up", "shared")
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(str(site.runtime / "broker.sock"))
    peer.sendall(b'{"method":"io.vmlan.Broker.Monitor"}\0')
    assert b"InvalidParameter" in peer.recv(4096)
    peer.close()
    down_all(site)
