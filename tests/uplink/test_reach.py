# SPDX-License-Identifier: Apache-2.0
"""What a guest must not reach, whatever it tries; and that garbage harms nobody."""

import json

import pytest
from netlib import role, the
from world import HOST, SERVER

pytestmark = pytest.mark.engine

FORWARDER = "vmlan-forward"
GATEWAY = "192.168.107.1"
LOCAL_PORT, OPEN_PORT = 2700, 2701

# Runs in a guest: SYNs and datagrams, by raw frames to the gateway's MAC address, to addresses that
# no socket of the guest would send there. Prints those for which anything but a refusal came back.
RAW = r"""
import json, select, socket, sys, time
from scapy.config import conf
conf.ipv6_enabled = True
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

mac, gateway, ip4, ip6, port, *targets = sys.argv[1:]
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
raw.bind(("eth0", 0))
for number, target in enumerate(targets):
    sport = 20000 + number
    layer = IPv6(src=ip6, dst=target) if ":" in target else IP(src=ip4, dst=target)
    for top in (TCP(sport=sport, dport=int(port), flags="S"), UDP(sport=sport, dport=int(port))):
        raw.send(bytes(Ether(src=mac, dst=gateway) / layer / top / (b"" if TCP in top else b"who")))
reached, end = set(), time.monotonic() + 2
while (left := end - time.monotonic()) > 0 and select.select([raw], [], [], left)[0]:
    frame = Ether(raw.recv(65536))
    if frame.dst != mac:
        continue
    top = TCP if TCP in frame else UDP if UDP in frame else None
    if top and 20000 <= frame[top].dport < 20000 + len(targets):
        if top is UDP or frame[top].flags.S:
            reached.add(targets[frame[top].dport - 20000])
print(json.dumps(sorted(reached)))
"""

# Runs in a guest: packets that are almost right, and packets that are not at all.
GARBAGE = r"""
import random, socket, sys
from scapy.config import conf
conf.ipv6_enabled = True
from scapy.layers.inet import ICMP, IP, IPOption, TCP, UDP, fragment
from scapy.layers.inet6 import (ICMPv6EchoRequest, ICMPv6PacketTooBig, IPv6, IPv6ExtHdrDestOpt,
                                IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting)
from scapy.layers.l2 import Ether

mac, gateway, ip4, ip6, to4, to6, count = sys.argv[1:]
chance = random.Random(20260101)
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
raw.bind(("eth0", 0))
v4, v6 = IP(src=ip4, dst=to4), IPv6(src=ip6, dst=to6)
options = [("MSS", 1460), ("WScale", 14), ("Timestamp", (1, 0)), ("SAckOK", b"")]
tops = [TCP(sport=5, dport=7, flags="S", options=options), TCP(sport=6, dport=7, flags="PA") / b"x",
        TCP(sport=7, dport=7, flags="SFRPAU"), TCP(sport=8, dport=7, flags=0),
        TCP(sport=9, dport=7, dataofs=15), TCP(sport=0, dport=0, flags="S"),
        UDP(sport=5, dport=7) / b"hello", UDP(sport=5, dport=7, len=3),
        UDP(sport=5, dport=7, len=0), UDP(sport=0, dport=0, len=65535) / b"x",
        UDP(sport=5, dport=53) / (b"\xff" * 40),
        UDP(sport=5, dport=67) / (b"\x01" * 60)]
base = [v4 / top for top in tops] + [v6 / top for top in tops]
base += [v4 / ICMP() / b"ping", v4 / ICMP(type=3, code=4, nexthopmtu=20) / bytes(v4 / tops[6]),
         v4 / ICMP(type=3, code=3) / bytes(v4)[:13], v4 / ICMP(type=5), v6 / ICMPv6EchoRequest(),
         v6 / ICMPv6PacketTooBig(mtu=0) / bytes(v6 / tops[6]),
         v6 / IPv6ExtHdrHopByHop() / tops[0], v6 / IPv6ExtHdrDestOpt() / tops[6],
         v6 / IPv6ExtHdrRouting(addresses=[to6] * 3) / tops[0],
         v6 / IPv6ExtHdrFragment(offset=0, m=1) / tops[6],
         v6 / IPv6ExtHdrFragment(offset=8000, m=0) / tops[6],
         IP(src=ip4, dst=to4, ihl=5, len=20), IP(src=ip4, dst=to4, len=65535) / tops[0],
         IP(src=ip4, dst=to4, ihl=15) / tops[0], IP(src=ip4, dst=to4, proto=255) / b"x",
         IP(src=ip4, dst=to4, ttl=0) / tops[6], IP(src=ip4, dst=to4, frag=8191) / tops[6],
         IP(src=ip4, dst=to4, options=[IPOption(b"\x83\x03\x10")]) / tops[0],
         IPv6(src=ip6, dst=to6, plen=0) / tops[6], IPv6(src=ip6, dst=to6, nh=59, plen=9999),
         IP(src=to4, dst=ip4) / tops[0], IP(src="127.0.0.1", dst=to4) / tops[0],
         IP(src="0.0.0.0", dst=to4) / tops[6], IP(src="255.255.255.255", dst=to4) / tops[0],
         IP(src=to4, dst=to4) / tops[0], IPv6(src="::", dst=to6) / tops[6],
         IPv6(src="ff02::1", dst=to6) / tops[0], IPv6(src=to6, dst=to6) / tops[0]]
base += fragment(v4 / UDP(sport=5, dport=7) / (b"f" * 5000))[:-1]
overlap = fragment(v4 / UDP(sport=5, dport=7) / (b"f" * 5000))
overlap[1].frag -= 20
frames = [bytes(Ether(src=mac, dst=gateway) / packet) for packet in [*base, *overlap]]
for number in range(int(count)):
    frame = bytearray(frames[number % len(frames)])
    if number >= len(frames):
        for _ in range(chance.choice((1, 2, 4, 30))):
            frame[chance.randrange(14, len(frame))] = chance.randrange(256)
        frame = frame[:chance.randrange(14, len(frame) + 1)] if chance.random() < 0.3 else frame
    try:
        raw.send(frame)
    except OSError:  # the own device's queue is full, or too short for a frame
        pass
print("sent")
"""


@pytest.fixture
def local(world):
    """Services of the host: one on its loopback only, one on all its addresses."""
    servers = [world.serve("echo", "127.0.0.1,::1", LOCAL_PORT, where="host"),
               world.serve("udp", "127.0.0.1,::1", LOCAL_PORT, where="host"),
               world.serve("echo", "0.0.0.0,::", OPEN_PORT, where="host")]
    yield
    for server in servers:
        world.end(server)


def gateway6(site, network="shared"):
    return site.json("inspect", network)["network"]["gateway6"]


def raw_arguments(seat):
    """The MAC address, the gateway's, and the addresses, as the scripts want them."""
    seat.check(f"ping -c 1 -W 5 {GATEWAY}")
    mac = seat.check("ip -br link show eth0").split()[2]
    gateway = seat.check(f"ip neigh show {GATEWAY}").split()[4]
    return [mac, gateway, seat.address, seat.address6()]


def script(world, name, text):
    path = world.root / name
    path.write_text(text)
    return path


@pytest.mark.sanitized
def test_gateway_stands_for_the_host_without_its_loopback(site, guest, host, local):
    """As for another machine of the host's own network."""
    seat = guest()
    gateways = [GATEWAY, gateway6(site)]
    for address in (*gateways, HOST[4], HOST[6]):
        assert seat.probe(["connect", address, LOCAL_PORT], ["udp", address, LOCAL_PORT],
                          ["connect", address, OPEN_PORT]) == [
            "ECONNREFUSED", "ECONNREFUSED", "connected"]
    assert host.probe(["connect", HOST[4], LOCAL_PORT], ["connect", "127.0.0.1", LOCAL_PORT]) == [
        "ECONNREFUSED", "connected"]


def test_host_loopback_is_reached_where_the_network_says_so(site, guest, local):
    site.config("vmnet:\n  lan: {hostLoopback: true, subnet: 192.168.107.0/24}\n")
    seat = guest("lan")
    for address in (GATEWAY, gateway6(site, "lan")):
        assert seat.probe(["echo", address, LOCAL_PORT], ["udp", address, LOCAL_PORT],
                          ["echo", address, OPEN_PORT]) == [True, "echo", True]
    assert seat.probe(["connect", HOST[4], LOCAL_PORT]) == ["ECONNREFUSED"]


def test_loopback_addresses_are_the_guests_own(guest, local):
    assert guest().probe(*[["connect", address, LOCAL_PORT] for address in
                           ("127.0.0.1", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1")]
                         ) == ["ECONNREFUSED"] * 5


def test_sent_to_the_gateway_they_reach_nothing(world, guest, local):
    """Frames that no socket of a guest makes: to loopback, mapped, multicast addresses."""
    pytest.importorskip("scapy", reason="scapy is not installed (python3-scapy)")
    seat = guest()
    targets = ["127.0.0.1", "127.0.0.2", "0.0.0.0", "224.0.0.1", "240.0.0.1", "255.255.255.255",
               "::1", "::", "::ffff:127.0.0.1", f"::ffff:{HOST[4]}", "::127.0.0.1", "ff02::1",
               "fe80::1"]
    words = " ".join([*raw_arguments(seat), str(LOCAL_PORT), *targets])
    path = script(world, "raw.py", RAW)
    assert json.loads(seat.check(f"python3 {path} {words}")) == []
    words = " ".join([*raw_arguments(seat), "7", SERVER[4], SERVER[6]])
    assert json.loads(seat.check(f"python3 {path} {words}")) == sorted(SERVER.values())


def test_forwarders_own_ports_are_nobodys(site, guest):
    """The listeners behind TPROXY and the DNS relay are on the namespace's loopback."""
    seat = guest()
    for address in (GATEWAY, gateway6(site)):
        assert seat.probe(["connect", address, 61], ["connect", address, 5300],
                          ["udp", address, 5300], ["udp", address, 61]) == ["ECONNREFUSED"] * 4


def test_another_network_is_not_reached(world, site, guest):
    """Neither its guests nor its gateway, by address."""
    site.config("vmnet:\n  lan: {subnet: 192.168.120.0/24}\n  shared: {}\n")
    alice, bob = guest("lan"), guest("shared")
    bob.check(f"python3 {world.script('servers.py')} echo 0.0.0.0,:: 2800 >/dev/null 2>&1 & s=$!")
    bob.until("ss -ltn | grep -q :2800")
    assert bob.probe(["echo", "127.0.0.1", 2800]) == [True]
    targets = [bob.address, bob.address6(), gateway6(site, "shared")]
    results = alice.probe(*[["connect", target, 2800] for target in targets])
    assert "connected" not in results
    bob.run("kill $s")


@pytest.fixture
def pair(guest):
    """A bad guest and a good one that pings the internet all the time."""
    bad, good = guest(name="bad"), guest(name="good")
    good.ping_start(SERVER[4])
    yield bad, good
    good.run("kill -KILL $ping")


@pytest.mark.sanitized
def test_garbage_harms_nobody(world, site, pair):
    """Packets of every kind, whole, cut and with wrong bytes; another guest's flows go on."""
    pytest.importorskip("scapy", reason="scapy is not installed (python3-scapy)")
    bad, good = pair
    roles = ("vmlan-broker", "vmlan-holder", FORWARDER, "dnsmasq")
    pids = [the(site, name) for name in roles]
    path = script(world, "garbage.py", GARBAGE)
    for to4, to6 in ((SERVER[4], SERVER[6]), (GATEWAY, gateway6(site))):
        words = " ".join([*raw_arguments(bad), to4, to6, "20000"])
        bad.check(f"python3 {path} {words}", 60)
        assert good.probe(["echo", SERVER[4]], ["echo", SERVER[6]], ["udp", SERVER[4], 7],
                          ["udp", SERVER[6], 7]) == [True, True, "echo", "echo"]
    assert bad.probe(["echo", SERVER[4]], ["echo", SERVER[6]], ["udp", SERVER[4], 7]) == [
        True, True, "echo"]
    sent, received = good.ping_end()
    assert sent == received
    assert [role(site, name) for name in roles] == [[pid] for pid in pids]


def test_one_guests_connections_do_not_stop_anothers(world, guest):
    """A guest that dials what never answers, as often as it can."""
    bad, good = guest(name="bad"), guest(name="good")
    flood = script(world, "flood.py", f"""
import resource, socket
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
conns = []
for number in range(3000):
    conn = socket.socket()
    conn.setblocking(False)
    conn.connect_ex(("{SERVER[4]}", 9))
    conns.append(conn)
print("dialling", flush=True)
input()
""")
    bad.check(f"mkfifo $TMPDIR/f; python3 {flood} <$TMPDIR/f >$TMPDIR/flood 2>&1 & "
              "exec 4>$TMPDIR/f")
    bad.until("grep -q dialling $TMPDIR/flood")
    assert good.probe(["sequential", SERVER[4], 200], ["sequential", SERVER[6], 200],
                      ["udp", SERVER[4], 7]) == [200, 200, "echo"]
    bad.run("exec 4>&-")
