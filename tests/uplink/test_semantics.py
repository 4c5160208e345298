# SPDX-License-Identifier: Apache-2.0
"""TCP and UDP outward: what a guest sees is what a process on the host sees."""

import os

import pytest
from world import HOST, OTHER, ROUTER, SERVER, pattern_sum

pytestmark = pytest.mark.engine

FAMILIES = pytest.mark.parametrize("family", [4, 6])
IDLE = int(os.environ.get("VMLAN_IDLE", 20))
SEQUENTIAL = int(os.environ.get("VMLAN_SEQUENTIAL", 3000))
TRANSFER = int(os.environ.get("VMLAN_TRANSFER", 256 << 20))

NOWHERE = {4: "198.51.100.3", 6: "2001:db8:1::3"}  # the internet has no route
UNREACHABLE = {4: "198.51.100.1", 6: "2001:db8:1::1"}
PROHIBITED = {4: "198.51.100.2", 6: "2001:db8:1::2"}
HERE_NOT = {4: "192.0.2.65", 6: "2001:db8:2::65"}  # the host itself has no way there
FAR = {4: "198.51.100.200", 6: "2001:db8:f::1"}


def tcp_table(family):
    """Each row: the action, and what it must give on the host: so the table itself is tested."""
    s, v6 = SERVER[family], family == 6
    filtered = "EACCES" if v6 else "EHOSTUNREACH"
    return [
        (["connect", s, 7], "connected"),
        (["connect", s, 1], "ECONNREFUSED"),
        (["connect", s, 9], "silence"),
        (["connect", s, 11], "ENETUNREACH"),
        (["connect", s, 12], "EHOSTUNREACH"),
        (["connect", s, 13], filtered),
        (["connect", s, 14], "ECONNREFUSED"),
        (["connect", NOWHERE[family], 7], "ENETUNREACH"),
        (["connect", UNREACHABLE[family], 7], "EHOSTUNREACH"),
        (["connect", PROHIBITED[family], 7], filtered),
        (["connect", HERE_NOT[family], 7], "EHOSTUNREACH"),
        (["echo", s], True),
        (["reset_in_mid_stream", s], [1000, "ECONNRESET"]),
        (["server_closes_first", s], ["bye", "", "EPIPE"]),
        (["half_close_here", s], [True, ""]),
        (["half_close_there", s], ["all", True]),
        (["slow_server", s], [True, True]),
        (["slow_client", s], [48 << 20, pattern_sum(48 << 20)]),
        (["unread_at_client", s], "ConnectionResetError"),
        (["unread_at_server", s], "ECONNRESET"),
        (["all_acknowledged", s], True),
    ]


def udp_table(family):
    s = SERVER[family]
    filtered = "EACCES" if family == 6 else "EHOSTUNREACH"
    return [
        (["udp", s, 7], "echo"),
        (["udp", s, 7, 1472], "echo"),
        (["udp", s, 7, 0], "echo"),
        (["udp", s, 1], "ECONNREFUSED"),
        (["udp", s, 9], "silence"),
        (["udp", s, 13], filtered),
        (["udp", NOWHERE[family], 7], "ENETUNREACH"),
        (["udp", UNREACHABLE[family], 7], "EHOSTUNREACH"),
        (["udp", PROHIBITED[family], 7], filtered),
        (["udp_sources", s], True),
        (["udp_one_port", [s, OTHER[family]]], [True, True]),
        (["udp_sizes", s, [1, 1473, 4000, 20000, 60000]], [True] * 5),
    ]


def compare(table, host, guest):
    actions = [action for action, _ in table]
    wanted = [result for _, result in table]
    for place in (host, guest):
        got = place.probe(*actions)
        wrong = [f"{action}: {one}, not {want}"
                 for action, one, want in zip(actions, got, wanted) if one != want]
        assert not wrong, "\n".join([f"{place}:", *wrong])


@pytest.mark.sanitized
@FAMILIES
def test_tcp_is_what_the_host_sees(host, guest, family):
    compare(tcp_table(family), host, guest())


@pytest.mark.sanitized
@FAMILIES
def test_udp_is_what_the_host_sees(host, guest, family):
    compare(udp_table(family), host, guest())


# On its way


@FAMILIES
def test_traceroute_shows_the_gateway_then_the_hosts_way(host, guest, family):
    """The host sees its router at the first hop; a guest has its gateway before that."""
    seat = guest()
    at_router = host.probe(["udp_hops", FAR[family], 1])[0]
    assert at_router[0] == "EHOSTUNREACH" and at_router[4] == ROUTER[family]
    first, second = seat.probe(["udp_hops", FAR[family], 1], ["udp_hops", FAR[family], 2])
    route = seat.check(f"ip -{family} route show default").split()
    assert first[:4] == at_router[:4]
    assert family == 6 or first[4] == route[2]
    assert second == at_router


@FAMILIES
def test_server_sees_the_host(guest, family):
    assert guest().probe(["peer", SERVER[family]]) == [HOST[family]]


@FAMILIES
def test_small_messages_are_not_held_back(guest, family):
    assert guest().probe(["no_delay", SERVER[family]]) == [True]


def test_connect_to_an_open_port_comes_after_the_real_one(world, guest):
    """No SYN is answered before the server has: a server that comes late is seen late."""
    seat = guest()
    address = SERVER[4]
    assert seat.probe(["connect", address, 2500]) == ["ECONNREFUSED"]
    server = world.serve("echo", address, "2500")
    assert seat.probe(["echo", address, 2500]) == [True]
    world.end(server)
    assert seat.probe(["connect", address, 2500]) == ["ECONNREFUSED"]


# Many, long, large


@pytest.mark.limit(IDLE + 100)
def test_idle_connections_stay(guest):
    """From VMLAN_IDLE=200 on that is longer than the uplink keeps an idle flow of UDP."""
    seat = guest()
    actions = [[kind, SERVER[family], IDLE] for kind in ("idle", "idle_udp") for family in (4, 6)]
    assert seat.probe(*actions, timeout=IDLE + 30) == [["a", "b"]] * 4


@FAMILIES
def test_one_connection_after_the_other(guest, family):
    count = SEQUENTIAL // 2
    assert guest().probe(["sequential", SERVER[family], count], timeout=100) == [count]


@FAMILIES
def test_two_thousand_at_once(guest, family):
    assert guest().probe(["simultaneous", SERVER[family], 2000], timeout=100) == [2000]


@FAMILIES
def test_large_transfers_arrive_whole(guest, family):
    seat = guest()
    assert seat.probe(["download", SERVER[family], TRANSFER], timeout=100) == [
        [TRANSFER, pattern_sum(TRANSFER)]]
    assert seat.probe(["upload", SERVER[family], TRANSFER], timeout=100) == [True]


# The host's way out


@pytest.fixture
def without_route(world):
    """Takes the host's default routes away; they come back."""
    gone = []

    def take(family):
        world.route(family, False)
        gone.append(family)

    def give(family):
        gone.remove(family)
        world.route(family, True)
    take.back = give
    yield take
    for family in gone:
        world.route(family, True)


def test_host_without_its_ipv4_route_and_again_with_it(host, guest, without_route):
    seat = guest()
    action = ["connect", SERVER[4], 7]
    without_route(4)
    assert host.probe(action) == ["ENETUNREACH"]
    assert seat.probe(action) == ["ENETUNREACH"]
    assert seat.probe(["udp", SERVER[4], 7]) == ["ENETUNREACH"]
    without_route.back(4)
    assert seat.probe(action, ["udp", SERVER[4], 7]) == ["connected", "echo"]


def test_ipv6_default_route_follows_the_hosts(guest, without_route):
    """A guest is told by router advertisements within two seconds."""
    seat = guest()
    seat.until("ip -6 route show default | grep -q via")
    without_route(6)
    seat.until("! ip -6 route show default | grep -q via", timeout=2)
    assert seat.probe(["connect", SERVER[6], 7]) == ["ENETUNREACH"]
    assert seat.probe(["connect", SERVER[4], 7]) == ["connected"]
    without_route.back(6)
    seat.until("ip -6 route show default | grep -q via", timeout=2)
    assert seat.probe(["connect", SERVER[6], 7]) == ["connected"]


def test_network_without_ipv6_on_the_host_offers_none(guest, without_route):
    without_route(6)
    seat = guest()
    assert seat.check("ip -6 route show default") == ""
    assert seat.probe(["connect", SERVER[6], 7], ["connect", SERVER[4], 7]) == [
        "ENETUNREACH", "connected"]
