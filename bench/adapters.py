# SPDX-License-Identifier: Apache-2.0
"""The rows of ports with a socket: the adapters alone (bench/adapter.c), small frames between ports
of each kind (bench/pulse.c), and what such ports do to others.
"""

import contextlib
import os
import subprocess
import sys
from functools import partial

import lib
import outside
from figures import Row, by_turns, compare
from wiring import Joins

sys.path.insert(0, str(lib.TOP / "tests"))
from peer import Peer  # noqa: E402

# Of the naive adapter's rate; None: only shown.
WANTED = {
    ("stream", "out"): 5, ("stream", "in"): 5, ("stream", "pair"): 15,
    ("stream+tso", "out"): 7, ("stream+tso", "in"): 7, ("stream+tso", "pair"): None,
    ("datagram", "out"): None, ("datagram", "in"): None, ("datagram", "pair"): None,
    ("datagram_next", "out"): 2, ("datagram_next", "in"): 2, ("datagram_next", "pair"): None,
}
SWITCH_WANTED = 3
BESIDE_WANTED = 0.9  # of the rate without the other ports, or of the slower of two
IDLE = 8
KINDS = {"tap": "tap", "stream": "stream", "socket": "stream", "datagram": "datagram",
         "datagram_next": "datagram_next", "join": "namespace"}


def alone(bench, *words):
    """bit/s that bench/adapter measures once."""
    tool = outside.tool(bench.site.user, bench.root, "adapter")
    done = bench.site.run(tool, "-s", bench.seconds, *words, timeout=bench.seconds + 30)
    return float(done.stdout.split()[0]) * 1e9


def adapter(bench):
    for (kind, way), wanted in WANTED.items():
        plain = kind.partition("+")[0]
        values = by_turns({"ours": partial(alone, bench, kind, way, "ours"),
                           "naive": partial(alone, bench, plain, way, "naive"),
                           "veth": partial(alone, bench, kind, way, "veth")}, bench.runs)
        name = f"adapter, {kind} {way}"
        yield Row(name, wanted, values["ours"], "naive adapter", values["naive"])
        yield Row(name, None, values["ours"], "veth-bridge-veth", values["veth"])


def switch(bench):
    """Guest to guest: endpoints on two stream ports, and on two ports of vde_switch."""
    measures = {"ours": partial(alone, bench, "stream", "pair", "ours")}
    if not lib.missing_tool("vde_switch"):
        measures["vde"] = partial(alone, bench, "datagram", "pair", "vde")
    values = by_turns(measures, bench.runs)
    yield Row("guest to guest by streams", SWITCH_WANTED, values["ours"], "vde_switch",
              values.get("vde", []))


def idle(bench):
    values = by_turns({"ours": partial(alone, bench, "-i", IDLE, "stream", "pair", "ours"),
                       "without": partial(alone, bench, "stream", "pair", "ours")}, bench.runs)
    yield Row(f"stream pair, {IDLE} idle ones beside", BESIDE_WANTED, values["ours"], "pair alone",
              values["without"])


@contextlib.contextmanager
def attached(bench, backends):
    """Ports of these backends; gives the descriptors of each."""
    every = []
    try:
        for backend in backends:
            with Peer(bench.site.runtime / "broker.sock") as peer:
                every.append(peer.attach("shared", backend=backend)[1])
        yield every
    finally:
        for fd in (fd for fds in every for fd in fds):
            os.close(fd)


def mixed(bench):
    """Guests with offload, while guests without are on the same network, and a guest of each kind."""
    with Joins(bench.site) as pair:
        def beside():
            with attached(bench, ["stream"] * IDLE):
                return pair.rate(bench.seconds)
        row = Row(f"join to join, {IDLE} streams beside", BESIDE_WANTED, reference="without")
        yield compare(row, beside, lambda: pair.rate(bench.seconds), bench.runs)
    for way in ("out", "in"):
        values = by_turns({"ours": partial(alone, bench, "stream", way, "ours"),
                           "pair": partial(alone, bench, "stream", "pair", "ours")}, bench.runs)
        yield Row(f"guest with offload, stream {way}", BESIDE_WANTED, values["ours"], "stream to stream",
                  values["pair"])


def pulse(bench, what, kind):
    """What bench/pulse prints, as numbers."""
    tool = outside.tool(bench.site.user, bench.root, "pulse")
    backend = KINDS[kind]
    with attached(bench, [backend] * 2) as ends:
        texts = [":".join(map(str, [backend, *fds[:2 if backend == "namespace" else 1]]))
                 for fds in ends]
        done = subprocess.run([*bench.site.user.prefix, tool, what, str(bench.seconds), *texts],
                              pass_fds=[fd for fds in ends for fd in fds], capture_output=True,
                              text=True, timeout=bench.seconds + 30)
        assert done.returncode == 0, done.stderr
    return [float(word) for word in done.stdout.split()]


def small(bench):
    """64-byte frames a second, and the time to and fro, between two ports of each kind."""
    bench.site.vmlan("up", "shared")
    rates = by_turns({kind: partial(pulse, bench, "rate", kind) for kind in KINDS}, bench.runs)
    trips = by_turns({kind: partial(pulse, bench, "trip", kind) for kind in KINDS}, bench.runs)
    for kind in KINDS:
        values = [rate for rate, in rates[kind]]
        yield Row(f"64-byte frames, {kind}", None, values, "join", [one for one, in rates["join"]],
                  unit="1/s")
    for kind in KINDS:
        for place, what in enumerate(("median", "99 %")):
            yield Row(f"round trip, {kind}, {what}", None, [one[place] for one in trips[kind]],
                      "join", [one[place] for one in trips["join"]], unit="s")


ROWS = {"adapter": adapter, "adapter-switch": switch, "adapter-idle": idle,
        "adapter-mixed": mixed, "adapter-small": small}
