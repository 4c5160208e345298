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

NOWHERE = {4: "192.0.2.1", 6: "2001:db8:2::1"}  # the internet has no route
UNREACHABLE = {4: "198.51.100.1", 6: "2001:db8:1::1"}
PROHIBITED = {4: "198.51.100.2", 6: "2001:db8:1::2"}
HERE_NOT = {4: "192.0.2.65", 6: "2001:db8:2::65"}  # the host itself has no way there
FAR = {4: "198.51.100.200", 6: "2001:db8:f::1"}


def tcp_table(family):
    """Each row: the action, and what it must give on the host, so that the table tests something."""
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
