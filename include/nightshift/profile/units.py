"""Is a column counted in another unit, all of it or in part? Asked against the honest explanation, a shift."""

from dataclasses import dataclass

import numpy as np

from nightshift.profile import scores
from nightshift.profile.feature import FeatureProfile
from nightshift.profile.tails import square_tail

FACTORS = (-1.0, 10.0, 60.0, 100.0, 1000.0, 3600.0, 1e6, 0.1, 1 / 60, 0.01, 0.001, 1e-6)
SURE = 6.0
"""So much likelier, as a logarithm, must a unit be than a shift."""
PART_MIN, WHOLE_MIN = 0.01, 0.95
"""What is made smaller is only told from a shift if all of it is."""
FIT_MIN = 1e-4
EXPECTED_MIN = 5.0
STEPS = 30


@dataclass(frozen=True)
class Unit:
    """``part`` of the rows are ``factor`` times what they should be."""

    factor: float
    part: float


def other_unit(before: FeatureProfile, now: FeatureProfile) -> Unit | None:
    """Return the unit that explains the window far better than any shift or stretch of the reference does; or none.

    Every explanation is one for the shares of the bins: part of the rows in
    another unit, or an exponential tilt of location and spread.
    """
    if not before.known or not now.known or before.lowest is None or now.lowest is None:
        return None
    counts, expected = np.array(now.bins, dtype=float), _smoothed(np.array(before.bins, dtype=float), now.known)
    honest = _likelihood(counts, _tilted(np.array(before.bins, dtype=float), expected, counts))
    best, found = honest + SURE, None
    for factor in FACTORS:
        scaled = _smoothed(_rescaled(before, factor), now.known)
        part = _part(counts, expected, scaled)
        likelihood = _likelihood(counts, (1 - part) * expected + part * scaled)
        least = PART_MIN if abs(factor) >= 1 else WHOLE_MIN
        if part >= least and likelihood > best and _fits(counts, (1 - part) * expected + part * scaled):
            best, found = likelihood, Unit(factor, part)
    return found


def _smoothed(counts: np.ndarray, rows: int) -> np.ndarray:
    """Return shares; a window of so many rows finds less than half a row where the reference had none."""
    total = max(counts.sum(), 1.0)
    shares = counts / total + 0.5 / max(total, rows) / len(counts)
    return shares / shares.sum()


def _rescaled(column: FeatureProfile, factor: float) -> np.ndarray:
    """Return the shares of the reference's bins once its numbers are multiplied by ``factor``."""
    assert column.lowest is not None
    assert column.highest is not None
    ends = np.clip([column.lowest, *column.edges, column.highest], column.lowest, column.highest)
    below = np.concatenate(([0.0], np.cumsum(column.bins))) / column.known
    at = np.interp(np.array(column.edges) / factor, ends, below, left=0.0, right=1.0)
    at = at if factor > 0 else 1 - at
    return np.diff(np.concatenate(([0.0], at, [1.0]))).clip(0.0)


def _part(counts: np.ndarray, expected: np.ndarray, scaled: np.ndarray) -> float:
    """Return the likeliest share of rows that come from ``scaled`` (expectation and maximisation)."""
    part = 0.5
    for _ in range(STEPS):
        mixed = part * scaled / ((1 - part) * expected + part * scaled)
        part = float(np.clip(counts @ mixed / counts.sum(), 1e-6, 1.0 - 1e-9))
    return part


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


def _likelihood(counts: np.ndarray, shares: np.ndarray) -> float:
    return float(counts @ np.log(np.maximum(shares, 1e-300)))


def _fits(counts: np.ndarray, shares: np.ndarray) -> bool:
    """Say whether the shares explain the counts altogether, on bins joined until each should hold a few rows."""
    expected = shares * counts.sum()
    places = (np.cumsum(expected) / EXPECTED_MIN).astype(int)
    wanted, found = np.bincount(places, expected), np.bincount(places, counts)
    there = wanted >= EXPECTED_MIN / 2
    statistic = float(((found - wanted)[there] ** 2 / wanted[there]).sum())
    return square_tail(statistic, int(there.sum()) - 2) >= FIT_MIN
