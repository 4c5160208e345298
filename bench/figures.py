# SPDX-License-Identifier: Apache-2.0
"""Figures of the benchmarks: repeated measurements, what is made of them, and how they are shown.

A row is what one measurement of vmlan gave, beside its reference where it has one. It holds every
single value, in its unit: bit/s, 1/s, s (seconds), or 1 (a share of the whole).
"""

import statistics
from dataclasses import dataclass, field


@dataclass
class Row:
    """wanted is the least ratio to the reference, or the most the median may be; None: nothing.
    Where the reference's program is missing there are no reference_values.
    """

    name: str
    wanted: float
    values: list = field(default_factory=list)
    reference: str = None
    reference_values: list = field(default_factory=list)
    control: str = None  # TCP congestion control, the same on both sides
    unit: str = "bit/s"

    @property
    def median(self):
        return statistics.median(self.values)

    @property
    def ratio(self):
        if not self.reference_values:
            return None
        return self.median / statistics.median(self.reference_values)

    @property
    def good(self):
        """None: there is nothing to tell by."""
        if self.wanted is None or (self.reference and not self.reference_values):
            return None
        return self.ratio >= self.wanted if self.reference else self.median <= self.wanted

    def json(self):
        return {**vars(self), "median": self.median, "ratio": self.ratio, "good": self.good}


def by_turns(measures, runs):
    """Measures each of them by turns, so that a noisy minute meets all. measures: name -> function
    that gives a value; the result: name -> values.
    """
    values = {name: [] for name in measures}
    for _ in range(runs):
        for name, measure in measures.items():
            values[name].append(measure())
    return values


def one_control(name, readings):
    """The values of readings, which are (bit/s, congestion control), and the control of all."""
    controls = {control for reading in readings.values() for _, control in reading}
    assert len(controls) == 1, f"{name}: several congestion controls: {controls}"
    return {side: [rate for rate, _ in reading] for side, reading in readings.items()}, *controls


def compare(row, ours, reference, runs):
    """Fills the row with by_turns() of two functions that give (bit/s, congestion control)."""
    readings = by_turns({"ours": ours, "reference": reference}, runs)
    values, row.control = one_control(row.name, readings)
    row.values, row.reference_values = values["ours"], values["reference"]
    return row


def quantile(values, share):
    """The smallest value that is not below that share of all values."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)]


UNITS = {
    "bit/s": lambda value: f"{value / 1e9:.2f} Gbit/s",
    "1/s": lambda value: f"{value:.0f} /s",
    "s": lambda value: f"{value * 1e3:.1f} ms" if value >= 1e-3 else f"{value * 1e6:.0f} us",
    "1": lambda value: f"{value * 100:.3g} %",
}


def text(row, value):
    return UNITS[row.unit](value)


def cells(row):
    """What the table says of the row."""
    yield row.name
    yield text(row, row.median)
    if not row.reference:
        yield f"p95 {text(row, quantile(row.values, 95))}"
        yield ""
        yield f"<= {text(row, row.wanted)}"
    else:
        values = row.reference_values
        yield (f"{text(row, statistics.median(values))} {row.reference}" if values else
               f"{row.reference}: not here")
        yield f"ratio {row.ratio:.2f}" if values else ""
        yield f">= {row.wanted}" if row.wanted is not None else ""
    yield {True: "good", False: "MISSED", None: "-"}[row.good]


def line(row):
    """The row as a line of the table."""
    widths = (33, 14, 30, 13, 11, 0)
    return "".join(f"{cell:<{width}}" for cell, width in zip(cells(row), widths))
