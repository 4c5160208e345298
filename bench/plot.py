# SPDX-License-Identifier: Apache-2.0
"""The table as a picture: one SVG text, bars for each row and its reference, a tick where the
wanted figure is. Rows that share a unit share a scale only within themselves: rates of a loopback
device and of a guest do not fit one.
"""

import statistics
from html import escape

import figures

WIDTH, NAMES, BARS, HEAD = 980, 270, 400, 44  # BARS: the longest bar; figures stand behind it
BAR, ROW = 13, 40
OURS, REFERENCE, WANTED = "#2a6f97", "#b8c4cc", "#c1121f"


def _text(x, y, words, style=""):
    return f'<text x="{x}" y="{y}" {style}>{escape(words)}</text>'


def _bar(y, share, colour, words):
    length = share * BARS
    return (f'<rect x="{NAMES}" y="{y}" width="{length:.1f}" height="{BAR}" fill="{colour}"/>'
            + _text(f"{NAMES + length + 6:.1f}", y + BAR - 2, words))


def _sides(row):
    """(value, colour, words) of the row's bars, and the wanted value or None."""
    sides = [(row.median, OURS, f"{figures.text(row, row.median)} vmlan")]
    if not row.reference:
        return sides, row.wanted
    if not row.reference_values:
        return sides, None
    reference = statistics.median(row.reference_values)
    sides.append((reference, REFERENCE, f"{figures.text(row, reference)} {row.reference}"))
    return sides, None if row.wanted is None else reference * row.wanted


def _row(row, top):
    sides, wanted = _sides(row)
    longest = max([value for value, _, _ in sides] + [wanted or 0]) or 1
    yield _text(NAMES - 10, top + BAR + 4, row.name, 'text-anchor="end"')
    for number, (value, colour, words) in enumerate(sides):
        yield _bar(top + number * (BAR + 2), max(value, 0) / longest, colour, words)
    if wanted is not None:
        x = NAMES + wanted / longest * BARS
        yield f'<path d="M{x:.1f} {top - 3}v{BAR + 6}" stroke="{WANTED}" stroke-width="2"/>'


def svg(rows, title):
    height = HEAD + ROW * len(rows) + 10
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
             'font-family="sans-serif" font-size="12">',
             f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
             _text(10, 18, title), _text(10, 34, "The red mark is what is wanted of vmlan.",
                                         f'fill="{WANTED}"')]
    for number, row in enumerate(rows):
        parts += _row(row, HEAD + ROW * number + 8)
    return "\n".join([*parts, "</svg>\n"])
