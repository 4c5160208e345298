# SPDX-License-Identifier: Apache-2.0
"""Two real guests under QEMU: what they get, that they reach each other, and what they notice when
a role of vmlan, or one of them, is killed. QEMU runs as an ordinary user, in software.
"""

import ipaddress
import os
import re
import signal
import statistics
import time

import lib
import pytest
import stage

pytestmark = [pytest.mark.engine, pytest.mark.needs("qemu-system-x86_64"), pytest.mark.limit(240)]

SUBNET = ipaddress.ip_network("192.168.107.0/24")
FAMILIES = pytest.mark.parametrize("family", [4, 6])


# Guests


class Pair(list):
    """alice and bob on one network of a site, booting side by side."""

    def __init__(self, site, image, **options):
        super().__init__(stage.guest(site, image, name, **options) for name in ("alice", "bob"))
        self.site = site

    def __enter__(self):
        for guest in self:
            guest.start()
        return self

    def __exit__(self, *_exc):
        for guest in self:
            guest.kill()

    @property
    def both_ways(self):
        return [tuple(self), tuple(reversed(self))]

    def wait_reach(self, *families):
        for one, other in self.both_ways:
            for family in families or (4, 6):
                one.wait_reach(other.name, family)

    def addresses(self):
        return [(guest.wait_address(4), guest.wait_address(6)) for guest in self]

    def poweroff(self):
        for guest in self:
            guest.poweroff()


@pytest.fixture(scope="module")
def shared_pair(vm_user, vmlan_bin, test_root, image):
    """For the tests that only look."""
    with lib.Site(vm_user, vmlan_bin, test_root) as site, Pair(site, image) as pair:
        yield pair


@pytest.fixture
def pair(site, image):
    with Pair(site, image) as pair:
        pair.wait_reach(4)
        yield pair


# The roles' processes, and what vmlan says of ports


def role(site, name):
    """The pid of vmlan's broker or holder; None while there is none."""
    return next((one.pid for one in site.processes() if one.name == f"vmlan-{name}"), None)


def ports(site, network="shared"):
    networks = {one["network"]: one for one in site.json("ls")}
    return {port["name"]: port for port in networks[network]["ports"]} if networks else {}


def port_pids(site):
    return {name: port["pid"] for name, port in ports(site).items()}


def ethtool(guest, *options):
    return guest.check(f"ethtool {' '.join(options)} eth0")


def tap(site, *command):
    return site.vmlan("exec", "shared", "--", *command).stdout


# What a guest gets


def test_addresses_are_of_the_subnet(shared_pair):
    addresses = shared_pair.addresses()
    (network,) = shared_pair.site.json("ls")
    subnet6 = ipaddress.ip_network(f"{network['gateway6']}/64", strict=False)
    for four, six in addresses:
        assert ipaddress.ip_address(four) in SUBNET
        assert ipaddress.ip_address(six) in subnet6
    assert len({address for pair in addresses for address in pair}) == 4


def test_router_and_resolver(shared_pair):
    for guest in shared_pair:
        guest.wait_address(4)
        assert "default via 192.168.107.1 dev eth0" in guest.check("ip -4 route")
        assert "/24 brd 192.168.107.255" in guest.check("ip -4 addr show eth0")
        resolver = guest.check("cat /etc/resolv.conf").splitlines()
        assert resolver == ["nameserver 192.168.107.1", "search shared.internal"]


def test_leases_and_ports_are_listed_with_the_address(shared_pair):
    site = shared_pair.site
    for guest in shared_pair:
        address = guest.wait_address(4)
        lease = [one for one in site.json("leases", "shared") if one["name"] == guest.name]
        assert [one["address"] for one in lease] == [address]
        assert address in ports(site)[guest.name]["addresses"]
        assert ports(site)[guest.name]["pid"] == guest.process.pid


@FAMILIES
def test_each_reaches_the_other_by_name(shared_pair, family):
    shared_pair.wait_reach(family)
    for one, other in shared_pair.both_ways:
        for name in (other.name, f"{other.name}.shared.internal"):
            ping = one.ping(name, family)
            assert ping.received == ping.sent == 5
        address = other.wait_address(family)
        assert f"({address})" in one.check(f"ping -{family} -c 1 {other.name}")


@FAMILIES
def test_gateway_answers_by_name(shared_pair, family):
    for guest in shared_pair:
        guest.wait_address(family)
        assert guest.ping("host.internal", family).received == 5


@FAMILIES
def test_tcp_by_name(shared_pair, family):
    shared_pair.wait_reach(family)
    alice, bob = shared_pair
    bob.iperf3_serve(port=5200 + family)
    report = alice.iperf3("bob", f"-{family}", seconds=1, port=5200 + family)
    assert report["end"]["sum_received"]["bytes"] > 1_000_000


def test_mtu_is_1500_by_default(shared_pair):
    for guest in shared_pair:
        guest.wait_address(6)
        assert guest.check("cat /sys/class/net/eth0/mtu") == "1500"
        assert guest.check("cat /proc/sys/net/ipv6/conf/eth0/mtu") == "1500"


OFFLOADS = ["tx-checksumming", "tx-checksum-ip-generic", "tcp-segmentation-offload",
            "tx-tcp-segmentation", "tx-tcp6-segmentation"]


@pytest.mark.needs("ethtool")
def test_offloads_are_on_in_guest_and_tap(shared_pair):
    for guest in shared_pair:
        inside = ethtool(guest, "-k")
        port = ports(shared_pair.site)[guest.name]["port"]
        outside = tap(shared_pair.site, "ethtool", "-k", port)
        for text in (inside, outside):
            on = {line.partition(":")[0].strip() for line in text.splitlines() if ": on" in line}
            assert set(OFFLOADS) <= on


HOT_PLUG = """
import json, os, socket, sys
qmp = socket.socket(socket.AF_UNIX)
qmp.connect(sys.argv[1])
answers = qmp.makefile()
answers.readline()
def ask(command, fds=(), **arguments):
    text = json.dumps({"execute": command, "arguments": arguments})
    socket.send_fds(qmp, [text.encode()], fds)
    for line in answers:
        if "event" not in json.loads(line):
            assert "return" in json.loads(line), line
            return
ask("qmp_capabilities")
ask("getfd", [int(os.environ["VMLAN_FD"])], fdname="tap")
ask("netdev_add", type="tap", id="n0", fd="tap")
ask("device_add", driver="virtio-net-pci", id="nic0", netdev="n0", bus="socket0",
    mac=os.environ["VMLAN_MAC"])
"""


def test_hot_plug(site, image):
    """A running QEMU gets a port's tap over QMP; then the port lives as long as QEMU."""
    late = stage.guest(site, image, "late", [], net_args=["-device", "pcie-root-port,id=socket0"])
    with late:
        late.wait_ready()
        assert late.run("ip link show eth0")[0] != 0
        site.vmlan("run", "-n", "shared,name=late", "--", "python3", "-c", HOT_PLUG,
                   site.root / "vm" / "late.qmp")
        late.check("until ip link set eth0 up; do sleep 0.1; done; "
                   "udhcpc -n -q -i eth0 -s /udhcpc -x hostname:late -O mtu -O search")
        assert late.wait_address(4) in ports(site)["late"]["addresses"]
        assert late.ping("host.internal").received == 5
    lib.wait_until(lambda: not ports(site), 2, "the end of the port with QEMU")


# Configuration


def test_mtu_9000(site, image):
    site.config("vmnet:\n  shared: {subnet: 192.168.107.0/24, mtu: 9000}\n")
    with Pair(site, image) as pair:
        pair.wait_reach()
        for one, other in pair.both_ways:
            assert one.check("cat /sys/class/net/eth0/mtu") == "9000"
            for family, headers in ((4, 28), (6, 48)):
                assert one.ping(other.name, family, size=9000 - headers).received == 5
        assert "mtu 9000" in tap(site, "ip", "link", "show", "vm0")
        assert "mtu 9000" in tap(site, "ip", "link", "show", "br0")
        fragments = pair[0].check("grep ^Ip: /proc/net/snmp").splitlines()
        counts = dict(zip(fragments[0].split(), fragments[1].split()))
        assert counts["FragCreates"] == counts["ReasmReqds"] == "0"


@pytest.mark.needs("ethtool")
def test_two_queues(site, image):
    with stage.guest(site, image, "alice", ["shared,queues=2"], smp=2) as alice:
        alice.wait_address(4)
        current = ethtool(alice, "-l").partition("Current hardware settings")[2]
        assert "Combined:\t2" in current
        assert "numqueues 2" in tap(site, "ip", "-d", "link", "show", "vm0")
        assert alice.ping("host.internal").received == 5


def test_addresses_survive_a_restart_of_guests_and_broker(site, image):
    site.config("vmnet:\n  shared: {subnet: 192.168.107.0/24, linger: 0}\n")
    with Pair(site, image) as pair:
        addresses, broker = pair.addresses(), role(site, "broker")
        pair.poweroff()
        lib.wait_until(lambda: not site.processes(), 10, "the end of network and broker")
        with pair:
            assert pair.addresses() == addresses
            assert role(site, "broker") not in (broker, None)


# Ends


def test_sigkill_of_qemu_frees_the_port(site, image):
    """Within 100 ms as vmlan ls shows it; the median of five guests that have opened their tap."""
    site.vmlan("up", "shared")
    times = []
    for _ in range(5):
        with stage.guest(site, image, "alice") as alice:
            alice.qmp("query-status")
            assert list(ports(site)) == ["alice"]
            begin = time.monotonic()
            os.kill(alice.process.pid, signal.SIGKILL)
            lib.wait_until(lambda: not ports(site), 5, "the end of the port")
            times.append(time.monotonic() - begin)
            assert alice.process.wait(5) == -signal.SIGKILL
    assert statistics.median(times) < 0.1, times


class Talk:
    """alice pings bob all the while; stop() gives how many replies are missing between others."""

    def __init__(self, pair):
        self.alice, _ = pair
        self.alice.check("ping -i 0.1 bob >/tmp/talk 2>&1 & echo $! >/tmp/talker")
        self.wait_reply(1)

    def wait_reply(self, count):
        """Waits for count replies more than there are now."""
        self.alice.check(f"n=$(($(wc -l </tmp/talk) + {count})); "
                         "until [ $(wc -l </tmp/talk) -ge $n ]; do sleep 0.05; done")

    def stop(self):
        self.wait_reply(10)
        text = self.alice.check("kill -INT $(cat /tmp/talker); "
                                "until grep transmitted /tmp/talk; do sleep 0.05; done; "
                                "cat /tmp/talk")
        replies = [int(number) for number in re.findall(r"seq=(\d+)", text)]
        assert len(replies) > 10
        return max(replies) - min(replies) + 1 - len(set(replies))


def kill_role(site, name):
    pid = role(site, name)
    os.kill(pid, signal.SIGKILL)
    assert lib.wait_gone([pid], 5) == []
    return pid


def join_address(site):
    """The address of a new guest: a new port and a new lease."""
    return site.vmlan("join", "shared", "--", "ip", "-4", "-o", "addr", "show", "eth0").stdout


def test_broker_sigkill_with_guests(pair):
    site, before = pair.site, port_pids(pair.site)
    talk = Talk(pair)
    broker = kill_role(site, "broker")
    talk.wait_reply(5)
    assert port_pids(site) == before  # this ls starts a broker, which finds the network
    assert role(site, "broker") not in (broker, None)
    assert "192.168.107." in join_address(site)
    assert talk.stop() == 0


def test_holder_sigkill_with_guests(pair):
    site, before = pair.site, port_pids(pair.site)
    talk = Talk(pair)
    begin = time.monotonic()
    holder = kill_role(site, "holder")
    lib.wait_until(lambda: role(site, "holder") not in (holder, None), 5, "a new holder")
    assert time.monotonic() - begin < 1
    talk.wait_reply(5)
    assert port_pids(site) == before
    assert "192.168.107." in join_address(site)
    assert talk.stop() == 0
    pair[1].kill()
    lib.wait_until(lambda: list(ports(site)) == ["alice"], 2, "the end of bob's port")


def test_holder_sigkill_under_an_adopting_broker(pair):
    """The second broker keeps the network as well as the one that started it."""
    site, before = pair.site, port_pids(pair.site)
    talk = Talk(pair)
    kill_role(site, "broker")
    assert port_pids(site) == before
    holder = kill_role(site, "holder")
    lib.wait_until(lambda: role(site, "holder") not in (holder, None), 5, "a new holder")
    talk.wait_reply(5)
    assert port_pids(site) == before
    assert "192.168.107." in join_address(site)
    assert talk.stop() == 0


def cpu_seconds(pid):
    """User and system time of the process with all its threads."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_down_leaves_no_qemu_spinning(pair):
    site = pair.site
    pids = [guest.process.pid for guest in pair]
    site.vmlan("down", "shared")
    lib.wait_until(lambda: {one.pid for one in site.processes()} == set(pids), 10, "the end")
    before = [cpu_seconds(pid) for pid in pids]
    time.sleep(2)  # what is measured is the time they take in two seconds
    used = [cpu_seconds(pid) - start for pid, start in zip(pids, before)]
    assert max(used) < 0.5, used
    for one, other in pair.both_ways:
        assert one.run("true")[0] == 0
        assert other.process.poll() is None
    assert pair[0].run(f"ping -c 1 -W 1 {pair[1].wait_address(4)}")[0] != 0
