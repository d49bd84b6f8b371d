"""Shares of rows that a column should not have, or no more than before: what faults and newcomers are told by."""

from bisect import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nightshift.profile.feature import FeatureProfile
from nightshift.profile.movement import Measure
from nightshift.profile.tails import count_tail
from nightshift.spec import Kind

RARE = 0.1
"""A value is new if its share before was at most this part of its share now."""
SPIKE_ROWS_MIN = 3
LASTING, LOST, LOST_ROWS_MIN = 0.005, 0.3, 15
HARDLY_ROWS = 2
"""So few rows, and the reference did not really know a value."""
ALONE = 0.5
"""Of the rows beyond the range so many share one value if it stands for something: a drift brings its neighbours."""


@dataclass(frozen=True)
class Share:
    """``count`` of ``rows`` now, ``before`` of ``rows_before`` in the reference."""

    count: int
    rows: int
    before: int
    rows_before: int

    @property
    def now(self) -> float:
        return self.count / self.rows if self.rows else 0.0

    @property
    def then(self) -> float:
        return self.before / self.rows_before if self.rows_before else 0.0

    @property
    def measure(self) -> Measure:
        """How much larger the share is, in shares of rows; only more of it is surprising."""
        if not self.rows or not self.rows_before:
            return Measure(0.0, 0.0, 1.0)
        pooled = (self.count + self.before) / (self.rows + self.rows_before)
        variance = pooled * (1 - pooled) * (1 / self.rows + 1 / self.rows_before)
        tail = count_tail(self.count, self.rows, self.before, self.rows_before)
        return Measure(self.now - self.then, variance, tail)


def missing(before: FeatureProfile, now: FeatureProfile) -> Share:
    """Return the share of rows without a value."""
    return Share(now.missing, now.rows, before.missing, before.rows)


def foreign(before: FeatureProfile, now: FeatureProfile) -> Share:
    """Return the share of values that are of a foreign type, or infinite."""
    return Share(now.foreign + now.infinite, now.rows, before.foreign + before.infinite, before.rows)


def outside(before: FeatureProfile, now: FeatureProfile, *, widths: float = 0.0) -> Share:
    """Return the share of numbers beyond all of the reference, by more than ``widths`` of its width."""
    if before.lowest is None or before.highest is None or not now.known:
        return Share(0, now.rows, 0, before.rows)
    if not widths:
        return Share(beyond(now, before.lowest, float(np.nextafter(before.highest, np.inf))), now.rows, 0, before.rows)
    far = widths * width(before)
    return Share(beyond(now, before.lowest - far, before.highest + far), now.rows, 0, before.rows)


def width(column: FeatureProfile) -> float:
    """Return how wide the column's range is; the size of its value if it has but one."""
    if column.lowest is None or column.highest is None:
        return 0.0
    return (column.highest - column.lowest) or abs(column.highest) or 1.0


def beyond_range(column: FeatureProfile, value: float) -> float:
    """Return how far ``value`` lies outside the column's range; 0 inside, or if there is none."""
    if column.lowest is None or column.highest is None:
        return 0.0
    return max(column.lowest - value, value - column.highest, 0.0)


def beyond(column: FeatureProfile, lowest: float, highest: float) -> int:
    """Return how many numbers lie below ``lowest`` or not below ``highest``, by bins that surely do as a whole."""
    edges, bins = np.array(column.edges), np.array(column.bins)
    if not len(bins):
        return 0
    below = bins[:-1][edges <= lowest].sum()
    above = bins[1:][edges >= highest].sum()
    return int(below + above)


def unseen(before: FeatureProfile, now: FeatureProfile) -> Share:
    """Return the share of values that the reference never had, if it lists all that it had; else none.

    As many as came once there may be expected to be new [1].

    [1] I. J. Good, The population frequencies of species, Biometrika 40 (1953).
    """
    if before.often.floor or not before.counts:
        return Share(0, now.rows, 0, before.rows)
    # what a window of many values does not list may be known: it is not told, lest it be held to be new
    new = sum(count for value, count in now.counts.items() if value not in before.counts)
    once = sum(1 for count in before.counts.values() if count == 1)
    return Share(new, now.rows, once, before.rows)


@dataclass(frozen=True)
class Spike:
    """A value that takes a share of rows it never had."""

    value: str
    share: Share
    tail: float


def spike(before: FeatureProfile, now: FeatureProfile, *, least: float) -> Spike | None:
    """Return the value whose share has grown most surely from nothing, or next to nothing; none if there is none.

    Only shares of at least ``least`` are looked at. Within the reference's range
    the probability of one value is multiplied by how many others are as rare,
    any of which might have come up.
    """
    found, enough, new = None, max(SPIKE_ROWS_MIN, least * now.rows), outside(before, now)
    for value, count in now.counts.items():
        if count < enough:
            continue
        share = Share(count, now.rows, _before(before, value), before.rows)
        is_beyond = beyond_range(before, float(value)) > 0
        if share.then > RARE * share.now or (is_beyond and count < ALONE * new.count):
            continue
        others = 1 if is_beyond else _as_rare(before, count)
        if is_known(before, value):
            others = max(others, before.distinct.estimate)
        tail = min(1.0, share.measure.tail * others)
        if found is None or tail < found.tail:
            found = Spike(value, share, tail)
    return found


def grown(before: FeatureProfile, now: FeatureProfile) -> Spike | None:
    """Return the value that the reference knew whose share has grown most; none if none has."""
    known, floor = before.counts, before.often.floor
    grew = {value: count / now.rows - known.get(value, floor) / before.rows for value, count in now.counts.items()}
    value = max(grew, key=lambda value: grew[value], default=None)
    if value is None or grew[value] <= 0:
        return None
    share = Share(now.counts[value], now.rows, _before(before, value), before.rows)
    return Spike(value, share, min(1.0, share.measure.tail * max(len(before.counts), 1)))


def has_lost_values(before: FeatureProfile, now: FeatureProfile) -> bool:
    """Say whether the values that the reference had all the time are all but gone: then all have moved."""
    usual = {value: count / before.rows for value, count in before.counts.items() if count >= LASTING * before.rows}
    expected = sum(usual.values()) * now.rows
    found = sum(now.counts.get(value, now.often.floor) for value in usual)
    return expected >= LOST_ROWS_MIN and found < LOST * expected


def is_known(column: FeatureProfile, value: str) -> bool:
    """Say whether the reference surely had ``value`` more than hardly ever."""
    return column.counts.get(value, 0) > HARDLY_ROWS


def _before(column: FeatureProfile, value: str) -> int:
    """Return how often the reference had ``value``, at most: not listed it may have come, but not outside the range."""
    if value in column.counts:
        return column.counts[value]
    number = float(value)
    return 0 if beyond_range(column, number) else min(column.often.floor, column.bins[bisect(column.edges, number)])


def _as_rare(column: FeatureProfile, count: int) -> int:
    """Return how many values the reference had about as often as the window has this one, and one for it."""
    return 1 + sum(1 for before in column.counts.values() if before <= max(2 * count, column.often.floor))


def new_in(window: FeatureProfile, others: Mapping[str, int], rows: int) -> float:
    """Return the largest share of a value that the ``others``, of so many rows, hardly had."""
    shares = (
        count / window.rows
        for value, count in window.counts.items()
        if count >= SPIKE_ROWS_MIN
        and (others.get(value, 0) - count) / max(rows - window.rows, 1) <= RARE * count / window.rows
    )
    return max(shares, default=0.0)


def left_out(windows: Sequence[FeatureProfile]) -> dict[str, list[float]]:
    """Return each window's shares that all other windows lack: ``spike``, ``unseen``, ``outside``.

    And ``most``, that of its most frequent value.
    """
    counts: dict[str, int] = {}
    for window in windows:
        for value, count in window.counts.items():
            counts[value] = counts.get(value, 0) + count
    rows = sum(window.rows for window in windows)
    found: dict[str, list[float]] = {"spike": [], "unseen": [], "outside": [], "most": []}
    for place, window in enumerate(windows):
        others = [*windows[:place], *windows[place + 1 :]]
        found["spike"].append(new_in(window, counts, rows))
        own = sum(count for value, count in window.counts.items() if counts[value] == count)
        found["unseen"].append(own / window.rows if window.kind is Kind.CATEGORICAL and window.rows else 0.0)
        found["outside"].append(_outside_of(window, others))
        found["most"].append(max(window.counts.values(), default=0) / max(window.known, 1))
    return found


def _outside_of(window: FeatureProfile, others: Sequence[FeatureProfile]) -> float:
    lows = [one.lowest for one in others if one.lowest is not None]
    highs = [one.highest for one in others if one.highest is not None]
    if window.lowest is None or not lows or not window.rows:
        return 0.0
    return beyond(window, min(lows), float(np.nextafter(max(highs), np.inf))) / window.rows
