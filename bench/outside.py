# SPDX-License-Identifier: Apache-2.0
"""The host and what it serves, and the ways from a guest to it.

The host is a network namespace of its own, made by the acting user, in which vmlan and its rivals
run as that same user without any capability. Its servers are reached at addresses of its loopback
device that are not loopback addresses, so the same one serves all: a process of the host itself
(the reference), and guests by whatever way out.
"""

import json
import os
import socket
import subprocess

import lib
import stage
from wiring import MTU, Ends, congestion_control, reading

CONTROLS = ("cubic", "bbr")
CRR_PORT = 5300
TRIES = 5


def controls():
    """Those of CONTROLS that this kernel has."""
    with open("/proc/sys/net/ipv4/tcp_available_congestion_control") as file:
        available = file.read().split()
    return [control for control in CONTROLS if control in available]


def tool(user, root, name):
    """A program of the build's bench folder where the user can run it."""
    return lib.reachable(user, root, lib.TOP / "build/bench" / name)


class Resident(lib.User):
    """The acting user in the network namespace of a process."""

    def __new__(cls, user, pid):
        self = super().__new__(cls, *user)
        self.pid = pid
        return self

    @property
    def prefix(self):
        return [*super().prefix, "nsenter", f"--target={self.pid}", "--user", "--net",
                "--preserve-credentials", "--"]


class Host(Ends):
    """The host's namespace with its servers; site is a vmlan in it."""

    ADDRESS = "198.51.100.1"
    SPARE = ("198.51.100.11", "198.51.100.12", "198.51.100.13")  # for a guest with several ways

    # A default route lets rivals find the way out; nothing is ever sent there.
    SETUP = ("ip link set lo up && ip link add out type veth peer name world && "
             "ip link set out up && ip link set world up && ip addr add 10.99.0.1/24 dev out && "
             "ip -6 addr add fd99::1/64 dev out nodad && "
             "ip route add default via 10.99.0.2 && ip -6 route add default via fd99::2")

    def __init__(self, bench):
        self.bench = bench

    def connect(self):
        user = self.bench.site.user
        self.shell = self.end(*user.prefix, "unshare", "--user", "--map-current-user",
                              "--keep-caps", "--net")
        self.shell.run(self.SETUP)
        for address in (self.ADDRESS, *self.SPARE):
            self.shell.run(f"ip addr add {address}/32 dev lo")
        self.user = Resident(user, self.shell.pid)
        self.site = lib.Site(self.user, self.bench.site.bin, self.bench.root)
        self.stack.callback(self.site.close)
        self.end(*self.user.prefix).serve()
        self.crr = tool(self.user, self.bench.root, "crr")
        self.end(*self.user.prefix).become(f"{self.crr} -s {self.ADDRESS} {CRR_PORT}")

    def control(self, control):
        """All of the host's TCP to and from its servers is by this congestion control from now on.
        A route may name one that only the machine's root could choose otherwise.
        """
        for address in (self.ADDRESS, *self.SPARE):
            self.shell.run(f"ip route replace local {address} dev lo table local src {address} "
                           f"congctl {control}")


class Ways(Host):
    """A host, and ends (by name) that reach it: of the host itself, and of guests of uplink and
    rivals. A rival that is not installed has no end.
    """

    OURS, PLAIN, RIVALS = "uplink", "loopback", ("pasta", "slirp4netns")

    def connect(self):
        super().connect()
        prefix, site = self.user.prefix, self.site
        self.ends = {
            self.OURS: self.end(*prefix, str(site.bin), "join", "shared", "--", env=site.env),
            self.PLAIN: self.end(*prefix)}
        for rival in self.RIVALS:
            if not lib.missing_tool(rival):
                self.ends[rival] = getattr(self, f"_{rival}")()
        for end in self.ends.values():
            end.run("true")  # it is where it belongs now

    def _pasta(self):
        return self.end(*self.user.prefix, "pasta", "--quiet", "--config-net", "-m", str(MTU),
                        "--")

    def _slirp4netns(self):
        end = self.end(*self.user.prefix, "unshare", "--user", "--map-root-user", "--net")
        end.run("ip link set lo up")
        ready, signal = os.pipe()
        words = ["slirp4netns", "--configure", f"--mtu={MTU}", f"--ready-fd={signal}",
                 str(end.pid), "tap0"]
        rival = subprocess.Popen([*self.user.prefix, *words], pass_fds=[signal],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        self.stack.callback(rival.wait)
        self.stack.callback(rival.terminate)
        os.close(signal)
        with open(ready, "rb") as file:
            assert file.read(), "slirp4netns did not start"
        return end

    def tcp(self, end, control, *options):
        """(bit/s received, congestion control of the sender)."""
        return reading(self._iperf3(end, "-C", control, *options))

    def udp(self, end, *options):
        """(bit/s received, share lost) of 1200-byte datagrams."""
        total = self._iperf3(end, "-u", "-l", "1200", "-w", "1M", *options)["end"]["sum"]
        lost = total["lost_percent"] / 100
        return total["bits_per_second"] * (1 - lost), lost

    def _iperf3(self, end, *options):
        """iperf3's report. It gives up when the server has not ended the measurement before, or
        when one of its few opening datagrams is lost, so it gets several tries.
        """
        words = ["iperf3", "-J", "-c", self.ADDRESS, "-t", str(self.bench.seconds), *options]
        for _ in range(TRIES):
            report = json.loads(self.ends[end].run(f"{' '.join(words)} || sleep 1"))
            if "error" not in report:
                return report
        raise AssertionError(f"iperf3 by {end}: {report['error']}")

    def requests(self, end, seconds, *options):
        """What crr tells: rate, and connect (seconds) or lost."""
        return json.loads(self.ends[end].run(" ".join(
            [str(self.crr), "-t", str(seconds), *options, self.ADDRESS, str(CRR_PORT)])))


class Nics(Host):
    """A host, and a QEMU guest on it with three NICs: of vmlan's network shared, of QEMU's own
    "-netdev user", and of passt, if it is installed. Each is the way to another of SPARE.
    """

    OURS, RIVALS = "uplink", ("-netdev user", "passt")
    MACS = {OURS: "52:54:00:00:00:01", "-netdev user": "52:54:00:00:00:02",
            "passt": "52:54:00:00:00:03"}

    def connect(self):
        super().connect()
        self.control(congestion_control())
        image = stage.guest_image(self.user, self.bench.root)
        ends, names = [], [self.OURS, "-netdev user"]
        words = self._nic("-netdev user", "user,id=user", "user")
        if not lib.missing_tool("passt"):
            ends.append(self._passt())
            names.append("passt")
            words += self._nic("passt", f"socket,id=passt,fd={ends[0].fileno()}", "passt")
        self.guest = stage.guest(self.site, image, "bench", net_args=words,
                                 networks=[f"shared,mac={self.MACS[self.OURS]}"],
                                 pass_fds=[end.fileno() for end in ends])
        self.stack.enter_context(self.guest)
        for end in ends:
            end.close()
        self.targets = dict(zip(names, self.SPARE))
        for name, target in self.targets.items():
            self._route(self.MACS[name], target)

    def _nic(self, name, netdev, netdev_id):
        return ["-netdev", netdev, "-device",
                f"virtio-net-pci,netdev={netdev_id},mac={self.MACS[name]}"]

    def _passt(self):
        """Starts passt; QEMU's end of the connection to it."""
        ours, its = socket.socketpair()
        words = ["passt", "--foreground", "--quiet", "-m", str(MTU), "--fd", str(its.fileno())]
        rival = subprocess.Popen([*self.user.prefix, *words], pass_fds=[its.fileno()],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        self.stack.callback(rival.wait)
        self.stack.callback(rival.terminate)
        its.close()
        return ours

    def _route(self, mac, target):
        nic = self.guest.check(f"grep -l {mac} /sys/class/net/eth*/address | cut -d/ -f5")
        self.guest.wait_address(4, nic)
        router = f"$(ip -4 route show default dev {nic} | cut -d' ' -f3)"
        self.guest.check(f"ip link set {nic} mtu {MTU}; "
                         f"ip route add {target} via {router} dev {nic}")

    def tcp(self, nic, *options):
        """(bit/s received, congestion control of the sender)."""
        control = congestion_control()
        return reading(self.guest.iperf3(self.targets[nic], "-4", "-C", control, *options,
                                         seconds=self.bench.seconds))
