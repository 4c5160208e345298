# SPDX-License-Identifier: Apache-2.0
"""vmlan forward and `forwards:`: ports of the host that lead to guests."""

import contextlib
import socket
import urllib.error
import urllib.request

import pytest
from lib import wait_until
from netlib import Seat, free_port, kill, listening

pytestmark = pytest.mark.engine

ECHO_UDP = """python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 5300))
while True:
    data, peer = s.recvfrom(65535)
    s.sendto(data.upper() + b" " + peer[0].encode(), peer)
'"""


def forward(site, *words, **options):
    return site.vmlan("forward", "shared", *words, **options)


def refusal(site, *words):
    done = forward(site, *words, check=False)
    assert done.returncode == 1
    return done.stderr


def status(port, address="127.0.0.1"):
    with urllib.request.urlopen(f"http://{address}:{port}/", timeout=10) as answer:
        return answer.status


def outcome(port):
    """The status of an HTTP request, or what kind of failure it met."""
    try:
        return status(port)
    except urllib.error.URLError as error:
        return type(error.reason).__name__
    except OSError as error:
        return type(error).__name__


@contextlib.contextmanager
def server(site, command="python3 -m http.server -d $TMPDIR 8000"):
    """The guest alice with a server that listens."""
    alice = Seat(site, "shared", name="alice")
    alice.check(f"{command} >/dev/null 2>&1 & server=$!")
    alice.until("ss -lntu | grep -q -e :8000 -e :5300")
    try:
        yield alice
    finally:
        alice.unserve()


@pytest.mark.sanitized
def test_added_listed_removed(site):
    port = free_port()
    with server(site):
        forward(site, "add", f"{port}:alice:8000")
        assert status(port) == 200
        assert forward(site, "ls").stdout.split() == ["tcp", f"127.0.0.1:{port}", "alice:8000"]
        assert site.json("forward", "shared", "ls") == [
            {"forward": f"127.0.0.1:{port}:alice:8000/tcp", "active": True}]
        forward(site, "rm", f"127.0.0.1:{port}:alice:8000/tcp")
        assert forward(site, "ls").stdout == ""
        wait_until(lambda: outcome(port) == "ConnectionRefusedError", what="the port to be closed")


@pytest.mark.sanitized
def test_udp_answers_come_from_where_it_was_sent_to(site):
    port = free_port("0.0.0.0")
    with server(site, ECHO_UDP), socket.socket(type=socket.SOCK_DGRAM) as client:
        forward(site, "add", f"0.0.0.0:{port}:alice:5300/udp")
        client.settimeout(5)
        client.connect(("127.0.0.9", port))
        for word in (b"one", b"two"):
            client.send(word)
            assert client.recv(100) == word.upper() + b" 192.168.107.1"


def test_over_ipv6_on_both_sides(site):
    port = free_port("::1")
    with server(site, "python3 -m http.server --bind :: -d $TMPDIR 8000") as alice:
        forward(site, "add", f"[::1]:{port}:[{alice.address6()}]:8000")
        assert status(port, "[::1]") == 200


def test_from_the_file_before_the_guest_is_there(site):
    port = free_port()
    site.config("vmnet:\n  shared:\n    subnet: 192.168.107.0/24\n"
                f"    forwards: [{{listen: {port}, to: 'alice:8000'}}]\n")
    site.vmlan("up", "shared")
    wait_until(lambda: outcome(port) == "ConnectionResetError", what="the forward to listen")
    with server(site):
        wait_until(lambda: outcome(port) == 200, what="alice to be found")


def test_what_is_in_use_is_refused_whole(site):
    site.vmlan("up", "shared")
    with listening() as taken:
        first = taken - 1
        error = refusal(site, "add", f"{first}-{taken}:alice:80-81")
        assert f"port {taken} " in error and "in use" in error
    assert forward(site, "ls").stdout == ""
    port = free_port()
    forward(site, "add", f"{port}:alice:80")
    assert f"127.0.0.1:{port}:alice:80/tcp" in refusal(site, "add", f"0.0.0.0:{port}:bob:80")


def test_wrong_ones_are_explained(site):
    site.vmlan("up", "shared")
    for words, why in (("8080:alice", "is not a forward; write [ADDRESS:]PORT:GUEST:PORT"),
                       ("8080:192.168.107.1:80", "can't be a guest's address in 192.168.107.0/24"),
                       ("192.0.2.1:8080:alice:80", "address"),
                       ("8080-8081:alice:80", "are not equally many ports")):
        assert why in refusal(site, "add", words)
    assert "there is no forward" in refusal(site, "rm", "8080:alice:80")
    assert "write which" in refusal(site, "add")


def test_privileged_port_names_the_cure(site):
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as file:
        first = int(file.read())
    if first < 2 or site.run("id", "-u").stdout.strip() == "0":
        pytest.skip("no port is privileged here")
    site.vmlan("up", "shared")
    assert "net.ipv4.ip_unprivileged_port_start" in refusal(site, "add", "1:alice:80")


def test_goes_on_after_the_forwarder_died(site):
    port = free_port()
    with server(site):
        forward(site, "add", f"{port}:alice:8000")
        assert status(port) == 200
        kill(site, "vmlan-forward")
        wait_until(lambda: outcome(port) == 200, timeout=5, what="the forward to be back")
