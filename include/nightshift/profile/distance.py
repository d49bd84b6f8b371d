"""How far two profiles of one column are apart."""

import numpy as np

from nightshift.errors import BinsDifferError
from nightshift.profile.profile import FeatureProfile
from nightshift.spec import Kind


def psi(reference: FeatureProfile, current: FeatureProfile) -> float:
    """Population stability index between two profiles of one column, missing values being a bin of their own.

    Half a count is added to every bin, so that an empty one weighs little and
    the result is always finite.

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
    >>> same = FeatureProfile.of([1.0, 2.0, 3.0, 4.0], Kind.NUMERIC)
    >>> psi(same, same)
    0.0
    """
    before, after = shares(reference, current)
    return float(((after - before) * np.log(after / before)).sum())


def shares(reference: FeatureProfile, current: FeatureProfile) -> tuple[np.ndarray, np.ndarray]:
    """Return the two columns' shares on common bins, missing last, half a count added to each."""
    if (reference.kind, reference.edges) != (current.kind, current.edges):
        raise BinsDifferError("the profiles were counted on different bins; give the current one bins_of=reference")
    counted = [np.array(counts, dtype=np.float64) + 0.5 for counts in _counts(reference, current)]
    return counted[0] / counted[0].sum(), counted[1] / counted[1].sum()


def _counts(reference: FeatureProfile, current: FeatureProfile) -> tuple[list[int], list[int]]:
    if reference.kind is Kind.NUMERIC:
        return (
            [*reference.bins, reference.infinite, reference.missing],
            [*current.bins, current.infinite, current.missing],
        )
    names = sorted((reference.counts or {}).keys() | (current.counts or {}).keys())
    return (
        [*((reference.counts or {}).get(name, 0) for name in names), reference.missing],
        [*((current.counts or {}).get(name, 0) for name in names), current.missing],
    )
