"""Small drawings as SVG: no script, no font, no address; colours come from the page."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from math import isfinite
from typing import Any

import numpy as np
from markupsafe import Markup

WIDTH, HEIGHT, ROW = 320, 90, 18
CATEGORIES_SHOWN, CELLS = 8, 48
VALUES_SHOWN = 30
"""A number of no more values than so many is drawn value by value: its bins have no width."""
LABEL_WIDTH = 140
_SVG = Markup('<svg viewBox="0 0 {} {}" role="img" preserveAspectRatio="xMinYMin meet">{}</svg>')


def bars(shares: Iterable[tuple[str, float]]) -> Markup:
    """Return one horizontal bar for each share, with its name and number; the longest fills the width."""
    listed = list(shares)
    longest = max((share for _, share in listed), default=0.0) or 1.0
    room = WIDTH - LABEL_WIDTH - 50
    parts = Markup("")
    for place, (name, share) in enumerate(listed):
        top, length = place * ROW, room * share / longest
        parts += Markup('<text x="{}" y="{}" text-anchor="end">{}</text>').format(LABEL_WIDTH - 6, top + 13, _cut(name))
        parts += Markup('<rect x="{}" y="{}" width="{:.1f}" height="{}"/>').format(
            LABEL_WIDTH, top + 3, length, ROW - 6
        )
        parts += Markup('<text x="{:.1f}" y="{}">{:.1%}</text>').format(LABEL_WIDTH + length + 4, top + 13, share)
    return _SVG.format(WIDTH, max(1, len(listed)) * ROW, parts)


def curve(values: Sequence[float], *, marked: int) -> Markup:
    """Return values as a line from left to right, with a mark on one of them."""
    if not values:
        return _SVG.format(WIDTH, HEIGHT, "")
    low, high = min(values), max(values)
    points = [_point(place, value, len(values), low, high) for place, value in enumerate(values)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    x, y = points[min(marked, len(points) - 1)]
    parts = Markup('<polyline points="{}"/><circle cx="{:.1f}" cy="{:.1f}" r="3.5"/>').format(line, x, y)
    parts += Markup('<text x="4" y="11">{:.4g}</text><text x="4" y="{}">{:.4g}</text>').format(high, HEIGHT - 3, low)
    return _SVG.format(WIDTH, HEIGHT, parts)


def profile_picture(column: Mapping[str, Any], *, ends: tuple[str, str] | None = None) -> Markup:
    """Return how a column's values are spread: a histogram of numbers, bars of the commonest categories.

    ``ends`` are the words for the lowest and highest number, if they are not to be written as numbers.
    """
    if column.get("counts"):
        return _categories(column["counts"])
    return _histogram(column, ends)


def _categories(counts: Mapping[str, int]) -> Markup:
    total = sum(counts.values()) or 1
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    shares = [(name, count / total) for name, count in ordered[:CATEGORIES_SHOWN]]
    rest = sum(count for _, count in ordered[CATEGORIES_SHOWN:])
    return bars([*shares, (f"{len(ordered) - CATEGORIES_SHOWN} others", rest / total)] if rest else shares)


def _histogram(column: Mapping[str, Any], ends: tuple[str, str] | None) -> Markup:
    """Return how many rows lie in equal parts of the range; the profile's own bins are narrow where rows are many."""
    low, high = column.get("lowest"), column.get("highest")
    if low is None or high is None:
        return _SVG.format(WIDTH, HEIGHT, Markup('<text x="4" y="40">no values</text>'))
    if not isfinite(high - low):
        return _SVG.format(WIDTH, HEIGHT, Markup('<text x="4" y="40">{:.4g} to {:.4g}</text>').format(low, high))
    often = {float(value): count for value, count in column.get("often", {}).items()}
    if len(often) <= VALUES_SHOWN and sum(often.values()) == sum(column["bins"]):
        return _framed(_columns_of(often, low, high), low, high, ends)
    edges = [low, *(min(max(edge, low), high) for edge in column["edges"]), high]
    below = [0, *accumulate(column["bins"])]
    cells = np.diff(np.interp(np.linspace(low, high, CELLS + 1), edges, below))
    most, width, parts = float(cells.max()) or 1.0, WIDTH / CELLS, Markup("")
    for place, count in enumerate(cells):
        height = (HEIGHT - 16) * count / most
        parts += Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
            place * width, HEIGHT - 16 - height, width - 0.5, height
        )
    return _framed(parts, low, high, ends)


def _columns_of(counts: Mapping[float, int], low: float, high: float) -> Markup:
    """Return a column for each of a few values, where it lies and as high as its rows are many."""
    gaps = [right - left for left, right in pairwise(sorted(counts))]
    width = min(WIDTH / 3, 0.8 * WIDTH * min(gaps, default=high - low) / ((high - low) or 1.0))
    width = max(min(width, WIDTH / (len(counts) + 1)), 2.0)
    parts, most = Markup(""), max(counts.values(), default=0) or 1
    for value, count in sorted(counts.items()):
        middle = (value - low) / (high - low) if high > low else 0.5
        height = (HEIGHT - 16) * count / most
        parts += Markup('<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
            middle * (WIDTH - width), HEIGHT - 16 - height, width, height
        )
    return parts


def _framed(parts: Markup, low: float, high: float, ends: tuple[str, str] | None) -> Markup:
    """Return a picture with the lowest and the highest value written below it."""
    least_told, most_told = ends or (f"{low:.4g}", f"{high:.4g}")
    parts += Markup('<text x="0" y="{}">{}</text>').format(HEIGHT - 3, least_told)
    parts += Markup('<text x="{}" y="{}" text-anchor="end">{}</text>').format(WIDTH, HEIGHT - 3, most_told)
    return _SVG.format(WIDTH, HEIGHT, parts)


def _point(place: int, value: float, count: int, low: float, high: float) -> tuple[float, float]:
    x = WIDTH * place / max(1, count - 1)
    y = (HEIGHT - 20) * (1 - (value - low) / ((high - low) or 1.0)) + 10
    return x, y


def _cut(name: str) -> str:
    return name if len(name) <= 22 else name[:21] + "…"
