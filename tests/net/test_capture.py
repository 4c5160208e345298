# SPDX-License-Identifier: Apache-2.0
"""vmlan capture: frames of guests as lines and as files, read back by tshark."""

import json
import signal
import subprocess

import pytest
from lib import wait_until
from netlib import Seat, Vm, kill, role, running
from observers import Capture

pytestmark = pytest.mark.engine
tshark = pytest.mark.needs("tshark")


@tshark
@pytest.mark.sanitized
def test_guests_decoded(site):
    """DHCP, ARP, ping, DNS and TCP of guests; each frame once, with right checksums."""
    site.vmlan("up", "shared")
    capture = Capture(site)
    alice, bob = Seat(site, "shared", name="alice"), Seat(site, "shared", name="bob")
    address = bob.address
    alice.check(f"ping -c 3 -i 0.05 {address}")
    bob.serve(8080)
    alice.fetch(f"http://{address}:8080/")
    alice.check("getent ahostsv4 bob.shared.internal")
    bob.unserve()
    assert " 0 more were dropped" in capture.end()
    names = [row[0] for row in capture.packets("dhcp.option.hostname", display="dhcp.type == 1")]
    assert {"alice", "bob"} <= set(names)
    assert capture.packets("dhcp.ip.your", display=f"dhcp.ip.your == {address}")
    pings = capture.packets("icmp.type", "icmp.seq", "frame.interface_name", display="icmp")
    assert sorted(pings) == [[kind, str(seq), link] for kind, link in (("0", "vm1"), ("8", "vm0"))
                             for seq in (1, 2, 3)]
    assert capture.packets("http.request.method", display="http.request") == [["GET"]]
    assert capture.packets("dns.qry.name", display="dns.qry.name == bob.shared.internal")
    assert capture.packets("frame.number", display="arp")
    wrong = "tcp.checksum.status == 0 || udp.checksum.status == 0 || ip.checksum.status == 0"
    assert capture.packets("frame.number", display=wrong) == []
    # What the gateway sends goes out from the bridge, what guests send comes in from their ports.
    flags = set(map(tuple, capture.packets("frame.interface_name", "frame.packet_flags_direction")))
    assert flags == {("br0", "0x00000002"), ("vm0", "0x00000001"), ("vm1", "0x00000001")}


@tshark
def test_filter_count_and_snaplen(site):
    alice = Seat(site, "shared", name="alice")
    capture = Capture(site, "-c", "4", "-s", "60", "icmp", "and", "greater", "500")
    alice.check("ping -c 2 -s 100 192.168.107.1; ping -c 2 -i 0.05 -s 1000 192.168.107.1")
    assert capture.process.wait(10) == 0
    assert capture.packets("icmp.seq", "frame.len", "frame.cap_len") == [
        [seq, "1042", "60"] for seq in ("1", "1", "2", "2")]
    done = site.run("tshark", "-n", "-r", capture.path, "-z", "io,stat,0", "-q").stdout
    assert "4" in done


@tshark
def test_one_port(site):
    """Both directions as they pass its link, and nothing of others."""
    alice, bob = Seat(site, "shared", name="alice"), Seat(site, "shared", name="bob")
    capture = Capture(site, "--port", "bob", "icmp")
    alice.check("ping -c 1 192.168.107.1")
    alice.check(f"ping -c 2 -i 0.05 {bob.address}")
    wait_until(lambda: capture.path.stat().st_size > 500, what="frames")
    capture.end()
    assert capture.packets("frame.interface_name", "icmp.type", "frame.packet_flags_direction") == [
        ["vm1", "8", "0x00000002"], ["vm1", "0", "0x00000001"]] * 2
    # It ends with its port.
    capture = Capture(site, "--port", "vm1")
    bob.leave()
    assert "the port has ended" in capture.end(signal.SIGCONT)


@tshark
def test_super_frames_and_tags(site):
    """A large segment stays whole; a VLAN tag, which the kernel takes out, is put back."""
    alice, bob = Seat(site, "shared", name="alice"), Seat(site, "shared", name="bob")
    capture = Capture(site)
    bob.check("python3 -c 'import socket; s = socket.create_server((\"\", 81)); "
              "c, _ = s.accept(); [None for _ in iter(lambda: c.recv(65536), b\"\")]' "
              ">/dev/null 2>&1 & server=$!")
    bob.until("ss -ltn | grep -q :81")
    alice.check(f"python3 -c 'import socket; s = socket.create_connection((\"{bob.address}\", 81));"
                " s.sendall(bytes(1 << 20))'")
    alice.check("python3 -c 'import socket; s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); "
                "s.bind((\"eth0\", 0)); "
                "s.send(b\"\\xff\" * 6 + s.getsockname()[4] + b\"\\x81\\0\\0\\x64\\x88\\xb5\" + "
                "bytes(50))'")
    assert " 0 more were dropped" in capture.end()
    sizes = [int(row[0]) for row in capture.packets("tcp.len", display="tcp.dstport == 81")]
    assert max(sizes) > 1500 and sum(sizes) >= 1 << 20
    wrong = "tcp.checksum.status == 0"
    assert capture.packets("frame.number", display=wrong) == []
    assert capture.packets("vlan.id", "vlan.etype", "frame.len", display="vlan") == [
        ["100", "0x88b5", "68"]]


@pytest.mark.sanitized
def test_lines(site):
    alice = Seat(site, "shared", name="alice")
    lines = site.popen("capture", "shared", "-c", "2", "icmp")
    assert "listening" in lines.stderr.readline()
    alice.check("ping -c 1 192.168.107.1")
    assert lines.wait(10) == 0
    asked, answered = lines.stdout.read().splitlines()
    assert asked.split()[1:] == ["vm0", "in", alice.address, ">", "192.168.107.1", "ICMP", "echo",
                                 "request,", "length", "64"]
    assert answered.split()[1:3] == ["br0", "out"] and "echo reply" in answered


def test_lines_as_json(site):
    alice = Seat(site, "shared", name="alice")
    lines = site.popen("capture", "shared", "-c", "2", "--json", "icmp")
    assert "listening" in lines.stderr.readline()
    alice.check("ping -c 1 192.168.107.1")
    assert lines.wait(10) == 0
    asked, answered = map(json.loads, lines.stdout.read().splitlines())
    assert (asked["port"], asked["direction"], asked["length"]) == ("vm0", "in", 98)
    assert asked["time"].endswith("Z") and "echo request" in asked["summary"]
    assert (answered["port"], answered["direction"]) == ("br0", "out")


def test_a_full_disk(site):
    site.vmlan("up", "shared")
    done = site.vmlan("capture", "shared", "-w", "/dev/full", check=False)
    assert done.returncode == 1 and done.stderr.splitlines()[-1] == (
        "vmlan capture: cannot write: No space left on device; the last frames are missing")


@tshark
def test_a_pipe_whose_reader_goes(site):
    alice = Seat(site, "shared", name="alice")
    capture = site.popen("capture", "shared", "-w", "-", "icmp", text=False)
    reader = subprocess.Popen(["tshark", "-n", "-l", "-i", "-", "-c", "2"], stdin=capture.stdout,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    capture.stdout.close()
    capture.stderr.readline()
    alice.ping_start("192.168.107.1")
    out, _ = reader.communicate(timeout=20)
    assert "Echo (ping) request" in out and "Echo (ping) reply" in out
    assert capture.wait(10) == 0
    alice.ping_end()


def test_a_reader_that_stops(site):
    """It may make the capture wait, but not keep it from ending."""
    alice = Seat(site, "shared", name="alice")
    capture = site.popen("capture", "shared", "-w", "-", text=False)
    capture.stderr.readline()
    alice.check("python3 -c 'import socket; s = socket.socket(type=socket.SOCK_DGRAM); "
                "[s.sendto(bytes(1400), (\"192.168.107.1\", 9)) for _ in range(500)]'")
    capture.send_signal(signal.SIGTERM)
    assert capture.wait(5) == 0


def test_ends_with_the_network_and_survives_the_rest(site):
    Vm(site, "-n", "shared,name=alice")
    capture = Capture(site)
    kill(site, "vmlan-holder")
    kill(site, "vmlan-broker")
    assert running(site) == ["shared"] and capture.process.poll() is None
    site.vmlan("down", "shared")
    assert "the network has ended" in capture.end(signal.SIGCONT)


def test_keeps_no_network(site):
    site.config("vmnet:\n  shared: {mode: shared, linger: 0}\n")
    vm = Vm(site, "-n", "shared,name=alice")
    capture = Capture(site)
    vm.leave()
    assert "the network has ended" in capture.end(signal.SIGCONT)
    wait_until(lambda: not role(site, "vmlan-broker"), what="the end of the broker")


@pytest.mark.parametrize("words, message", [
    (("--count", "0"), "--count 0: not a number from 1"),
    (("--snaplen", "-1"), "--snaplen -1: not a number"),
    (("--port", "carol"), "there is no port carol"),
    (("tcp", "prot", "80"), 'the filter "tcp prot 80"'),
    (("-w", "/nonexistent/file"), "/nonexistent/file: No such file")])
def test_mistakes(site, words, message):
    site.vmlan("up", "shared")
    done = site.vmlan("capture", "shared", *words, check=False)
    assert done.returncode == 1 and message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_network_that_does_not_run(site):
    done = site.vmlan("capture", "shared", check=False)
    assert done.returncode == 1 and "network shared is not running" in done.stderr
