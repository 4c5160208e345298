# SPDX-License-Identifier: Apache-2.0
"""Figures of the benchmarks: repeated measurements, what is made of them, and how they are shown.

A row is what one measurement of vmlan gave, beside its reference where it has one. Rows of rates
hold every single value, in bit/s; rows of times hold them in seconds.
"""

import statistics
from dataclasses import dataclass, field


@dataclass
class Row:
    """wanted is the least ratio to the reference, or the longest median time in seconds."""

    name: str
    wanted: float
    values: list = field(default_factory=list)
    reference: str = None
    reference_values: list = field(default_factory=list)
    control: str = None  # TCP congestion control, the same on both sides

    @property
    def median(self):
        return statistics.median(self.values)

    @property
    def ratio(self):
        return self.median / statistics.median(self.reference_values) if self.reference else None

    @property
    def good(self):
        return self.ratio >= self.wanted if self.reference else self.median < self.wanted

    def json(self):
        return {**vars(self), "unit": "bit/s" if self.reference else "s", "median": self.median,
                "ratio": self.ratio, "good": self.good}


def compare(row, ours, reference, runs):
    """Measures ours and reference by turns, so that a noisy minute meets both, and neither is
    always the first. Each is a function that gives (bit/s, congestion control).
    """
    controls, sides = set(), [(ours, row.values), (reference, row.reference_values)]
    for _ in range(runs):
        for measure, values in sides:
            rate, control = measure()
            values.append(rate)
            controls.add(control)
        sides.reverse()
    assert len(controls) == 1, f"{row.name}: several congestion controls: {controls}"
    (row.control,) = controls
    return row


def quantile(values, share):
    """The smallest value that is not below that share of all values."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)]


def _rate(values):
    return f"{statistics.median(values) / 1e9:.2f} Gbit/s"


def line(row):
    """The row as a line of the table."""
    if row.reference:
        cells = [_rate(row.values), f"{_rate(row.reference_values)} {row.reference}",
                 f"ratio {row.ratio:.2f}", f">= {row.wanted}"]
    else:
        cells = [f"{row.median * 1e3:.1f} ms", f"p95 {quantile(row.values, 95) * 1e3:.1f} ms", "",
                 f"< {row.wanted * 1e3:.0f} ms"]
    widths = (14, 34, 11, 9)
    text = "".join(f"{cell:<{width}}" for cell, width in zip(cells, widths))
    return f"{row.name:<25}{text}{'good' if row.good else 'MISSED'}"
