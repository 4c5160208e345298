# SPDX-License-Identifier: Apache-2.0
"""The rows of the way out: each is the uplink beside a process of the host itself, pasta,
slirp4netns, and for QEMU guests beside QEMU's own ways; see outside.py.
"""

from functools import partial
from statistics import median

from figures import Row, by_turns, one_control
from outside import Nics, Ways, controls

DIRECTIONS = {"out": [], "in": ["-R"]}
STREAMS = 8
# What one stream must at least be of the same stream over the loopback device.
WANTED = {"cubic": 0.35, "bbr": 0.55}
RIVAL_WANTED = 2.5
# Of rates where a rival has as few copies to make; None: only shown.
REQUEST_WANTED = {"pasta": 1, "slirp4netns": None}
SLICES = 4
CONNECT_ADDED = 0.001  # seconds


def beside(name, wanted, ours, reference, values, **more):
    """A row of two sides of by_turns(); the reference's may be missing."""
    return Row(name, wanted, values[ours], reference, values.get(reference, []), **more)


def tcp_rows(ways, runs, control, direction):
    options = DIRECTIONS[direction]
    several = f"{STREAMS} streams"
    measures = {end: partial(ways.tcp, end, control, *options) for end in ways.ends}
    measures[several] = partial(ways.tcp, ways.OURS, control, "-P", str(STREAMS), *options)
    name = f"TCP {direction}, {control}"
    values, used = one_control(name, by_turns(measures, runs))
    yield beside(name, WANTED[control], ways.OURS, ways.PLAIN, values, control=used)
    for rival in ways.RIVALS:
        yield beside(name, RIVAL_WANTED, ways.OURS, rival, values, control=used)
    values["1 stream"] = values[ways.OURS]
    yield beside(f"TCP {direction}, {control}, {several}", 1, several, "1 stream", values,
                 control=used)


def tcp(bench):
    with Ways(bench) as ways:
        for control in controls():
            ways.control(control)
            for direction in DIRECTIONS:
                yield from tcp_rows(ways, bench.runs, control, direction)


def requests(ways, bench, *options):
    """Waking the next process decides, and the machine's other work: many short runs."""
    return by_turns({end: partial(ways.requests, end, bench.seconds / SLICES, *options)
                     for end in ways.ends}, bench.runs * SLICES)


def beside_rivals(name, ways, values, **more):
    for rival, wanted in REQUEST_WANTED.items():
        yield beside(name, wanted, ways.OURS, rival, values, **more)


def connections(bench):
    with Ways(bench) as ways:
        readings = requests(ways, bench)
    rates = {end: [one["rate"] for one in reading] for end, reading in readings.items()}
    yield from beside_rivals("connections, one by one", ways, rates, unit="1/s")
    added = [ours["connect"] - plain["connect"]
             for ours, plain in zip(readings[ways.OURS], readings[ways.PLAIN])]
    yield Row("added to a TCP connect, median", CONNECT_ADDED, added, unit="s")


def udp_loss(ways, runs, direction, options):
    """None is to be lost; on a machine too busy for its own loopback, no more than there."""
    readings = by_turns({end: partial(ways.udp, end, "-b", "200M", *options)
                         for end in (ways.OURS, ways.PLAIN)}, runs)
    lost = {end: [share for _, share in reading] for end, reading in readings.items()}
    return Row(f"UDP {direction}, lost of 200 Mbit/s", median(lost[ways.PLAIN]), lost[ways.OURS],
               unit="1")


def udp(bench):
    with Ways(bench) as ways:
        readings = requests(ways, bench, "-u")
        rates = {end: [one["rate"] for one in reading] for end, reading in readings.items()}
        yield from beside_rivals("UDP requests, one by one", ways, rates, unit="1/s")
        for direction, options in DIRECTIONS.items():
            readings = by_turns({end: partial(ways.udp, end, "-b", "0", *options)
                                 for end in ways.ends}, bench.runs)
            rates = {end: [rate for rate, _ in reading] for end, reading in readings.items()}
            yield from beside_rivals(f"UDP {direction}, all it can", ways, rates)
        for direction, options in DIRECTIONS.items():
            yield udp_loss(ways, bench.runs, direction, options)


def guest(bench):
    with Nics(bench) as nics:
        for direction, options in DIRECTIONS.items():
            name = f"QEMU guest {direction}"
            measures = {nic: partial(nics.tcp, nic, *options) for nic in nics.targets}
            values, used = one_control(name, by_turns(measures, bench.runs))
            for rival in nics.RIVALS:
                yield beside(name, 1, nics.OURS, rival, values, control=used)


ROWS = {"uplink-tcp": tcp, "uplink-connections": connections, "uplink-udp": udp,
        "uplink-guest": guest}
