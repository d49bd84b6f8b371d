"""Scores for bins: numbers whose mean over a window moves when the column does.

Scores follow ranks, so that no unit, no skew and no wild value matters. Normal
scores lose nothing against the mean where a column is normal, and win wherever
it is not (Chernoff and Savage 1958).
"""

import numpy as np
from scipy import special


def ranks(counts: np.ndarray) -> np.ndarray:
    """Return the middle rank of each bin, as a share of all rows; 0.5 throughout if there are none.

    >>> ranks(np.array([1, 2, 1])).tolist()
    [0.125, 0.5, 0.875]
    """
    total = counts.sum()
    if not total:
        return np.full(len(counts), 0.5)
    middle: np.ndarray = (np.cumsum(counts) - counts / 2) / total
    return np.clip(middle, 0.5 / total, 1 - 0.5 / total)


def location(counts: np.ndarray) -> np.ndarray:
    """Return normal scores, of mean 0 over the counted rows."""
    return _centred(special.ndtri(ranks(counts)), counts)


def spread(counts: np.ndarray, *, beside: np.ndarray | None = None) -> np.ndarray:
    """Return squared normal scores, of mean 0 and uncorrelated with :func:`location` over the counted rows.

    Whoever has those already gives them as ``beside``.
    """
    first = location(counts) if beside is None else beside
    second = _centred(first**2, counts)
    weight = counts @ first**2
    return second - (counts @ (first * second) / weight) * first if weight else second


def waves(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return two bounded scores of variance 1: rank, and distance from the middle rank uncorrelated with it."""
    first = _scaled(_centred(2 * ranks(counts) - 1, counts), counts)
    second = _centred(first**2, counts)
    total = max(counts.sum(), 1)
    return first, _scaled(second - (counts @ (first * second) / total) * first, counts)


def _centred(scores: np.ndarray, counts: np.ndarray) -> np.ndarray:
    total = counts.sum()
    return scores - (counts @ scores) / total if total else scores


def _scaled(scores: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return scores of variance 1 over the counted rows; all 0 if they do not vary."""
    total = max(counts.sum(), 1)
    variance = counts @ scores**2 / total
    return scores / np.sqrt(variance) if variance > 1e-9 else np.zeros_like(scores)
