# SPDX-License-Identifier: Apache-2.0
"""World: what the uplink's tests have instead of a host on the internet, made without root.

Two network namespaces and a cable. "host" is where vmlan runs, as an ordinary user without rights
over it; "internet" has the routers and servers. Both belong to a user namespace of the test's user,
who is therefore root over them when the test wants to change something. Whoever enters the host
comes by a second user namespace inside, in which he is nobody but himself.
"""

import json
import shutil
import subprocess
import tempfile
import zlib
from pathlib import Path

import lib
from netlib import Seat

HERE = Path(__file__).resolve().parent
SERVER = {4: "203.0.113.5", 6: "2001:db8::5"}
OTHER = {4: "203.0.113.6", 6: "2001:db8::6"}
RESOLVERS = ("203.0.113.53", "203.0.113.54")
HOST = {4: "10.99.0.1", 6: "fd99::1"}
ROUTER = {4: "10.99.0.2", 6: "fd99::2"}
HOLD = ["sh", "-c", "echo; exec cat"]  # a namespace lasts as long as this, which ends with us

INTERNET = """
ip link set lo up
ip link add host0 type veth peer name wan0 netns {host}
ip addr add 10.99.0.2/24 dev host0
ip addr add fd99::2/64 dev host0 nodad
ip link set host0 up
for a in 203.0.113.5 203.0.113.6 203.0.113.53 203.0.113.54; do ip addr add $a/32 dev lo; done
for a in 2001:db8::5 2001:db8::6 2001:db8::53; do ip addr add $a/128 dev lo; done
ip link add far type bridge
ip link set far up
ip route add 198.51.100.128/25 dev far
ip route add 2001:db8:f::/64 dev far
ip route add 198.51.100.0/28 dev far
ip route add 2001:db8:1::/64 dev far
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
sysctl -qw net.ipv4.icmp_msgs_per_sec=100000 net.ipv4.icmp_msgs_burst=100000 || true
nft -f - <<'RULES'
table inet world {{
    chain input {{
        type filter hook input priority 0;
        meta l4proto {{ tcp, udp }} th dport 9 drop
        tcp dport 11 reject with icmpx no-route
        tcp dport 12 reject with icmpx host-unreachable
        tcp dport 13 reject with icmpx admin-prohibited
        tcp dport 14 reject with icmpx port-unreachable
        udp dport 13 reject with icmpx admin-prohibited
    }}
    # Answered by rules: the errors of the kernel's own routes are held back after the first few.
    chain forward {{
        type filter hook forward priority 0;
        ip daddr 198.51.100.1 reject with icmpx host-unreachable
        ip6 daddr 2001:db8:1::1 reject with icmpx host-unreachable
        ip daddr 198.51.100.2 reject with icmpx admin-prohibited
        ip6 daddr 2001:db8:1::2 reject with icmpx admin-prohibited
        ip daddr 198.51.100.3 reject with icmpx no-route
        ip6 daddr 2001:db8:1::3 reject with icmpx no-route
    }}
}}
RULES
"""

HOST_SETUP = """
ip link set lo up
ip addr add 10.99.0.1/24 dev wan0
ip addr add fd99::1/64 dev wan0 nodad
ip link set wan0 up
ip route add unreachable 192.0.2.65
ip route add unreachable 2001:db8:2::65
"""
ROUTES = {4: "default via 10.99.0.2", 6: "default via fd99::2"}


class World:
    """Use the fixture. names: the test user's, for the namespaces and everything run in them."""

    def __init__(self, user, test_root):
        self.user = user
        self.root = Path(user.own(tempfile.mkdtemp(prefix="w", dir=test_root)))
        self.root.chmod(0o755)
        self.children = []
        self.environment = {"PATH": lib.SYSTEM_PATH, "HOME": str(self.root), "LANG": "C.UTF-8",
                            "VMLAN_TEST_ROOT": str(test_root), "PYTHONDONTWRITEBYTECODE": "1"}

    def start(self):
        self.internet_pid = self._hold(["unshare", "--user", "--map-root-user", "--net", "--"])
        self._outer = ["nsenter", "-t", str(self.internet_pid), "-U", "--preserve-credentials"]
        self.host_pid = self._hold([*self._outer, "unshare", "--net", "unshare", "--user",
                                    f"--map-user={self.user.uid}",
                                    f"--map-group={self.user.gid}", "--"])
        self.internet("sh", "-ec", INTERNET.format(host=self.host_pid))
        self.admin("sh", "-ec", HOST_SETUP)
        for family in (4, 6):
            self.route(family, True)

    # Where commands run

    @property
    def host_user(self):
        """The test's user, on the host: without any right but to make namespaces of its own."""
        inner = ["nsenter", "-t", str(self.host_pid), "-n", "-U", "--preserve-credentials"]
        return _HostUser(self.user, (*self.user.prefix, *self._outer, *inner))

    def _in_internet(self, command):
        return [*self.user.prefix, *self._outer, "-n", "--", *map(str, command)]

    def internet(self, *command, **options):
        """Runs a command as root of the internet."""
        return self._run(self._in_internet(command), **options)

    def admin(self, *command, **options):
        """Runs a command as root of the host."""
        host = ["nsenter", "-t", str(self.host_pid), "-n", "--"]
        return self._run([*self.user.prefix, *self._outer, *host, *map(str, command)], **options)

    def host(self, *command, **options):
        """Runs a command as the user on the host."""
        return self._run([*self.host_user.prefix, *map(str, command)], **options)

    def _run(self, command, check=True, timeout=20):
        done = subprocess.run(command, env=self.environment, cwd=self.root, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout)
        assert not check or done.returncode == 0, (
            f"{' '.join(command)}: status {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def spawn(self, command, where="internet"):
        """Starts a program that runs until end() or the world's end."""
        prefix = self._in_internet([]) if where == "internet" else self.host_user.prefix
        child = subprocess.Popen([*prefix, *map(str, command)], env=self.environment,
                                 cwd=self.root, stdin=subprocess.DEVNULL, text=True,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.children.append(child)
        return child

    def serve(self, *arguments, where="internet"):
        """Starts servers.py with these arguments; it serves when this returns."""
        child = self.spawn(["python3", self.script("servers.py"), *arguments], where)
        line = child.stdout.readline()
        assert line == "ready\n", line + child.stdout.read()
        return child

    def resolver(self, address, *records):
        """A DNS server that knows these records of dnsmasq's and refuses everything else."""
        child = self.spawn(["dnsmasq", "--conf-file=/dev/null", "--keep-in-foreground", "--user=",
                            "--group=", "--pid-file", "--log-facility=-", "--no-resolv",
                            "--no-hosts", "--bind-interfaces", "--except-interface=none",
                            f"--listen-address={address}", *records])
        lib.wait_until(lambda: f"{address}:53 " in self.internet("ss", "-Hltn").stdout,
                       what=f"a DNS server at {address}")
        return child

    def end(self, child):
        child.kill()
        child.wait(10)
        child.stdout.close()
        self.children.remove(child)

    def listening(self, port, where="internet"):
        run = self.internet if where == "internet" else self.admin
        return f":{port} " in run("ss", "-Hltun").stdout

    def script(self, name):
        """A script of this folder where the user, and a guest, can read it."""
        path = self.root / name
        if not path.exists():
            shutil.copy(HERE / name, path)
            path.chmod(0o644)
        return path

    # What changes

    def route(self, family, there):
        """Gives the host its default route or takes it away."""
        self.admin("ip", f"-{family}", "route", "add" if there else "del",
                   *ROUTES[family].split())

    def allow_ping(self):
        """Ping sockets on the host, for its user. A namespace begins without; there is no way
        back, as only the user's own group has a number here."""
        self.admin("sh", "-c", "echo 0 0 >/proc/sys/net/ipv4/ping_group_range")

    # The end

    def _hold(self, prefix):
        child = subprocess.Popen([*self.user.prefix, *prefix, *HOLD], env=self.environment,
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.children.append(child)
        assert child.stdout.readline() == b"\n", f"{' '.join(prefix)} failed"
        return child.pid

    def close(self):
        for child in reversed(self.children):
            child.kill()
            child.wait(10)
            for stream in (child.stdin, child.stdout):
                if stream:
                    stream.close()
        mark = f"{self.root}/".encode()
        lib.end([one.pid for one in lib.processes() if mark in one.command])
        shutil.rmtree(self.root, ignore_errors=True)


class _HostUser(lib.User):
    """The user with the way into the host."""

    def __new__(cls, user, prefix):
        one = super().__new__(cls, user.uid, user.gid)
        one.way = list(prefix)
        return one

    @property
    def prefix(self):
        return self.way


class Place:
    """Where probes run: on the host, or in a guest."""

    def __init__(self, world, name, run):
        self.world, self.name, self.run = world, name, run

    def __str__(self):
        return self.name

    def probe(self, *actions, timeout=60):
        """What each of these actions of probe.py saw."""
        text = json.dumps(actions)
        script = self.world.script("probe.py")
        return json.loads(self.run(f"python3 {script} '{text}'", timeout))


class Guest(Seat):
    """A guest that has its addresses of both families, and probes as the host does."""

    def __init__(self, world, site, network="shared", *options, name=None, both=True):
        super().__init__(site, network, *options, name=name)
        self.place = Place(world, name or "guest", self.check)
        self.probe = self.place.probe
        self.check("ip link show eth0")
        if both:
            self.address6()


def make_site(world, vmlan_bin, test_root):
    """A vmlan on the world's host, with the first resolver in its resolv.conf."""
    site = lib.Site(world.host_user, vmlan_bin, test_root)
    resolv = site.write("resolv.conf", f"nameserver {RESOLVERS[0]}\n")
    site.env["VMLAN_RESOLV_CONF"] = str(resolv)
    return site


def missing_world(user):
    """Why there can be no world here, or None."""
    inner = ["unshare", "--net", "unshare", "--user", f"--map-user={user.uid}",
             f"--map-group={user.gid}", "unshare", "--user", "--net", "true"]
    if not user.can("unshare", "--user", "--map-root-user", "--net", *inner):
        return f"uid {user.uid} can't make user namespaces in user namespaces"
    return None


PATTERN = bytes(range(251)) * 4178  # about 1 MiB, of a length that is no power of two


def pattern_sum(size):
    """CRC of what the servers' source sends."""
    whole, rest = divmod(size, len(PATTERN))
    value = 0
    for _ in range(whole):
        value = zlib.crc32(PATTERN, value)
    return zlib.crc32(PATTERN[:rest], value)
