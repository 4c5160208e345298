# SPDX-License-Identifier: Apache-2.0
"""Pairs of ends that iperf3 runs between. A wiring is a context manager; rate(seconds) measures it
once and gives (bit/s received, congestion control of the sender). Nothing of it outlives the block.
"""

import contextlib
import json
import re
import socket
import subprocess
import threading
from collections import deque

import stage
from guest import GuestError

MTU = 1500
LISTENS = re.compile(r"listening")


def congestion_control():
    """The one all rows use: the machine's own may pace (bbr), which measures the pacing."""
    with open("/proc/sys/net/ipv4/tcp_available_congestion_control") as file:
        available = file.read().split()
    return "cubic" if "cubic" in available else available[0]


def reading(report):
    """(bit/s, congestion control) of iperf3's report."""
    end = report["end"]
    return end["sum_received"]["bits_per_second"], end["sender_tcp_congestion"]


class End:
    """A process with a place on a network: a shell that runs the commands it is given."""

    SHELL = ["sh", "-c", 'while read -r line; do eval "$line"; echo "@@END $?"; done']
    ENDED = re.compile(r"^@@END (\d+)$")

    def __init__(self, words, **options):
        self.process = subprocess.Popen([*words, *self.SHELL], stdin=subprocess.PIPE, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        **options)
        self.lines = []
        self.reader = None

    @property
    def pid(self):
        return self.process.pid

    def send(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def wait_line(self, pattern):
        """The match of the first line that has one; what came before it is in self.lines."""
        self.lines = []
        for text in self.process.stdout:
            if match := pattern.search(text):
                return match
            self.lines.append(text)
        raise AssertionError(f"{self.process.args} ended:\n{''.join(self.lines)}")

    def run(self, command):
        """Runs the command and gives its output."""
        self.send(command)
        status = self.wait_line(self.ENDED)[1]
        output = "".join(self.lines)
        assert status == "0", f"{command}: status {status}:\n{output}"
        return output

    def become(self, server):
        """Turns this end into a server that says when it listens. What else it says nobody reads,
        but it must not fill the pipe.
        """
        self.send(f"exec {server}")
        self.wait_line(LISTENS)
        self.reader = threading.Thread(target=lambda: deque(self.process.stdout, maxlen=0))
        self.reader.start()

    def serve(self):
        """Turns this end into an iperf3 server."""
        self.become("iperf3 -s --forceflush")

    def measure(self, server, seconds):
        words = f"iperf3 -J -c {server} -t {seconds} -C {congestion_control()}"
        return reading(json.loads(self.run(words)))

    def close(self):
        self.process.terminate()  # vmlan join passes it on
        self.process.wait()
        if self.reader:
            self.reader.join()
        self.process.stdin.close()
        self.process.stdout.close()


class Ends:
    """What both wirings of two Ends do: close them, and everything else in the stack."""

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        try:
            self.connect()
        except BaseException:
            self.stack.close()
            raise
        return self

    def __exit__(self, *_exc):
        self.stack.close()

    def end(self, *words, **options):
        end = End(words, **options)
        self.stack.callback(end.close)
        return end

    def rate(self, seconds):
        return self.client.measure(self.server_address, seconds)


class Joins(Ends):
    """Two guests by vmlan join on the network shared."""

    def __init__(self, site):
        self.site = site

    def connect(self):
        server, self.client = [
            self.end(*self.site.user.prefix, str(self.site.bin), "join", "shared", "--name", name,
                     "--", env=self.site.env) for name in ("server", "client")]
        address = server.run("ip -4 -o addr show eth0")
        self.server_address = re.search(r"inet ([\d.]+)/", address)[1]
        server.serve()


class Cable(Ends):
    """The hand-made reference of Joins: veth, bridge, veth, between two network namespaces, all
    three namespaces in one user namespace of the acting user.
    """

    server_address = "10.77.0.1"

    def __init__(self, user):
        self.user = user

    def connect(self):
        bridge = self.end(*self.user.prefix, "unshare", "--user", "--map-root-user", "--net")
        # Hooks inside the bridge are off in vmlan's networks too.
        bridge.run("ip link add br0 type bridge && ip link set br0 up; "
                   "for f in /proc/sys/net/bridge/bridge-nf-call-*; do "
                   "[ ! -e $f ] || echo 0 >$f; done")
        server, self.client = [self._plug(bridge, number) for number in (1, 2)]
        server.serve()

    def _plug(self, bridge, number):
        bridge_namespace = ["nsenter", f"--target={bridge.pid}", "--user", "--net",
                            "--preserve-credentials"]
        end = self.end(*self.user.prefix, *bridge_namespace, "unshare", "--net")
        end.run("ip link set lo up")  # it is in its namespace now
        bridge.run(f"ip link add p{number} mtu {MTU} type veth peer name eth0 mtu {MTU} "
                   f"netns {end.pid} && ip link set p{number} master br0 up")
        end.run(f"ip link set eth0 up && ip addr add 10.77.0.{number}/24 dev eth0")
        return end


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
            return reading(self.guests[0].iperf3(target, "-4", "-C", congestion_control(),
                                                 seconds=seconds))
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
