# SPDX-License-Identifier: Apache-2.0
"""Each key of a network that has to do with the way out, true and false, over both families."""

from pathlib import Path

import lib
import pytest
from lib import wait_until
from world import OTHER, SERVER

pytestmark = pytest.mark.engine

FAMILIES = pytest.mark.parametrize("family", [4, 6])
GATEWAY = "192.168.120.1"
OUT = {family: [["connect", SERVER[family], 7], ["udp", SERVER[family], 7]] for family in (4, 6)}
OPEN, SHUT = ["connected", "echo"], ["ENETUNREACH", "ENETUNREACH"]


def configure(site, keys):
    text = f"subnet: {GATEWAY}/24, subnet6: 'fd00:120::/64'"
    site.config(f"vmnet:\n  lan: {{{text.replace('.1/24', '.0/24')}, {keys}}}\n")


def ways_out(seat):
    return [seat.probe(*OUT[4]), seat.probe(*OUT[6])]


def pings(seat, family):
    return seat.run(f"ping -{family} -c 1 -W 2 {SERVER[family]}")[0] == 0


# nat44, nat66


@pytest.mark.parametrize("keys, four, six", [
    ("nat44: true, nat66: true", OPEN, OPEN), ("nat44: false", SHUT, OPEN),
    ("nat66: false", OPEN, SHUT), ("nat44: false, nat66: false", SHUT, SHUT)])
def test_nat(site, guest, keys, four, six):
    configure(site, keys)
    seat = guest("lan")
    assert ways_out(seat) == [four, six]
    assert [pings(seat, family) for family in (4, 6)] == [four == OPEN, six == OPEN]
    routes = [seat.check(f"ip -{family} route show default") for family in (4, 6)]
    assert [bool(text) for text in routes] == [four == OPEN, six == OPEN]


@FAMILIES
def test_route_made_by_hand_is_no_way_around(site, guest, family):
    """A guest that sends to the gateway what that was told not to let out."""
    configure(site, f"nat{family}{family}: false")
    seat = guest("lan")
    gateway = {4: GATEWAY, 6: "fd00:120::1"}[family]
    seat.check(f"ip -{family} route add default via {gateway} dev eth0")
    assert "connected" not in seat.probe(*OUT[family]) and "echo" not in seat.probe(*OUT[family])
    assert not pings(seat, family)
    assert seat.probe(*OUT[10 - family]) == OPEN


def has_device_out(site, network):
    """What the forwarder reads: where it is missing, there is nothing to carry outside."""
    links = site.vmlan("exec", network, "--", "ip", "-o", "link").stdout
    assert " br0:" in links
    return " up0:" in links


@pytest.mark.parametrize("keys, there", [
    ("nat44: false", True), ("nat66: false", True), ("nat44: false, nat66: false", False)])
def test_device_out_is_there_for_a_nat_only(site, guest, keys, there):
    configure(site, keys)
    guest("lan", both=there)
    wait_until(lambda: has_device_out(site, "lan") is there, what="the device, if any")


def test_names_outside_are_answered_while_there_is_a_way_out(world, site, guest):
    resolver = world.resolver("203.0.113.53", f"--host-record=www.test,{SERVER[4]}")
    try:
        for keys, known in (("nat44: false", True), ("nat44: false, nat66: false", False)):
            configure(site, keys)
            seat = guest("lan")
            assert (seat.run("getent ahostsv4 www.test")[0] == 0) is known
            site.vmlan("down", "lan")
    finally:
        world.end(resolver)


# mode


@FAMILIES
def test_host_mode_lets_nothing_out(site, guest, family):
    """Nor when the guest is sure that there is a router."""
    seat = guest("host", both=False)
    assert ways_out(seat) == [SHUT, SHUT]
    if family == 6:
        seat.check("ip -6 addr add fd00:108::2/64 dev eth0 nodad")
    gateway = {4: "192.168.108.1", 6: "fd00:108::1"}[family]
    seat.check(f"ip -{family} route add default via {gateway} dev eth0 onlink")
    assert not set(OPEN) & set(seat.probe(*OUT[family]))
    assert not pings(seat, family)
    assert not has_device_out(site, "host")


# dhcp, routerAdvertisement, dnsProxy


def test_without_dhcp_a_fixed_address_has_the_way_out(site, guest):
    configure(site, "dhcp: false")
    seat = guest("lan", "--ip", "192.168.120.9")
    assert seat.address == "192.168.120.9"
    if not seat.check("ip -4 route show default"):
        seat.check(f"ip route add default via {GATEWAY}")
    assert ways_out(seat) == [OPEN, OPEN]


def test_without_advertisements_there_is_ipv4(site, guest):
    configure(site, "routerAdvertisement: false")
    seat = guest("lan", both=False)
    assert seat.check("ip -6 route show default") == ""
    assert ways_out(seat) == [OPEN, SHUT]
    seat.check("ip -6 addr add fd00:120::9/64 dev eth0 nodad")
    seat.check("ip -6 route add default via fd00:120::1")
    assert ways_out(seat) == [OPEN, OPEN]


def test_without_dns_proxy_the_hosts_resolvers_are_asked(world, site, guest):
    resolver = world.resolver("203.0.113.53", f"--host-record=www.test,{SERVER[4]}")
    try:
        configure(site, "dnsProxy: false")
        seat = guest("lan")
        assert "nameserver 203.0.113.53" in seat.check("cat /etc/resolv.conf")
        assert seat.check("getent ahostsv4 www.test").split()[0] == SERVER[4]
        assert ways_out(seat) == [OPEN, OPEN]
        assert seat.probe(["connect", GATEWAY, 53]) == ["ECONNREFUSED"]
    finally:
        world.end(resolver)


# mtu


@pytest.mark.parametrize("mtu", [1280, 1500, 9000, 65521])
def test_every_mtu_carries_all_sizes(site, guest, mtu):
    configure(site, f"mtu: {mtu}")
    seat = guest("lan")
    assert f"mtu {mtu} " in seat.check("ip link show eth0")
    for family in (4, 6):
        assert seat.probe(["echo", SERVER[family], 7, 2000000],
                          ["udp_sizes", SERVER[family], [1200, 1472, 9000, 40000]],
                          ["udp_one_port", [SERVER[family], OTHER[family]]]) == [
            True, [True] * 4, [True] * 2]


# isolated


def test_isolated_guests_have_the_way_out_and_not_each_other(site, guest):
    configure(site, "isolated: true")
    alice, bob = guest("lan", name="alice"), guest("lan", name="bob")
    assert ways_out(alice) == ways_out(bob) == [OPEN, OPEN]
    for family in (4, 6):
        target = bob.addresses(family)[0]
        assert alice.run(f"ping -{family} -c 1 -W 1 {target}")[0] == 1


def pings_by_way_of_the_gateway(one, other, family):
    """Both take the gateway as the way to each other, from here on."""
    address = [seat.address if family == 4 else seat.address6() for seat in (one, other)]
    for seat, target in ((one, address[1]), (other, address[0])):
        gateway = seat.check(f"ip -{family} route show default").split()[2]
        seat.check(f"ip -{family} route add {target} via {gateway} dev eth0")
    return one.run(f"ping -{family} -c 1 -W 2 {address[1]}")[0] == 0


@FAMILIES
@pytest.mark.parametrize("isolated", ["true", "false"])
def test_isolated_guests_do_not_meet_by_way_of_the_gateway(site, guest, family, isolated):
    configure(site, f"isolated: {isolated}")
    alice, bob = guest("lan", name="alice"), guest("lan", name="bob")
    assert pings_by_way_of_the_gateway(alice, bob, family) is (isolated == "false")


# egress


EGRESS = {
    "deny one": ("deny: [203.0.113.5, '2001:db8::5']", False, True),
    "deny nets": ("deny: [203.0.113.0/24, '2001:db8::/32']", False, False),
    "allow one": ("default: deny, allow: [203.0.113.5, '2001:db8::5']", True, False),
    "exception": ("deny: [203.0.113.0/24, '2001:db8::/32'], allow: [203.0.113.6, '2001:db8::6']",
                  False, True),
    "deny all": ("default: deny", False, False),
}


def tcp_and_udp(seat, server):
    """What both see. The kernel tells of a datagram once, and not where its socket for that is busy
    (icmp_send()): silence is asked again."""
    tcp, udp = seat.probe(["connect", server, 1], ["udp", server, 7])
    return [tcp, *(seat.probe(["udp", server, 7]) if udp == "silence" else [udp])]


@pytest.mark.parametrize("keys, first, second", EGRESS.values(), ids=EGRESS.keys())
def test_egress_by_address(site, guest, keys, first, second):
    """What is denied is said so at once; ping is as much denied as TCP and UDP."""
    configure(site, f"egress: {{{keys}}}")
    seat = guest("lan")
    prohibited = {4: "EHOSTUNREACH", 6: "EACCES"}
    for family in (4, 6):
        for server, allowed in ((SERVER[family], first), (OTHER[family], second)):
            wanted = ["ECONNREFUSED", "echo"] if allowed else [prohibited[family]] * 2
            assert tcp_and_udp(seat, server) == wanted
            assert (seat.run(f"ping -c 1 -W 2 {server}")[0] == 0) is allowed


@FAMILIES
def test_egress_by_port_and_protocol(site, guest, family):
    any_of = {4: "203.0.113.0/24", 6: "'[2001:db8::/32]"}[family]
    end = {4: "", 6: "'"}[family]
    configure(site, f"egress: {{default: deny, allow: [{any_of}:7/udp{end}, "
                    f"{any_of}:2001-2099/tcp{end}]}}")
    seat, s = guest("lan"), SERVER[family]
    prohibited = {4: "EHOSTUNREACH", 6: "EACCES"}[family]
    assert seat.probe(["udp", s, 7], ["connect", s, 7], ["connect", s, 2001], ["connect", s, 2099],
                      ["connect", s, 2000], ["udp", s, 2050]) == [
        "echo", prohibited, "connected", "connected", prohibited, prohibited]
    assert not pings(seat, family)


def test_egress_denied_guests_still_have_the_network(site, guest):
    configure(site, "egress: {default: deny}")
    alice, bob = guest("lan", name="alice"), guest("lan", name="bob")
    alice.check(f"ping -c 1 -W 5 {bob.address}")
    alice.check("ping -c 1 -W 5 bob")
    alice.check(f"ping -c 1 -W 5 {GATEWAY}")


# ipv6.disable=1


@pytest.mark.needs("cc")
def test_kernel_without_ipv6(site, guest):
    """The rest works, whatever nat66 and routerAdvertisement say."""
    library = lib.preloaded(Path(__file__).with_name("without_ipv6.c"), site.root)
    site.env["LD_PRELOAD"] = str(library)
    configure(site, "nat66: true")
    seat = guest("lan", both=False)
    assert seat.probe(*OUT[4]) == OPEN and pings(seat, 4)
    assert seat.check("getent ahostsv4 gateway").startswith(GATEWAY)
