# SPDX-License-Identifier: Apache-2.0
"""What vmlan top, events and capture show of two QEMU guests, one on a tap and one on a stream, from
their start on: on terminals of usual sizes, as JSON and as a file.
"""

import contextlib
import re
from collections import namedtuple

import lib
import pytest
import stage
from observers import Capture, Terminal, Watcher

pytestmark = [pytest.mark.engine, pytest.mark.needs("qemu-system-x86_64", "tshark"),
              pytest.mark.limit(240)]

BACKENDS = {"alice": "tap", "bob": "stream"}
PORTS = {"alice": "vm0", "bob": "vm1"}
HEAD = "RX bit/s  pkt/s drop/s  TX bit/s  pkt/s drop/s"
ROW = re.compile(r"shared +(vm\d) +(\w+) +(\w+) +([\d.]+[kMG]?) +\d+ +\d+"
                 r" +([\d.]+[kMG]?) +\d+ +\d+")

Session = namedtuple("Session", "site watcher capture alice bob")


@pytest.fixture(scope="module")
def session(vm_user, vmlan_bin, test_root, image):
    """Those who look are there before the guests, which are up, and talk all the time."""
    with lib.Site(vm_user, vmlan_bin, test_root) as site, contextlib.ExitStack() as stack:
        watcher = Watcher(site)
        site.vmlan("up", "shared")
        capture = Capture(site)
        guests = []
        for name, backend in BACKENDS.items():
            guests.append(stack.enter_context(
                stage.guest(site, image, name, [f"shared,backend={backend}"])))
            watcher.take("port-up", name=name)  # so that alice has the first port
        alice, bob = guests
        for guest, other in ((alice, bob), (bob, alice)):
            guest.wait_address(6)
            guest.wait_reach(other.name)
        bob.iperf3_serve()
        alice.check("iperf3 -u -b 1M -l 1000 -t 120 -c bob >/dev/null 2>&1 &")
        yield Session(site, watcher, capture, alice, bob)


def address(guest):
    return guest.wait_address(4)


@pytest.mark.parametrize("lines, columns", [(24, 80), (40, 132)])
def test_top_draws_page_after_page(session, lines, columns):
    terminal = Terminal(session.site, "top", lines=lines, columns=columns)
    seen = []
    for page in (3, 4):  # a page is whole when the next begins
        terminal.until(b"\x1b[H", page)
        seen.append(terminal.lines())
    for page in seen:
        assert re.match(r"vmlan top  \d\d:\d\d:\d\d  networks: 1  ports: 2  \(.*\)\Z", page[0])
        assert page[1] == "" and page[2].endswith(HEAD)
        rows = {found[2]: found for found in map(ROW.fullmatch, page[3:5])}
        assert {name: (row[1], row[3]) for name, row in rows.items()} == {
            name: (PORTS[name], BACKENDS[name]) for name in BACKENDS}
        assert rows["alice"][5] != "0" and rows["bob"][4] != "0"
        assert {row.end() for row in rows.values()} == {len(page[2]) - 1}  # a unit's place
        assert page[5:] == [""] * (lines - 5)
    assert seen[0][0] != seen[1][0]
    terminal.process.terminate()
    assert terminal.process.wait(5) == 0
    terminal.close()


def test_events_on_a_terminal(session):
    terminal = Terminal(session.site, "events", columns=110)
    terminal.until(b"ready")
    text = "\n".join(terminal.lines())
    for name, backend in BACKENDS.items():
        assert re.search(rf"shared +port-up +{PORTS[name]}  {backend}  name {name}  52:55:", text)
        found = address(getattr(session, name))
        assert re.search(rf"shared +lease-given +{found}  name {name}  ", text)
    terminal.process.terminate()
    terminal.process.wait(5)
    terminal.close()


def test_events_as_json(session):
    watcher = session.watcher
    for name in BACKENDS:
        if not [one for one in watcher.seen if one["event"] == "lease-given"
                and one["name"] == name]:
            watcher.take("lease-given", name=name)
    seen = {(one["event"], one.get("name")): one for one in watcher.seen}
    assert seen["network-up", None]["subnet"] == "192.168.107.0/24"
    for name, backend in BACKENDS.items():
        port, lease = seen["port-up", name], seen["lease-given", name]
        assert (port["port"], port["backend"]) == (PORTS[name], backend)
        assert lease["mac"] == port["mac"]
        assert lease["address"] == address(getattr(session, name))
        assert port["pid"] == getattr(session, name).process.pid


def test_capture_on_a_terminal(session):
    terminal = Terminal(session.site, "capture", "shared", "-c", "4", "icmp", columns=110)
    terminal.until(b"listening")
    session.alice.ping("bob", count=2)
    assert terminal.process.wait(10) == 0
    terminal.until(b"\n", 5)
    lines = terminal.lines()
    there, back = address(session.alice), address(session.bob)
    for at, (link, source, target, what) in enumerate(
            [("vm0", there, back, "request"), ("vm1", back, there, "reply")] * 2, 1):
        assert re.match(rf"\d\d:\d\d:\d\d\.\d{{6}} {link}    in  {source} > {target} "
                        rf"ICMP echo {what}, length 64\Z", lines[at]), lines
    terminal.close()


def test_capture_decoded(session):
    """The last: the capture ends. DHCP of the boot, ARP, ping and TCP, by address and port."""
    capture, alice, bob = session.capture, session.alice, session.bob
    there, back = address(alice), address(bob)
    alice.check("ip neigh flush dev eth0; ping -c 3 -A bob")
    alice.check(f"echo hello | nc -w 5 {back} 5201")
    capture.end()

    def rows(display, *fields):
        return {tuple(row) for row in capture.packets(*fields, display=display)}

    assert {(PORTS[name], name) for name in BACKENDS} <= rows(
        "dhcp.option.dhcp == 3", "frame.interface_name", "dhcp.option.hostname")
    assert {("br0", there), ("br0", back)} <= rows(
        "dhcp.option.dhcp == 5", "frame.interface_name", "dhcp.ip.your")
    assert ("vm0", there, back) in rows("arp.opcode == 1", "frame.interface_name",
                                        "arp.src.proto_ipv4", "arp.dst.proto_ipv4")
    assert ("vm1", back, there) in rows("arp.opcode == 2", "frame.interface_name",
                                        "arp.src.proto_ipv4", "arp.dst.proto_ipv4")
    assert rows("icmp.type in {0, 8}", "frame.interface_name", "ip.src", "ip.dst", "icmp.type") >= {
        ("vm0", there, back, "8"), ("vm1", back, there, "0")}
    assert rows("tcp.flags.syn == 1", "frame.interface_name", "ip.src", "ip.dst",
                "tcp.flags.ack") >= {("vm0", there, back, "0"), ("vm1", back, there, "1")}
    assert rows('tcp.payload contains "hello"', "frame.interface_name", "tcp.dstport") == {
        ("vm0", "5201")}
    wrong = "tcp.checksum.status == 0 || udp.checksum.status == 0 || ip.checksum.status == 0"
    assert rows(wrong, "frame.number") == set()
