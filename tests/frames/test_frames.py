# SPDX-License-Identifier: Apache-2.0
"""A network as a guest sees it: frames into a tap's descriptor and frames out of it. scapy makes
and reads the packets; who answers is the real bridge and the real dnsmasq of a real network.
"""

import contextlib
import ipaddress
import os
import random
import struct
import threading

import lib
import pytest
from host import BROADCAST, GATEWAY, Host, A  # first: it skips without scapy
from peer import LIMIT, Peer, Refused, ethernet, mac_bytes
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import (ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS,
                                ICMPv6ND_RA, ICMPv6NDOptDNSSL, ICMPv6NDOptDstLLAddr,
                                ICMPv6NDOptMTU, ICMPv6NDOptPrefixInfo, ICMPv6NDOptRDNSS,
                                ICMPv6NDOptSrcLLAddr, IPv6)
from scapy.layers.l2 import Ether

pytestmark = [pytest.mark.engine, pytest.mark.limit(60)]

QUIET = 0.5  # seconds in which an answer that is not to come would have come
PTR, AAAA = 12, 28
NOERROR, NXDOMAIN, REFUSED = 0, 3, 5
EXPERIMENT = 0x88B5  # an EtherType for local experiments (IEEE 802)


@pytest.fixture(scope="module")
def site(file_site):
    """Networks are started by the first port."""
    file_site.vmlan("up", "shared")
    return file_site


@pytest.fixture
def host(site):
    """host(network="shared", ...) is a new guest; all end with the test."""
    with contextlib.ExitStack() as stack:
        def make(network="shared", **parameters):
            return stack.enter_context(Host.attach(site.runtime / "broker.sock", network,
                                                   **parameters))
        yield make


# DHCP


@pytest.mark.sanitized
def test_dhcp(host):
    ack = host(mac="52:54:00:bb:00:01").lease("dhcp-guest")
    address = ipaddress.IPv4Address(ack["address"])
    assert address in ipaddress.IPv4Network("192.168.107.0/24")
    assert str(address) not in ("192.168.107.0", GATEWAY, "192.168.107.255")
    assert ack["subnet_mask"] == "255.255.255.0"
    assert ack["broadcast_address"] == "192.168.107.255"
    assert ack["router"] == GATEWAY
    assert ack["name_server"] == GATEWAY
    assert ack["server_id"] == ack["source"] == GATEWAY
    assert ack["domain"] == b"shared.internal"
    assert ack["interface-mtu"] == 1500
    assert ack["lease_time"] == 12 * 3600
    assert search_list(ack) == ["shared.internal"]


def search_list(ack):
    """Option 119 (RFC 3397), one uncompressed name after the other."""
    value = ack.get("domain-search", ack.get(119))
    if isinstance(value, list):
        return [name.rstrip(".") for name in value]
    if not isinstance(value, bytes):
        return [str(value).rstrip(".")]
    names, labels = [], []
    while value:
        size, value = value[0], value[1:]
        if size == 0:
            names.append(".".join(labels))
            labels = []
        labels += [value[:size].decode()] if size else []
        value = value[size:]
    return names


def test_the_same_mac_gets_the_same_address(host, site):
    first = host(mac="52:54:00:bb:00:02")
    before = first.lease()["address"]
    first.close()
    lib.wait_until(lambda: not site.json("ls")[0]["ports"], LIMIT, "the port's end")
    assert host(mac="52:54:00:bb:00:02").lease()["address"] == before


def test_a_reserved_address(host):
    guest = host(ip="192.168.107.99", name="reserved")
    ack = guest.lease("something-else")
    assert ack["address"] == "192.168.107.99"
    assert guest.resolve("reserved.shared.internal.") == (NOERROR, ["192.168.107.99"])


def test_an_address_of_another_is_not_given(host):
    owner, other = host(), host()
    owner.lease()
    nak = other.converse(("message-type", "request"), ("requested_addr", owner.ip))
    assert nak["message-type"] == 6
    assert other.lease()["address"] != owner.ip


@pytest.mark.sanitized
def test_garbage_does_not_hurt(host, site):
    """Broken frames and broken DHCP; then everything works as before."""
    guest = host(mac="52:54:00:bb:00:03")
    service = [one.pid for one in site.processes() if one.name == "dnsmasq"]
    head = ethernet(BROADCAST, guest.mac, 0x0800, b"")
    whole = bytes(IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67) /
                  BOOTP(chaddr=mac_bytes(guest.mac)) /
                  DHCP(options=[("message-type", "discover"), "end"]))
    noise = random.Random(1)
    for size in range(14, len(whole), 7):
        guest.send(head + whole[:size])
    for _ in range(200):
        broken = bytearray(whole)
        for _ in range(noise.randrange(1, 12)):
            broken[noise.randrange(28, len(broken))] = noise.randrange(256)
        broken[26:28] = bytes(2)  # no UDP checksum: it would be dropped before anyone looks
        guest.send(head + bytes(broken))
    fixed = whole[28:28 + 236 + 4]  # up to the options
    for tail in (b"", b"\x35", b"\x35\xff", b"\x35\x01", b"\x35\x00", b"\xff", b"\x00" * 400,
                 b"\x35\x01\x01\x0c\xff" + b"a" * 255, b"\x35\x01\x01\x34\x01\x03\xff",
                 b"\x52\x02\x01\xff\x35\x01\x01\xff"):
        guest.send(head + bytes(IP(src="0.0.0.0", dst="255.255.255.255") /
                                UDP(sport=68, dport=67) / (fixed + tail)))
    assert guest.lease("after-garbage")["address"]
    assert [one.pid for one in site.processes() if one.name == "dnsmasq"] == service


def test_names_that_guests_may_not_have(host):
    """A guest's DHCP client can't name itself after the proxy that browsers look for."""
    guest = host()
    guest.lease("wpad")
    assert guest.resolve("wpad.shared.internal.")[0] == NXDOMAIN


def test_a_name_that_another_guest_has(host):
    """The name a port was given stays with it, whatever DHCP clients call themselves; between two
    of them the first keeps it."""
    named, thief = host(name="taken"), host()
    named.lease()
    thief.lease("taken")
    assert thief.resolve("taken.shared.internal.") == (NOERROR, [named.ip])
    first, second = host(), host()
    first.lease("twice")
    second.lease("twice")
    code, addresses = first.resolve("twice.shared.internal.")
    assert code == NOERROR and len(addresses) == 1
    assert addresses[0] in (first.ip, second.ip)


# Neighbours


@pytest.mark.sanitized
def test_arp_of_the_gateway(host):
    guest = host()
    guest.lease()
    mac = guest.arp(GATEWAY)
    assert mac.startswith("52:55:56:")
    assert guest.arp("192.168.107.250", QUIET) is None, "nobody answers for what is not there"


def test_ping_of_the_gateway(host):
    guest = host()
    guest.lease()
    packet = (Ether(dst=guest.arp(GATEWAY), src=guest.mac) / IP(src=guest.ip, dst=GATEWAY) /
              ICMP(id=7, seq=1) / (b"x" * 1400))
    frame = guest.ask(packet, lambda frame: ICMP in frame and frame[ICMP].type == 0)
    assert bytes(frame[ICMP].payload) == b"x" * 1400


@pytest.mark.sanitized
@pytest.mark.parametrize("kind", ["unicast", "broadcast", "multicast"])
def test_frames_between_guests(host, kind):
    one, two, three = host(), host(), host()
    destination = {"unicast": two.mac, "broadcast": BROADCAST,
                   "multicast": "33:33:00:00:ab:cd"}[kind]
    two.send(ethernet(one.mac, two.mac, EXPERIMENT, bytes(46)))  # the bridge learns where it is
    assert one.find(lambda data: data[12:14] == struct.pack("!H", EXPERIMENT) or None)
    frame = ethernet(destination, one.mac, EXPERIMENT, os.urandom(1486))
    one.send(frame)
    assert two.find(lambda data: data == frame or None)
    seen = three.find(lambda data: data == frame or None, QUIET if kind == "unicast" else LIMIT)
    assert bool(seen) == (kind != "unicast")
    assert one.find(lambda data: data == frame or None, QUIET) is None, "none comes back"


def test_two_guests_with_one_mac(host):
    host(mac="52:54:00:bb:00:04")
    with pytest.raises(Refused) as refused:
        host(mac="52-54-00-BB-00-04")
    assert refused.value.name == "io.vmlan.Broker.Conflict"
    assert refused.value.field == "Attach.mac"


# IPv6


@pytest.mark.sanitized
def test_router_advertisement(host):
    guest = host()
    frame = guest.advertisement()
    gateway6 = guest.port["gateway6"]
    prefix = str(ipaddress.IPv6Interface(f"{gateway6}/64").network.network_address)
    assert frame[IPv6].src.startswith("fe80:") and frame[IPv6].hlim == 255
    assert frame[ICMPv6NDOptPrefixInfo].prefix == prefix
    assert frame[ICMPv6NDOptPrefixInfo].prefixlen == 64
    assert frame[ICMPv6NDOptPrefixInfo].A == frame[ICMPv6NDOptPrefixInfo].L == 1
    assert frame[ICMPv6NDOptMTU].mtu == 1500
    assert frame[ICMPv6NDOptSrcLLAddr].lladdr == frame.src
    assert frame[ICMPv6NDOptRDNSS].dns == [gateway6]
    assert [name.rstrip(".") for name in frame[ICMPv6NDOptDNSSL].searchlist] == ["shared.internal"]
    assert guest.solicit(gateway6) == frame.src


def test_router_lifetime(host, site):
    """A default route over IPv6 is announced where the host has one: the services learn of it soon
    after the network's start."""
    guest, wanted = host(), 1800 if host_has_route6() else 0
    lib.wait_until(lambda: guest.advertisement()[ICMPv6ND_RA].routerlifetime == wanted, LIMIT,
                   f"a lifetime of {wanted}")
    assert f"\nra-param=br0,mtu:1500,600,{wanted}\n" in site.json("inspect", "shared")["services"]


def host_has_route6():
    """A default route: /proc/net/ipv6_route begins with destination and prefix length."""
    with open("/proc/net/ipv6_route") as routes:
        return any(line.startswith("0" * 32 + " 00 ") and line.split()[-1] != "lo"
                   for line in routes)


# Names


@pytest.mark.sanitized
def test_names_of_guests(host):
    one, two = host(), host(name="named")
    one.lease("asker")
    two.lease()
    for name, address in (("named.shared.internal.", two.ip), ("asker.shared.internal.", one.ip),
                          ("NAMED.Shared.Internal.", two.ip), ("gateway.shared.internal.", GATEWAY),
                          ("host.internal.", GATEWAY), ("host.lima.internal.", GATEWAY)):
        assert one.resolve(name) == (NOERROR, [address]), name
    reverse = ipaddress.IPv4Address(two.ip).reverse_pointer + "."
    assert one.resolve(reverse, PTR) == (NOERROR, ["named.shared.internal."])


def test_names_of_guests_over_ipv6(host):
    """A guest that makes its own address from the advertised prefix is found by its DHCP name: the
    service asks by a ping (ra-names) and believes the answer."""
    one, two = host(), host()
    one.lease("six-asker")
    two.lease("six")
    prefix = ipaddress.IPv6Address(two.port["gateway6"]).packed[:8]
    address = str(ipaddress.IPv6Address(prefix + ipaddress.IPv6Address(two.link_local).packed[8:]))
    stop = threading.Event()
    speaker = threading.Thread(target=speak_ipv6, args=(two, address, stop))
    speaker.start()
    try:
        lib.wait_until(lambda: one.resolve("six.shared.internal.", AAAA) == (NOERROR, [address]),
                       30, "the name's IPv6 address")
    finally:
        stop.set()
        speaker.join()
    assert one.resolve("gateway.shared.internal.", AAAA) == (NOERROR, [one.port["gateway6"]])
    reverse = ipaddress.IPv6Address(address).reverse_pointer + "."
    assert one.resolve(reverse, PTR) == (NOERROR, ["six.shared.internal."])


def speak_ipv6(guest, address, stop):
    """What the IPv6 stack of a guest does of itself: answers for its address, and pings."""
    guest.advertisement()
    while not stop.is_set():
        for data in guest.frames(0.2):
            frame = Ether(data)
            if ICMPv6ND_NS in frame and frame[ICMPv6ND_NS].tgt == address:
                guest.send(Ether(dst=frame.src, src=guest.mac) /
                           IPv6(src=address, dst=frame[IPv6].src, hlim=255) /
                           ICMPv6ND_NA(tgt=address, R=0, S=1, O=1) /
                           ICMPv6NDOptDstLLAddr(lladdr=guest.mac))
            elif ICMPv6EchoRequest in frame and frame[IPv6].dst == address:
                echo = frame[ICMPv6EchoRequest]
                guest.send(Ether(dst=frame.src, src=guest.mac) /
                           IPv6(src=address, dst=frame[IPv6].src) /
                           ICMPv6EchoReply(id=echo.id, seq=echo.seq, data=echo.data))


@pytest.mark.sanitized
@pytest.mark.parametrize("name", ["nobody.shared.internal.", "nobody.internal.",
                                  "nobody.host.internal.", "shared.shared.shared.internal."])
def test_unknown_names_end_here(host, name):
    """Nothing below .internal is asked outside."""
    guest = host()
    guest.lease()
    assert guest.resolve(name) == (NXDOMAIN, [])
    assert guest.resolve(name, AAAA) == (NXDOMAIN, [])


# Networks of other kinds


def test_host_mode_offers_no_way_out(host, site):
    guest = host("host")
    try:
        ack = guest.lease("inside")
        assert ipaddress.IPv4Address(ack["address"]) in ipaddress.IPv4Network("192.168.108.0/24")
        assert "router" not in ack
        assert ack["name_server"] == "192.168.108.1"
        assert guest.arp("192.168.108.1")
        assert guest.solicit_router(QUIET) is None
        assert guest.resolve("inside.host.internal.", server="192.168.108.1") == \
            (NOERROR, [guest.ip])
        assert guest.resolve("example.com.", server="192.168.108.1")[0] == REFUSED
    finally:
        guest.close()
        site.vmlan("down", "host")


def test_mtu_of_the_network(host, site):
    guest = host("jumbo", configuration={"mtu": 9000})
    other = host("jumbo")
    try:
        assert guest.port["mtu"] == 9000
        assert guest.lease()["interface-mtu"] == 9000
        assert guest.advertisement()[ICMPv6NDOptMTU].mtu == 9000
        frame = ethernet(other.mac, guest.mac, EXPERIMENT, os.urandom(9000))
        guest.send(frame)
        assert other.find(lambda data: data == frame or None)
    finally:
        guest.close()
        other.close()
        site.vmlan("down", "jumbo")


def test_a_silent_segment(host, site):
    """dhcp, dnsProxy and routerAdvertisement off: nobody but guests speaks."""
    silent = {"dhcp": False, "dnsProxy": False, "routerAdvertisement": False}
    one, two = host("silent", configuration=silent), host("silent", configuration=silent)
    try:
        assert one.dhcp(("message-type", "discover"), timeout=QUIET) is None
        assert one.solicit_router(QUIET) is None
        frame = ethernet(two.mac, one.mac, EXPERIMENT, bytes(46))
        one.send(frame)
        assert two.find(lambda data: data == frame or None)
    finally:
        one.close()
        two.close()
        site.vmlan("down", "silent")


@pytest.mark.skipif(tuple(map(int, os.uname().release.split(".")[:2])) < (6, 8),
                    reason="this kernel's link watch can't be hurried (Linux 6.8)")
def test_the_first_frame_of_a_new_network_is_answered(host, site):
    """The bridge gets its carrier with this guest's port."""
    for number in range(10):
        name, subnet = f"new{number}", f"192.168.{150 + number}"
        guest = host(name, configuration={"subnet": f"{subnet}.0/24", "linger": 0})
        assert guest.arp(f"{subnet}.1", QUIET), f"network {number}"
        guest.close()


def test_an_isolated_network(host, site):
    """Guests reach the gateway and not each other."""
    one, two = host("alone", configuration={"isolated": True}), host("alone")
    try:
        assert one.lease()["router"]
        two.lease()
        assert one.arp(one.port["gateway"])
        frame = ethernet(BROADCAST, one.mac, EXPERIMENT, bytes(46))
        one.send(frame)
        assert two.find(lambda data: data == frame or None, QUIET) is None
    finally:
        one.close()
        two.close()
        site.vmlan("down", "alone")


def test_after_down_a_guest_is_alone(host, site):
    """Its tap stays, so that no hypervisor meets a device that vanished; nothing answers."""
    guest = host("host")
    guest.lease()
    with Peer(site.runtime / "broker.sock") as peer:
        peer.call("Down", {"network": "host"})
    lib.wait_until(lambda: cut_off(guest), LIMIT, "the end of the link")
    for _ in guest.frames(0.05):
        pass  # what had been sent before
    assert guest.find(lambda data: data, QUIET) is None


def cut_off(guest):
    """A frame for a tap that is down is refused with EIO: drivers/net/tun.c."""
    try:
        guest.send(ethernet(BROADCAST, guest.mac, EXPERIMENT, bytes(46)))
    except OSError:
        return True
    return False
