"""Is a column counted in another unit, all of it or in part? Asked against the honest explanation, a shift."""

from dataclasses import dataclass

import numpy as np

from nightshift.profile import scores
from nightshift.profile.feature import FeatureProfile
from nightshift.profile.tails import square_tail

KNOWN = (10.0, 60.0, 100.0, 1000.0, 3600.0, 1e6, 24.0, 12.0, 1.609344, 1.852, 2.54, 3.28084, 2.20462, 3.785412, 3.6)
"""Powers of ten, time, dozens, miles, knots, inches, feet, pounds, gallons, and metres a second."""
OFFSETS = ((1.8, 32.0), (1 / 1.8, -32 / 1.8), (1.0, 273.15), (1.0, -273.15))
"""Degrees Celsius, Fahrenheit and Kelvin."""
CONVERSIONS = ((-1.0, 0.0), *((factor, 0.0) for one in KNOWN for factor in (one, 1 / one)), *OFFSETS)
FACTORS, ADDED = (np.array(numbers)[:, None] for numbers in zip(*CONVERSIONS, strict=True))
SURE = 6.0
"""So much likelier, as a logarithm, must a unit be than a shift."""
NEARLY = 3.0
"""If a part of the rows is hardly likelier than all of them, it is all of them."""
PART_MIN, WHOLE_MIN, TOLD_IN_PART = 0.01, 0.95, 10.0
"""What is made smaller is only told from a shift if all of it is."""
NEAR = np.concatenate((np.linspace(0.7, 0.925, 7), np.linspace(1.075, 1.4, 7)))
"""Factors beside a unit's; shares on bins do not tell nearer ones apart."""
BETWEEN = 3.0
"""So much likelier, as a logarithm, and it is none of the known units: by chance of one in seventy."""
FIT_MIN = 1e-4
EXPECTED_MIN = 5.0
MEAN_OFF, SQUARE_OFF, MIRROR_OFF = 0.4, 3.0, 0.05
STEPS = 30


@dataclass(frozen=True)
class Unit:
    """``part`` of the rows are ``factor`` times what they should be, and ``offset`` more."""

    factor: float
    part: float
    offset: float = 0.0

    @property
    def sentence(self) -> str:
        """What happened to the numbers, in words."""
        more = f" {'plus' if self.offset > 0 else 'less'} {abs(self.offset):.4g}" if self.offset else ""
        return f"{self.factor:.4g} times{more} what it was in {self.part:.1%} of rows"


def other_unit(before: FeatureProfile, now: FeatureProfile) -> Unit | None:
    """Return the unit that explains the window far better than any shift or stretch of the reference does; or none.

    Every explanation is one for the shares of the bins: part of the rows in
    another unit, or an exponential tilt of location and spread.
    """
    if not before.known or not now.known or before.lowest is None or now.lowest is None:
        return None
    counts, expected = np.array(now.bins, dtype=float), _smoothed(np.array(before.bins, dtype=float), now.known)
    honest = _likelihood(counts, _tilted(np.array(before.bins, dtype=float), expected, counts))
    best, found = float(honest) + SURE, None
    rescaled = _smoothed(_rescaled(before, FACTORS, ADDED), now.known)
    parts = _parts(counts, expected, rescaled)
    explained = (1 - parts) * expected + parts * rescaled
    whole = _likelihood(counts, rescaled) + NEARLY >= _likelihood(counts, explained)
    parts[whole], explained[whole] = 1.0, rescaled[whole]
    likelihoods = _likelihood(counts, explained)
    for place in np.flatnonzero(likelihoods > best):
        (factor, offset), part, likelihood = CONVERSIONS[place], float(parts[place, 0]), float(likelihoods[place])
        least = PART_MIN if factor >= TOLD_IN_PART and not offset else WHOLE_MIN
        fits = likelihood > best and _fits(counts, explained[place])
        if part >= least and fits and _agrees(before, now, Unit(factor, part, offset)):
            best, found = likelihood, Unit(factor, part, offset)
    return found if found and not _is_between_units(before, counts, expected, found, best) else None


def _is_between_units(
    before: FeatureProfile, counts: np.ndarray, expected: np.ndarray, unit: Unit, likelihood: float
) -> bool:
    """Say whether a factor near the unit's explains the window far better: the world doubled, and 1.852 is near."""
    if unit.offset or not 1 / TOLD_IN_PART < unit.factor < TOLD_IN_PART:
        return False  # nothing honest goes so far, or moves the zero as well
    factors = unit.factor * NEAR[:, None]
    near = _smoothed(_rescaled(before, factors, np.zeros_like(factors)), int(counts.sum()))
    explained = _likelihood(counts, (1 - unit.part) * expected + unit.part * near)
    return float(explained.max()) > likelihood + BETWEEN


def _agrees(before: FeatureProfile, now: FeatureProfile, unit: Unit) -> bool:
    """Say whether mean and mean square are about what the unit makes of the reference's; bins are coarse outside."""
    if before.mean is None or now.mean is None or not before.deviation or now.deviation is None:
        return False
    if unit.factor < 0 and not _is_mirrored(before, now):
        return False
    scaled = before.mean * unit.factor + unit.offset
    expected = before.mean + unit.part * (scaled - before.mean)
    near = abs(now.mean - expected) <= MEAN_OFF * abs(expected - before.mean) + 0.1 * before.deviation
    own = before.deviation**2 + before.mean**2
    square = own + unit.part * ((unit.factor * before.deviation) ** 2 + scaled**2 - own)
    return near and 1 / SQUARE_OFF <= (now.deviation**2 + now.mean**2) / square <= SQUARE_OFF


def _is_mirrored(before: FeatureProfile, now: FeatureProfile) -> bool:
    """Say whether the window ends where the reference began, with the other sign."""
    if before.lowest is None or before.highest is None or now.highest is None:
        return False
    return abs(now.highest + before.lowest) <= MIRROR_OFF * (before.highest - before.lowest)


def _smoothed(counts: np.ndarray, rows: int) -> np.ndarray:
    """Return shares (last axis: bins); a window of so many rows finds less than half a row where there was none."""
    total = np.maximum(counts.sum(axis=-1, keepdims=True), 1.0)
    shares = counts / total + 0.5 / np.maximum(total, rows) / counts.shape[-1]
    found: np.ndarray = shares / shares.sum(axis=-1, keepdims=True)
    return found


def _rescaled(column: FeatureProfile, factors: np.ndarray, added: np.ndarray) -> np.ndarray:
    """Return the counts of the reference's bins once its numbers are in another unit: (units, bins).

    ``factors`` and ``added`` are (units, 1). Values that were counted one by one go
    where they belong; the others are taken to be spread evenly over their bins.
    """
    assert column.lowest is not None
    assert column.highest is not None
    edges, units = np.array(column.edges), len(factors)
    bins = len(column.bins)
    values = np.array([float(value) for value in column.counts])
    counts = np.array(list(column.counts.values()), dtype=float)
    rest = np.array(column.bins) - np.bincount(_places(edges, values), counts, minlength=bins)
    rest = np.maximum(rest, 0.0)
    there = _places(edges, values * factors + added) + bins * np.arange(units)[:, None]
    found = np.bincount(there.ravel(), np.tile(counts, units), minlength=units * bins).reshape(units, bins)
    if rest.sum():
        ends = np.clip([column.lowest, *edges, column.highest], column.lowest, column.highest)
        below = np.concatenate(([0.0], np.cumsum(rest)))
        at = np.interp((edges - added) / factors, ends, below, left=0.0, right=below[-1])
        at = np.where(factors > 0, at, below[-1] - at)
        found = found + np.diff(at, axis=1, prepend=0.0, append=below[-1]).clip(0.0)
    return found


def _places(edges: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.searchsorted(edges, values, side="right")


def _parts(counts: np.ndarray, expected: np.ndarray, rescaled: np.ndarray) -> np.ndarray:
    """Return the likeliest share of rows counted in each unit, (units, 1), by expectation and maximisation."""
    parts, shares = np.full((len(rescaled), 1), 0.5), counts / counts.sum()
    for _ in range(STEPS):
        theirs = parts * rescaled
        mixed = theirs / (theirs + (1 - parts) * expected)
        parts = np.clip(mixed @ shares, 1e-6, 1.0 - 1e-9)[:, None]
    return parts


def _tilted(before: np.ndarray, expected: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the reference's shares tilted to the window's mean scores of location and spread."""
    pooled = before + counts
    known = np.stack((scores.location(pooled), scores.spread(pooled)))
    wanted, tilt = known @ counts / counts.sum(), np.zeros(2)
    shares = expected
    for _ in range(STEPS):
        grown = np.log(expected) + tilt @ known
        shares = np.exp(grown - grown.max())
        shares /= shares.sum()
        missed = wanted - known @ shares
        if np.abs(missed).max() < 1e-6:
            break
        curve = (known * shares) @ known.T - np.outer(known @ shares, known @ shares) + 1e-6 * np.eye(2)
        tilt = tilt + np.clip(np.linalg.solve(curve, missed), -1.0, 1.0)
    return shares


def _likelihood(counts: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return the logarithm of the counts' likelihood under shares (last axis: bins)."""
    found: np.ndarray = np.log(np.maximum(shares, 1e-300)) @ counts
    return found


def _fits(counts: np.ndarray, shares: np.ndarray) -> bool:
    """Say whether the shares explain the counts altogether, on bins joined until each should hold a few rows."""
    expected = shares * counts.sum()
    _, places = np.unique((np.cumsum(expected) / EXPECTED_MIN).astype(int), return_inverse=True)
    wanted, found = np.bincount(places, expected), np.bincount(places, counts)
    there = wanted >= EXPECTED_MIN / 2
    statistic = float(((found - wanted)[there] ** 2 / wanted[there]).sum())
    return square_tail(statistic, int(there.sum()) - 2) >= FIT_MIN
