# SPDX-License-Identifier: Apache-2.0
"""What a network offers its guests, by its mode and keys."""

import ipaddress
import json

import pytest
from netlib import Seat

pytestmark = pytest.mark.engine

# Runs as a guest: asks for routers until one answers or the time is over; prints what it said.
# RFC 4861 4.1, 4.2, 4.6; RFC 8106 5.1, 5.2.
SOLICIT = r"""
import ipaddress, json, select, socket, struct, sys, time

def labels(data):
    names = []
    while data and data[0]:
        words = []
        while data[0]:
            words.append(data[1:1 + data[0]].decode())
            data = data[1 + data[0]:]
        names.append(".".join(words))
        data = data[1:]
    return names

def text(data):
    return str(ipaddress.IPv6Address(data))

def said(data):
    ra = {"lifetime": struct.unpack("!H", data[6:8])[0]}
    data = data[16:]
    while data:
        kind, body = data[0], data[2:8 * data[1]]
        if kind == 1: ra["mac"] = body[:6].hex(":")
        if kind == 3: ra["prefix"] = [text(body[14:30]), body[0], bool(body[1] & 0x40)]
        if kind == 5: ra["mtu"] = struct.unpack("!I", body[2:6])[0]
        if kind == 25: ra["rdnss"] = [text(body[i:i + 16]) for i in range(6, len(body), 16)]
        if kind == 31: ra["dnssl"] = labels(body[6:])
        data = data[8 * data[1]:]
    return ra

s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    try:
        s.sendto(b"\x85" + bytes(7), ("ff02::2%eth0", 0))
    except OSError:  # no address of its own yet
        pass
    if select.select([s], [], [], 0.2)[0]:
        data = s.recv(2000)
        if data[0] == 134:
            print(json.dumps(said(data)))
            break
"""


def solicit(site, network, seconds=10):
    """What the network's router says when asked; None: nothing."""
    said = site.vmlan("join", network, "--", "python3", "-c", SOLICIT, seconds).stdout
    return json.loads(said) if said else None


@pytest.mark.sanitized
def test_shared_advertises_all(site):
    ra = solicit(site, "shared")
    gateway6 = site.json("inspect", "shared")["network"]["gateway6"]
    prefix = ipaddress.IPv6Network(f"{gateway6}/64", strict=False)
    assert ra["prefix"] == [str(prefix.network_address), 64, True]
    assert prefix.subnet_of(ipaddress.IPv6Network("fd00::/8"))
    assert (ra["mtu"], ra["rdnss"], ra["dnssl"]) == (1500, [gateway6], ["shared.internal"])
    link = site.vmlan("exec", "shared", "--", "cat", "/sys/class/net/br0/address", check=False)
    assert ra["mac"].startswith("52:55:56:") or ra["mac"] == link.stdout.strip()


def test_guest_takes_its_address_from_the_advertisement(site):
    alice = Seat(site, "shared", name="alice")
    address = ipaddress.ip_address(alice.address6())
    gateway6 = site.json("inspect", "shared")["network"]["gateway6"]
    assert address in ipaddress.IPv6Network(f"{gateway6}/64", strict=False)


def test_subnet6_and_mtu_are_advertised(site):
    site.config("vmnet:\n  lan: {subnet6: 'fd00:107::/64', mtu: 4000}\n")
    ra = solicit(site, "lan")
    assert (ra["prefix"], ra["mtu"]) == (["fd00:107::", 64, True], 4000)
    assert (ra["rdnss"], ra["dnssl"]) == (["fd00:107::1"], ["lan.internal"])


def test_prefix_is_the_names_own(site):
    site.config("vmnet:\n  a: {}\n  b: {}\n")
    a, b = solicit(site, "a")["prefix"], solicit(site, "b")["prefix"]
    site.vmlan("down", "a")
    assert a != b and solicit(site, "a")["prefix"] == a


@pytest.mark.parametrize("network, config", [
    ("host", ""), ("lan", "vmnet:\n  lan: {routerAdvertisement: false}\n")])
def test_no_advertisement(site, network, config):
    if config:
        site.config(config)
    assert solicit(site, network, seconds=1.5) is None
    assert "enable-ra" not in site.vmlan("inspect", "--services", network).stdout


@pytest.mark.sanitized
def test_host_mode_has_no_way_out(site):
    alice, bob = Seat(site, "host", name="alice"), Seat(site, "host", name="bob")
    assert alice.address.startswith("192.168.108.")
    assert alice.check("ip -4 route show default; ip -6 route show default") == ""
    assert alice.run("ip route get 203.0.113.1")[0] != 0
    assert "\ndhcp-option=option:router\n" in site.vmlan("inspect", "--services", "host").stdout
    alice.check(f"ping -c 1 -W 5 {bob.address}")
    alice.check("ping -c 1 -W 5 bob")
    alice.check("ping -c 1 -W 5 host.internal")


def test_shared_mode_offers_a_router(site):
    services = site.vmlan("join", "shared", "--", "ip", "-4", "route", "show", "default").stdout
    assert services.startswith("default via 192.168.107.1 dev eth0")


def test_without_nat44_there_is_no_default_route(site):
    site.config("vmnet:\n  lan: {nat44: false}\n")
    assert site.vmlan("join", "lan", "--", "ip", "-4", "route", "show", "default").stdout == ""


def test_isolated_guests_reach_the_gateway_only(site):
    site.config("vmnet:\n  lan: {isolated: true}\n")
    alice, bob = Seat(site, "lan", name="alice"), Seat(site, "lan", name="bob")
    bob_address = bob.address
    alice.check("ping -c 1 -W 5 host.internal")
    assert alice.run(f"ping -c 1 -W 1 {bob_address}")[0] == 1


def test_networks_do_not_meet(site):
    alice, bob = Seat(site, "shared", name="alice"), Seat(site, "host", name="bob")
    bob_address = bob.address
    assert alice.run("getent ahosts bob.host.internal")[0] == 2
    assert alice.run(f"ping -c 1 -W 1 {bob_address}")[0] == 1


def test_without_dns_proxy_no_name_is_served(site):
    site.config("vmnet:\n  lan: {dnsProxy: false, subnet: 10.58.0.0/24}\n")
    alice = Seat(site, "lan", name="alice")
    assert alice.address.startswith("10.58.0.")
    assert "10.58.0.1" not in alice.check("cat /etc/resolv.conf")
    assert "port=0" in site.vmlan("inspect", "--services", "lan").stdout


@pytest.mark.parametrize("subnet, gateway", [
    ("10.59.0.0/16", "10.59.0.1"), ("10.60.0.128/25", "10.60.0.129"),
    ("10.61.1.8/29", "10.61.1.9")])
def test_subnets_of_other_sizes(site, subnet, gateway):
    site.config(f"vmnet:\n  lan: {{subnet: {subnet}}}\n")
    alice = Seat(site, "lan", name="alice")
    assert ipaddress.ip_address(alice.address) in ipaddress.ip_network(subnet)
    assert alice.address != gateway
    assert alice.check("getent ahostsv4 host.internal").split()[0] == gateway
    alice.check(f"ping -c 1 -W 5 {gateway}")
