# SPDX-License-Identifier: Apache-2.0
"""What is asked of a guest through its shell, be it a QEMU guest or a command that has joined:
its addresses, ping, transfers. The tools are those of busybox or of the host.
"""

import json
import re
import shlex
from collections import namedtuple

PING_COUNTS = re.compile(r"(\d+) packets transmitted, (\d+)(?: packets)? received")
PING_TIMES = re.compile(r"= [\d.]+/([\d.]+)/")
TRANSFER_PORT = 7000

# What ping counted; milliseconds is the mean round trip, None when nothing came back.
Ping = namedtuple("Ping", "sent received milliseconds")


def ping_result(text):
    """The Ping in the output of ping; None when it never sent anything."""
    counts, times = PING_COUNTS.search(text), PING_TIMES.search(text)
    if not counts:
        return None
    return Ping(int(counts[1]), int(counts[2]), float(times[1]) if times else None)


class GuestError(Exception):
    """The guest did not boot, died, or a command in it failed; the text holds its last words."""


class Shell:
    """Whoever has name, run(command, timeout) -> (status, output), and check(command, timeout)
    -> output of a command that must succeed.
    """

    transfer = "transfer"  # where its transfer (guest/transfer.c) is

    def wait_address(self, family=4, nic="eth0", timeout=30):
        """Waits for a global address of family 4 or 6 that is ready for use; returns it."""
        show = f"ip -{family} addr show dev {nic} scope global"
        word = {4: "inet", 6: "inet6"}[family]
        pick = f"sed -n '/tentative/d; s|^ *{word} \\([^/ ]*\\).*|\\1|p' | head -n 1"
        return self.check(f'until a=$({show} | {pick}); [ "$a" ]; do sleep 0.1; done; echo "$a"',
                          timeout)

    def wait_reach(self, target, family=4, timeout=30):
        """Waits until target has a name or address of that family here and answers a ping."""
        self.check(f"until ping -{family} -c 1 -W 1 {shlex.quote(target)}; do sleep 0.2; done",
                   timeout)

    def ping(self, target, family=4, count=5, size=56):
        """Pings target count times; returns a Ping. A name without an address is a GuestError."""
        text = self.run(f"ping -{family} -A -w 10 -c {count} -s {size} {shlex.quote(target)}")[1]
        result = ping_result(text)
        if result is None:
            raise GuestError(f"guest {self.name}: {text}")
        return result

    def iperf3_serve(self, port=5201):
        """Starts an iperf3 server in the guest; returns when it listens."""
        self.check(f"iperf3 -s -D -p {port}; "
                   f"until netstat -ltn | grep -q ':{port} '; do sleep 0.1; done")

    def iperf3(self, address, *options, seconds=3, port=5201):
        """Runs an iperf3 client in the guest; returns iperf3's JSON report."""
        words = ["iperf3", "-J", "-c", address, "-p", str(port), "-t", str(seconds), *options]
        return json.loads(self.check(shlex.join(words), timeout=seconds + 30))

    def transfer_serve(self):
        """Starts what takes transfers; returns when it listens. It runs until the shell's end."""
        self.check(f"{self.transfer} serve {TRANSFER_PORT} >/dev/null 2>&1 & "
                   f"until grep -q ':{TRANSFER_PORT:04X} ' /proc/net/tcp6; do sleep 0.05; done")

    def transfer_send(self, target, family, size, timeout=60):
        """Sends size bytes to target, which compares each; an error unless all arrived so."""
        self.check(f"{self.transfer} send {family} {target} {TRANSFER_PORT} {size}", timeout)
