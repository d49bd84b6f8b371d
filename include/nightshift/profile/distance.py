"""How far two profiles of one column are apart, by name."""

import numpy as np

from nightshift.profile.feature import FeatureProfile
from nightshift.profile.movement import Movement
from nightshift.spec import Kind


def psi(reference: FeatureProfile, current: FeatureProfile) -> float:
    """Population stability index between two profiles of one column, missing values being a bin of their own.

    Neighbouring bins are joined until a window of this size can fill them, and
    half a count is added to each, so that an empty one weighs little and the
    result is always finite.

    Returns
    -------
    Nats, at least 0; 0 for equal shares. By custom 0.1 is a small shift, 0.25 a
    large one [1].

    Raises
    ------
    BinsDifferError
        If the two were counted on different bins.

    References
    ----------
    [1] N. Siddiqi, Credit Risk Scorecards, Wiley 2006.

    Examples
    --------
    >>> from nightshift.spec import Kind
    >>> same = FeatureProfile.of([1.0, 2.0, 3.0, 4.0], Kind.NUMERIC)
    >>> psi(same, same)
    0.0
    """
    before, now = _shares(Movement.of(reference, current), reference, current)
    return _psi(before, now)


def distances(reference: FeatureProfile, current: FeatureProfile, moved: Movement) -> dict[str, float]:
    """All that tell of columns of this kind, by name, from what ``moved`` between the two.

    ``psi`` (see :func:`psi`), ``jensen_shannon`` (to base 2: 0 for equal shares, 1 for shares without a common bin) and
    ``cramers_v`` (of being in the window and the value: chi-square's size, at most 1); of numbers also
    ``kolmogorov_smirnov`` (largest difference between the shares of rows below a value, at any edge of bins) and
    ``wasserstein`` (how far the average number has to be carried, in deviations of the reference, the numbers of a
    bin being spread evenly between its edges).

    Returns
    -------
    Each at least 0, and 0 for columns that are alike, or where either has no known value.

    Examples
    --------
    >>> from nightshift.spec import Kind
    >>> one = FeatureProfile.of(["a", "a", "b"], Kind.CATEGORICAL)
    >>> distances(one, one, Movement.of(one, one))
    {'psi': 0.0, 'jensen_shannon': 0.0, 'cramers_v': 0.0}
    """
    before, now = _shares(moved, reference, current)
    found = {"psi": _psi(before, now), "jensen_shannon": _jensen_shannon(before, now), "cramers_v": _cramers_v(moved)}
    if moved.kind is Kind.NUMERIC:
        found["kolmogorov_smirnov"] = _kolmogorov_smirnov(moved)
        found["wasserstein"] = _wasserstein(reference, current)
    return found


def _psi(before: np.ndarray, now: np.ndarray) -> float:
    return float(((now - before) * np.log(now / before)).sum())


def _jensen_shannon(before: np.ndarray, now: np.ndarray) -> float:
    middle = (before + now) / 2
    divergence = (before * np.log2(before / middle) + now * np.log2(now / middle)).sum() / 2
    return float(np.sqrt(max(divergence, 0.0)))


def _kolmogorov_smirnov(moved: Movement) -> float:
    before, now = (counts.cumsum() / max(counts.sum(), 1) for counts in (moved.before, moved.now))
    return float(np.abs(now - before).max(initial=0.0))


def _wasserstein(reference: FeatureProfile, current: FeatureProfile) -> float:
    if not reference.known or not current.known or not reference.deviation:
        return 0.0
    ends = [end for one in (reference, current) for end in (one.lowest, one.highest) if end is not None]
    edges = np.array(reference.edges)
    points = np.unique(np.concatenate((ends, edges[(edges > min(ends)) & (edges < max(ends))])))
    gaps = [np.interp(points, *_below(one)) for one in (reference, current)]
    difference = np.abs(gaps[1] - gaps[0])
    return float(np.trapezoid(difference, points) / reference.deviation)


def _cramers_v(moved: Movement) -> float:
    rows = moved.rows
    if not all(rows):
        return 0.0
    before, now = moved.grouped
    pooled = (before + now) / sum(rows)
    statistic = ((before / rows[0] - pooled) ** 2 / pooled).sum() * rows[0] + (
        (now / rows[1] - pooled) ** 2 / pooled
    ).sum() * rows[1]
    return float(np.sqrt(statistic / sum(rows)))


def _shares(moved: Movement, reference: FeatureProfile, current: FeatureProfile) -> tuple[np.ndarray, np.ndarray]:
    """Return the two columns' shares on common bins, what is not known last, half a count added to each."""
    grouped = moved.grouped if moved.now.sum() and moved.before.sum() else (moved.before, moved.now)
    unknown = [one.rows - one.known for one in (reference, current)]
    counted = [np.append(counts, nothing) + 0.5 for counts, nothing in zip(grouped, unknown, strict=True)]
    return counted[0] / counted[0].sum(), counted[1] / counted[1].sum()


def _below(column: FeatureProfile) -> tuple[np.ndarray, np.ndarray]:
    """Return values and the share of numbers below each."""
    lowest, highest = column.lowest, column.highest
    ends = np.clip([lowest, *column.edges, highest], lowest, highest) if lowest is not None else np.zeros(1)
    return ends, np.concatenate(([0.0], np.cumsum(column.bins))) / max(column.known, 1)
