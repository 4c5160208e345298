# SPDX-License-Identifier: Apache-2.0
"""Pairs of ends that iperf3 runs between. A wiring is a context manager; rate(seconds) measures it
once and gives (bit/s received, congestion control of the sender). Nothing of it outlives the block.
"""

import contextlib
import json
import re
import socket
import subprocess

import stage
from guest import GuestError

MTU = 1500
LISTENS = re.compile(r"Server listening")


def congestion_control():
    """The one all rows use: the machine's own may pace (bbr), which measures the pacing."""
    with open("/proc/sys/net/ipv4/tcp_available_congestion_control") as file:
        available = file.read().split()
    return "cubic" if "cubic" in available else available[0]


def client_words(server, seconds):
    return ["iperf3", "-J", "-c", server, "-t", str(seconds), "-C", congestion_control()]


SERVER = ["iperf3", "-s", "--forceflush"]


def reading(report):
    """(bit/s, congestion control) of iperf3's report."""
    end = report["end"]
    return end["sum_received"]["bits_per_second"], end["sender_tcp_congestion"]


def wait_line(process, pattern):
    """Waits until the process prints such a line."""
    for text in process.stdout:
        if pattern.search(text):
            return
    raise AssertionError(f"{process.args}: ended with status {process.wait()}")


def end_process(process):
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


class Joins:
    """Two guests by vmlan join on the network shared."""

    def __init__(self, site):
        self.site = site

    def __enter__(self):
        self.server = self.site.popen("join", "shared", "--name", "server", "--", *SERVER,
                                      stderr=subprocess.STDOUT)
        wait_line(self.server, LISTENS)
        return self

    def __exit__(self, *_exc):
        self.server.terminate()
        self.server.wait()

    def rate(self, seconds):
        done = self.site.vmlan("join", "shared", "--name", "client", "--",
                               *client_words("server", seconds), timeout=seconds + 30)
        return reading(json.loads(done.stdout))


class Cable:
    """The hand-made reference of Joins: veth, bridge, veth, between two network namespaces, all
    three namespaces in one user namespace of the acting user.
    """

    ADDRESSES = ("10.77.0.1", "10.77.0.2")

    def __init__(self, user):
        self.user = user
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        try:
            self.bridge = self._namespace("unshare", "--user", "--map-root-user", "--net")
            self._in(self.bridge, "ip link add br0 type bridge && ip link set br0 up mtu "
                     f"{MTU}; for f in /proc/sys/net/bridge/bridge-nf-call-*; do "
                     "[ ! -e $f ] || echo 0 >$f; done")
            self.ends = [self._end(address) for address in self.ADDRESSES]
            self.server = self._start(self._words(self.ends[1]) + SERVER)
            wait_line(self.server, LISTENS)
        except BaseException:
            self.stack.close()
            raise
        return self

    def __exit__(self, *_exc):
        self.stack.close()

    def _start(self, words):
        process = subprocess.Popen([*self.user.prefix, *words], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.stack.callback(end_process, process)
        return process

    def _namespace(self, *words):
        """A process in a namespace of its own, which ends with this one."""
        process = self._start([*words, "sh", "-c", "echo ready; exec cat"])
        wait_line(process, re.compile("^ready$"))
        return process

    def _words(self, process):
        return ["nsenter", f"--target={process.pid}", "--user", "--net", "--preserve-credentials"]

    def _in(self, process, script):
        subprocess.run([*self.user.prefix, *self._words(process), "sh", "-ec", script], check=True,
                       stdin=subprocess.DEVNULL, timeout=20)

    def _end(self, address):
        end = self._namespace(*self._words(self.bridge), "unshare", "--net")
        port = f"p{address.rpartition('.')[2]}"
        self._in(self.bridge, f"ip link add {port} mtu {MTU} type veth peer name eth0 mtu {MTU} "
                 f"netns {end.pid}; ip link set {port} master br0 up")
        self._in(end, f"ip link set lo up; ip link set eth0 up; ip addr add {address}/24 dev eth0")
        return end

    def rate(self, seconds):
        words = [*self.user.prefix, *self._words(self.ends[0]),
                 *client_words(self.ADDRESSES[1], seconds)]
        done = subprocess.run(words, check=True, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=seconds + 30)
        return reading(json.loads(done.stdout))


class Guests:
    """Two QEMU guests, joined twice: by tap ports of vmlan's network shared, and by QEMU's own
    "-netdev socket" over a TCP connection of the loopback. rate(seconds, over) takes either.
    """

    NETWORK, SOCKET = "network", "socket"
    MACS = ("52:54:00:00:00:01", "52:54:00:00:00:02")
    ADDRESSES = ("10.77.0.1", "10.77.0.2")

    def __init__(self, site, image):
        self.guests, self.sockets = [], socket_pair()
        for name, mac, end in zip(("alice", "bob"), self.MACS, self.sockets):
            net = ["-netdev", f"socket,id=cable,fd={end.fileno()}",
                   "-device", f"virtio-net-pci,netdev=cable,mac={mac}"]
            self.guests.append(stage.guest(site, image, name, net_args=net,
                                           pass_fds=[end.fileno()]))

    def __enter__(self):
        try:
            for guest in self.guests:
                guest.start()
            for end in self.sockets:
                end.close()
            for guest, mac, address in zip(self.guests, self.MACS, self.ADDRESSES):
                self._configure(guest, mac, address)
            self.guests[1].iperf3_serve()
            self.guests[0].wait_reach("bob")
            self.guests[0].wait_reach(self.ADDRESSES[1])
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exc):
        for guest in self.guests:
            guest.kill()

    def _configure(self, guest, mac, address):
        """Gives the cable's NIC an address, and keeps the DHCP client off it."""
        nic = guest.check(f"grep -l {mac} /sys/class/net/eth*/address | cut -d/ -f5")
        guest.wait_address(4, {"eth0": "eth1", "eth1": "eth0"}[nic])
        guest.check(f"pkill -f 'udhcpc -f -i {nic} '; ip addr flush dev {nic}; "
                    f"ip addr add {address}/24 dev {nic}; ip link set {nic} mtu {MTU}")

    def rate(self, seconds, over):
        target = {self.NETWORK: "bob", self.SOCKET: self.ADDRESSES[1]}[over]
        try:
            return reading(self.guests[0].iperf3(target, seconds=seconds))
        except GuestError as error:
            raise AssertionError(str(error)) from None


def socket_pair():
    """Both ends of a TCP connection over the loopback."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        other, _ = server.accept()
    for end in (one, other):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as QEMU does for its own
    return one, other
