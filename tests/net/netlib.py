# SPDX-License-Identifier: Apache-2.0
"""Guests without a VM for the network tests: Seat is a shell that has joined a network (or sits at
the host's seat), Vm a process that holds a port's tap as a hypervisor does. And the roles of a site
as processes, to be killed. All of them are ended by the site at the latest.
"""

import contextlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import time

from lib import wait_gone, wait_until

MARK = re.compile(rb"@@(\d+)\n\Z")


class Seat:
    """vmlan join (or exec) with a shell in it that runs one command after the other."""

    def __init__(self, site, network, *options, name=None, verb="join"):
        named = ["--name", name] if name else []
        self.name, self.network = name, network
        self.process = site.popen(verb, *options, network, *named, "--", "sh", text=False,
                                  bufsize=0, stdin=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.check("true")  # with its address

    def run(self, command, timeout=20):
        """Exit status and output (both streams). Background commands must redirect theirs."""
        self.process.stdin.write(f"{{ {command}\n}} </dev/null 2>&1; echo @@$?\n".encode())
        output = self._read(MARK.search, command, timeout)
        end = MARK.search(output)
        return int(end[1]), output[:end.start()].decode(errors="replace").strip()

    def check(self, command, timeout=20):
        status, output = self.run(command, timeout)
        assert status == 0, f"{self.name or 'seat'}: status {status} from {command}:\n{output}"
        return output

    def fetch(self, url):
        """An HTTP request; its answer is the proof of a TCP connection."""
        return self.check(f"python3 -c 'import urllib.request as web; "
                          f"print(web.urlopen(\"{url}\", timeout=5).status)'")

    def serve(self, port=8000):
        """An HTTP server in this seat; listens when this returns. unserve() ends it."""
        self.check(f"python3 -m http.server -d $TMPDIR {port} >/dev/null 2>&1 & server=$!")
        self.until(f"ss -ltn | grep -q :{port}")

    def unserve(self):
        self.run("kill $server; wait $server")

    def until(self, command, timeout=10):
        """Tries a command until it succeeds, where the kernel or dnsmasq tells of nothing."""
        limit = f"timeout {timeout} sh -c 'until {command}; do sleep 0.05; done 2>/dev/null'"
        return self.check(limit, timeout + 5)

    def addresses(self, family, device="eth0"):
        links = json.loads(self.check(f"ip -j -{family} addr show dev {device} scope global"))
        return [one["local"] for link in links for one in link.get("addr_info", ()) if one]

    @property
    def address(self):
        return self.addresses(4)[0]

    def address6(self):
        self.until("ip -6 -o addr show dev eth0 scope global -tentative | grep -q inet6")
        return self.addresses(6)[0]

    def ping_start(self, target):
        """Pings 50 times a second until ping_end(); returns when the first answer has come."""
        self.check(f"ping -c 1 -W 5 {target}")
        self.check(f"ping -i 0.02 {target} >$TMPDIR/{self.name}.ping 2>&1 & ping=$!")

    def ping_end(self):
        """How many were sent and how many answered: (sent, received)."""
        self.run("sleep 0.1; kill -INT $ping; wait $ping")
        text = self.check(f"cat $TMPDIR/{self.name}.ping")
        found = re.search(r"(\d+) packets transmitted, (\d+) received", text)
        assert found, text
        return int(found[1]), int(found[2])

    def leave(self):
        self.process.stdin.close()
        return self.process.wait(10)

    def _read(self, complete, command, timeout):
        output, deadline = b"", time.monotonic() + timeout
        while not complete(output):
            left = deadline - time.monotonic()
            ready = left > 0 and select.select([self.process.stdout], [], [], left)[0]
            assert ready, f"{self.name or 'seat'}: no end of {command} in {timeout} s:\n{output}"
            piece = self.process.stdout.read(65536)
            assert piece, f"{self.name or 'seat'}: ended before {command}:\n{output.decode()}"
            output += piece
        return output


class Vm:
    """vmlan run with a process that keeps the tap and does nothing. env: its VMLAN_ variables."""

    def __init__(self, site, *words):
        self.process = site.popen("run", *words, "--", "sh", "-c",
                                  "env | grep ^VMLAN_; echo .; exec cat", stdin=subprocess.PIPE)
        self.env = {}
        for line in self.process.stdout:
            if line == ".\n":
                return
            name, _, value = line.strip().partition("=")
            self.env[name] = value
        raise AssertionError(f"vmlan run {words}: {self.process.stderr.read()}")

    @property
    def port(self):
        return self.env["VMLAN_PORT"]

    def leave(self):
        self.process.stdin.close()
        return self.process.wait(10)

    def kill(self):
        self.process.kill()
        self.process.wait(10)


def ports(site, network="shared"):
    """The ports of a network as vmlan ls has them, by id; empty when it does not run."""
    for one in site.json("ls"):
        if one["network"] == network:
            return {port["port"]: port for port in one["ports"]}
    return {}


def named(site, network="shared"):
    """port id -> guest's name, as vmlan ls has them."""
    return {port: one.get("name") for port, one in ports(site, network).items()}


def running(site):
    return [one["network"] for one in site.json("ls")]


def role(site, name):
    """The pids of one role of a site: vmlan-broker, vmlan-holder, vmlan-forward, dnsmasq."""
    return [one.pid for one in site.processes() if one.name == name]


def the(site, name):
    """The pid of the only process of a role, which may just be starting."""
    wait_until(lambda: len(role(site, name)) == 1, what=f"one {name}")
    return role(site, name)[0]


def kill(site, name):
    """SIGKILLs the only process of a role; returns its pid when it has gone."""
    pid = the(site, name)
    os.kill(pid, signal.SIGKILL)
    assert not wait_gone([pid], 5)
    return pid


def successor(site, name, old, timeout=1):
    """Waits for another process in a role than old; its pid."""
    wait_until(lambda: set(role(site, name)) - {old}, timeout, f"a new {name}")
    return (set(role(site, name)) - {old}).pop()


@contextlib.contextmanager
def listening(address="127.0.0.1"):
    """A port of the host that somebody else has."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as other:
        other.bind((address, 0))
        other.listen()
        yield other.getsockname()[1]


def free_port(address="127.0.0.1"):
    with listening(address) as port:
        return port


def down_all(site):
    """Ends the networks and waits until no role runs any more."""
    for network in running(site):
        site.vmlan("down", network)
    roles = [one.pid for one in site.processes() if one.name.startswith(("vmlan-", "dnsmasq"))]
    assert not wait_gone(roles, 10)


@contextlib.contextmanager
def by_way_of(site, *, before=(), after=()):
    """What the site's user starts here is started through other programs."""
    class Wrapped(type(site.user)):
        @property
        def prefix(self):
            return [*before, *super().prefix, *after]

    user, site.user = site.user, Wrapped(*site.user)
    try:
        yield
    finally:
        site.user = user
