"""How surprising a number is: tail probabilities that hold far out, where budgets of false alarms live."""

import math
from typing import Any

import numpy as np
from scipy import special

NEVER = 1e-300
STEPS = 40


def mean_tail(shares: np.ndarray, scores: np.ndarray, shift: float, rows: float) -> float:
    """Two-sided probability that the mean score of ``rows`` draws lies at least ``shift`` from its expectation.

    By saddlepoint [1], for the normal law is far too kind to a skewed score at
    one in ten thousand.

    Parameters
    ----------
    shares
        Probability of each bin; sums to 1.
    scores
        Score of each bin.
    shift
        Observed mean less expected mean.
    rows
        How many draws; need not be whole.

    References
    ----------
    [1] R. Lugannani, S. Rice, Saddle point approximation for the distribution of the sum of independent random
    variables, Advances in Applied Probability 12 (1980).

    Examples
    --------
    >>> coin = np.array([0.5, 0.5])
    >>> round(mean_tail(coin, np.array([-1.0, 1.0]), 0.2, 100), 3)  # as sure as 60 heads of 100
    0.045
    """
    there = shares > 0
    weights = shares[there]
    sign = 1.0 if shift >= 0 else -1.0
    centred = sign * (scores[there] - float(weights @ scores[there]))
    reach, deviation = float(centred.max(initial=0.0)), math.sqrt(float(weights @ centred**2))
    target = abs(shift)
    if deviation == 0.0 or target <= 1e-9 * deviation:
        return 1.0
    if target >= reach * (1 - 1e-12):
        top = float(weights[centred >= reach * (1 - 1e-9)].sum())
        return min(1.0, 2 * max(top**rows, NEVER)) if target <= reach * (1 + 1e-9) else NEVER
    tilt, height, spread = _saddle(weights, centred, target, deviation)
    signed = math.sqrt(max(2 * rows * (tilt * target - height), 0.0))
    slope = tilt * math.sqrt(rows * spread)
    if signed < 0.1 or slope < 1e-8:
        return min(1.0, 2 * float(special.ndtr(-target / deviation * math.sqrt(rows))))
    density = math.exp(-(signed**2) / 2) / math.sqrt(2 * math.pi)
    upper = float(special.ndtr(-signed)) + density * (1 / slope - 1 / signed)
    return float(min(1.0, max(2 * upper, NEVER)))


def _saddle(weights: np.ndarray, scores: np.ndarray, target: float, deviation: float) -> tuple[float, float, float]:
    """Return the tilt under which the mean is ``target``, the cumulant function there and its curvature."""
    low, high, tilt = 0.0, math.inf, target / deviation**2
    height = spread = 0.0
    for _ in range(STEPS):
        top = float((tilt * scores).max())
        tilted = weights * np.exp(tilt * scores - top)
        total = float(tilted.sum())
        mean = float(tilted @ scores) / total
        spread = max(float(tilted @ scores**2) / total - mean**2, 1e-12 * deviation**2)
        height = top + math.log(total)
        if abs(mean - target) <= 1e-9 * deviation:
            break
        low, high = (tilt, high) if mean < target else (low, tilt)
        step = tilt + (target - mean) / spread
        tilt = step if low < step < high else (low + high) / 2 if math.isfinite(high) else 2 * tilt
    return tilt, height, spread


def count_tail(count: int, rows: int, before: int, rows_before: int) -> float:
    """Probability of ``count`` or more of the marked rows among ``rows``, were both groups alike (Fisher's exact test).

    >>> round(count_tail(3, 300, 0, 9_700), 6)
    2.7e-05
    """
    marked = count + before
    return _hypergeometric(np.arange(count, min(marked, rows) + 1), rows, marked, rows_before)


def fewer_tail(count: int, rows: int, before: int, rows_before: int) -> float:
    """Probability of ``count`` or fewer, as in :func:`count_tail`."""
    marked = count + before
    return _hypergeometric(np.arange(max(0, marked - rows_before), count + 1), rows, marked, rows_before)


def _hypergeometric(counts: np.ndarray, rows: int, marked: int, rows_before: int) -> float:
    """Return the probability that one of ``counts`` of all ``marked`` rows fall among ``rows``."""
    total = rows + rows_before
    counts = _that_weigh(counts, rows * marked / total, rows * rows_before / total**2 * marked)
    logs = _choose(marked, counts) + _choose(total - marked, rows - counts) - _choose(total, rows)
    return float(min(max(np.exp(logs).sum(), NEVER), 1.0))


def _that_weigh(counts: np.ndarray, mean: float, variance: float) -> np.ndarray:
    """Return the counts near the likeliest of them; what is further off is lost in rounding (Bernstein)."""
    likeliest, reach = np.clip(mean, counts[0], counts[-1]), 10 * math.sqrt(variance) + 200
    return counts[(counts >= likeliest - reach) & (counts <= likeliest + reach)]


def _choose(total: int, some: Any) -> Any:
    return special.gammaln(total + 1) - special.gammaln(some + 1) - special.gammaln(total - some + 1)


def student_tail(shift: float, variance: float, windows: int, *, excess: float = 0.0) -> float:
    """Two-sided probability of a shift whose variance was learned from so many windows; 1 where nothing varies.

    ``excess`` is the kurtosis of the windows' own shifts beyond a normal law's: fog
    that comes on two days of forty comes again, and further. The law is then
    Student's with that kurtosis, of the same variance.

    >>> student_tail(5.0, 1.0, 100) < 1e-5 < 1e-3 < student_tail(5.0, 1.0, 100, excess=6.0)
    True
    """
    if variance <= 0:
        return 1.0
    freedom = float(max(windows - 1, 1))
    heavy = 4 + 6 / excess if excess > 0 else math.inf
    if heavy < freedom:
        freedom, variance = heavy, variance * (1 - 2 / heavy)
    return max(2 * float(special.stdtr(freedom, -abs(shift) / math.sqrt(variance))), NEVER)


def student_reach(alpha: float, variance: float, windows: int) -> float:
    """Return what a shift whose variance was learned from so many windows exceeds with probability ``alpha``.

    >>> round(student_reach(0.025, 1.0, 1000), 2)
    1.96
    """
    return float(special.stdtrit(max(windows - 1, 1), 1 - alpha)) * math.sqrt(variance)


def square_tail(statistic: float, freedom: int) -> float:
    """Probability that chi-square is at least ``statistic``."""
    return max(float(special.chdtrc(freedom, statistic)), NEVER) if freedom > 0 else 1.0
