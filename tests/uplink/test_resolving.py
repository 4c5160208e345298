# SPDX-License-Identifier: Apache-2.0
"""Names of the internet in a guest: asked of the resolvers the host has now."""

import contextlib
import time

import pytest
from lib import wait_until
from world import HOST, RESOLVERS, SERVER

pytestmark = [pytest.mark.engine, pytest.mark.needs("dnsmasq")]

GATEWAY = "192.168.107.1"
A, TXT, AAAA = 1, 16, 28
NXDOMAIN, SERVFAIL, REFUSED = 3, 2, 5
WWW = f"--host-record=www.test,{SERVER[4]},{SERVER[6]}"
BIG = [f"--txt-record=big.test,{number:02}{'x' * 200}" for number in range(20)]
HUGE = [f"--txt-record=huge.test,{number:03}{'x' * 250}" for number in range(200)]


@contextlib.contextmanager
def resolver(world, address=RESOLVERS[0], records=(WWW, *BIG, *HUGE)):
    child = world.resolver(address, *records)
    try:
        yield child
    finally:
        world.end(child)


def resolv_conf(site, *addresses):
    site.write("resolv.conf", "".join(f"nameserver {one}\n" for one in addresses))


@pytest.mark.sanitized
def test_udp_tcp_edns_and_truncation(world, host, guest):
    """Each answer is what the host gets from the resolver itself."""
    def questions(server):
        return [["dns", server, "www.test", A], ["dns", server, "www.test", AAAA],
                ["dns", server, "www.test", A, "tcp"], ["dns", server, "www.test", A, "udp", 1232],
                ["dns", server, "big.test", TXT], ["dns", server, "big.test", TXT, "udp", 1232],
                ["dns", server, "big.test", TXT, "tcp"], ["dns", server, "huge.test", TXT, "tcp"],
                ["dns", server, "nobody.test", A]]

    with resolver(world):
        wanted = host.probe(*questions(RESOLVERS[0]))
        assert wanted[:4] == [[0, False, [SERVER[4]], 1], [0, False, [SERVER[6]], 1],
                              [0, False, [SERVER[4]], 1], [0, False, [SERVER[4]], 1]]
        assert wanted[4][1] and wanted[5][1]
        assert wanted[6][3] == 20 and wanted[7][3] == 200
        seat = guest()
        got = seat.probe(*questions(GATEWAY))
        assert [one[:2] for one in got] == [one[:2] for one in wanted]
        assert got[:4] == wanted[:4] and got[6:8] == wanted[6:8]


@pytest.mark.sanitized
def test_guest_reaches_a_server_by_name(world, guest):
    with resolver(world):
        seat = guest()
        assert seat.check("getent ahostsv4 www.test").split()[0] == SERVER[4]
        assert seat.check("getent ahostsv6 www.test").split()[0] == SERVER[6]
        assert seat.probe(["connect", "www.test", 7], ["echo", "www.test"]) == ["connected", True]


def test_resolv_conf_is_followed(world, site, guest):
    with resolver(world), resolver(world, RESOLVERS[1], ["--host-record=www.test,203.0.113.99"]):
        seat = guest()
        assert seat.probe(["dns", GATEWAY, "www.test", A])[0][2] == [SERVER[4]]
        resolv_conf(site, RESOLVERS[1])
        assert seat.probe(["dns", GATEWAY, "www.test", A])[0][2] == ["203.0.113.99"]
        assert seat.probe(["dns", GATEWAY, "www.test", A, "tcp"])[0][2] == ["203.0.113.99"]
        site.run("sh", "-c", f"echo nameserver {RESOLVERS[0]} >new; mv new resolv.conf")
        assert seat.probe(["dns", GATEWAY, "www.test", A])[0][2] == [SERVER[4]]


def test_dead_resolver_is_passed_over(world, site, guest):
    """Nothing listens at the first: that is known at once. The second answers."""
    with resolver(world, RESOLVERS[1], [WWW]):
        resolv_conf(site, RESOLVERS[0], RESOLVERS[1])
        seat = guest()
        start = time.monotonic()
        assert seat.probe(["dns", GATEWAY, "www.test", A], ["dns", GATEWAY, "www.test", A, "tcp"]
                          ) == [[0, False, [SERVER[4]], 1]] * 2
        assert time.monotonic() - start < 2


def test_without_any_resolver_there_is_an_answer_all_the_same(site, guest):
    """An error, soon: a resolver that says nothing would make every program wait."""
    resolv_conf(site, RESOLVERS[0])
    rcode = guest().probe(["dns", GATEWAY, "www.test", A])[0][0]
    assert rcode in (SERVFAIL, REFUSED)


def test_stub_on_the_hosts_loopback_is_asked(world, site, guest):
    """As systemd-resolved's: only the host reaches it, and the relay is on the host."""
    world.admin("sh", "-c", "echo 53 >/proc/sys/net/ipv4/ip_unprivileged_port_start")
    try:
        child = world.spawn(["dnsmasq", "--conf-file=/dev/null", "--keep-in-foreground", "--user=",
                             "--group=", "--pid-file", "--log-facility=-", "--no-resolv",
                             "--no-hosts", "--bind-interfaces", "--listen-address=127.0.0.53",
                             "--except-interface=none", WWW], where="host")
        wait_until(lambda: "127.0.0.53:53 " in world.admin("ss", "-Hltn").stdout, what="the stub")
        resolv_conf(site, "127.0.0.53")
        assert guest().probe(["dns", GATEWAY, "www.test", A]) == [[0, False, [SERVER[4]], 1]]
        world.end(child)
    finally:
        world.admin("sh", "-c", "echo 1024 >/proc/sys/net/ipv4/ip_unprivileged_port_start")


def test_many_questions_at_once(world, guest):
    """All of them are answered: nothing is lost in the relay."""
    with resolver(world):
        seat = guest()
        questions = [["dns", GATEWAY, "www.test", A]] * 60 + [["dns", GATEWAY, "www.test", A,
                                                               "tcp"]] * 20
        assert seat.probe(*questions) == [[0, False, [SERVER[4]], 1]] * 80


def test_names_of_the_network_do_not_leave_it(world, guest):
    """The network's own domain is answered here, whether there is such a guest or not."""
    with resolver(world, records=["--host-record=nobody.shared.internal,203.0.113.7"]):
        assert guest().probe(["dns", GATEWAY, "nobody.shared.internal", A])[0][0] == NXDOMAIN


@pytest.mark.parametrize("name", ["host.internal", "host.lima.internal"])
def test_host_is_reached_by_its_name(world, guest, name):
    server = world.serve("echo", "0.0.0.0,::", "2600", where="host")
    try:
        seat = guest()
        assert seat.probe(["connect", name, 2600], ["echo", HOST[4], 2600],
                          ["echo", HOST[6], 2600]) == ["connected", True, True]
    finally:
        world.end(server)
