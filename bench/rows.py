# SPDX-License-Identifier: Apache-2.0
"""The rows of the benchmark: functions that take a Bench and yield figures.Row. Here are those of
what happens inside networks; adapters.py has those of ports with a socket, uplink.py those of the
way out.
"""

import time
from collections import namedtuple

import adapters
import lib
import stage
import uplink
from figures import Row, compare
from wiring import Cable, Guests, Joins

# What the functions work with: a fresh lib.Site, the run's folder, runs and their length.
Bench = namedtuple("Bench", "site root runs seconds")

ATTACHES = 21


def join(bench):
    row = Row("join to join", 0.9, reference="veth-bridge-veth")
    with Joins(bench.site) as ours, Cable(bench.site.user) as reference:
        yield compare(row, lambda: ours.rate(bench.seconds),
                      lambda: reference.rate(bench.seconds), bench.runs)


def guests(bench):
    row = Row("QEMU guest to QEMU guest", 1.8, reference="-netdev socket")
    image = stage.guest_image(bench.site.user, bench.root)
    with Guests(bench.site, image) as pair:
        yield compare(row, lambda: pair.rate(bench.seconds, pair.NETWORK),
                      lambda: pair.rate(bench.seconds, pair.SOCKET), bench.runs)


def attach_seconds(site):
    """From the start of vmlan run (as root: of setpriv before it) until its command runs."""
    begin = time.time()
    return float(site.vmlan("run", "shared", "--", "date", "+%s.%N").stdout) - begin


def attach_from_nothing(bench):
    site, row = bench.site, Row("attach, from nothing", 0.150, unit="s")
    site.config("vmnet:\n  shared: {subnet: 192.168.107.0/24, linger: 0}\n")
    for _ in range(ATTACHES):
        row.values.append(attach_seconds(site))
        lib.wait_until(lambda: not site.processes(), 10, "the end of network and broker")
    yield row


def attach(bench):
    row = Row("attach, network up", 0.015, unit="s")
    bench.site.vmlan("up", "shared")
    row.values = [attach_seconds(bench.site) for _ in range(ATTACHES)]
    yield row


ROWS = {"join": join, "guests": guests, "attach-from-nothing": attach_from_nothing,
        "attach": attach, **adapters.ROWS, **uplink.ROWS}
