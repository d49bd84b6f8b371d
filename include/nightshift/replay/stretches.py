"""An ordered reference cut into stretches like the windows that will be judged."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import pandas as pd

from nightshift.profile.baseline import Baseline
from nightshift.profile.budget import Budget
from nightshift.profile.profile import Profile
from nightshift.profile.swing import WINDOWS_MIN
from nightshift.profile.tails import student_reach
from nightshift.profile.variation import Variation
from nightshift.spec import Kind

ENOUGH = 20
"""So many stretches tell how windows vary; of a size that gives fewer, shorter ones are asked, which vary more."""
ROWS_MIN = 60


@dataclass(frozen=True)
class Stretches:
    """A reference made ready for windows of each size that was declared.

    Days differ more from each other than weeks do: a window is held to the
    variation of the size that is most like its own.
    """

    by_rows: Mapping[int, Baseline] = field(default_factory=dict)
    lengths: Mapping[int, int] = field(default_factory=dict)
    """How many rows the stretches have that windows of a declared size are held to; none without order or size."""

    @classmethod
    def of(
        cls,
        reference: pd.DataFrame,
        kinds: Mapping[str, Kind],
        sizes: Iterable[int],
        *,
        budget: Budget,
        importance: Mapping[str, float],
    ) -> Self:
        """Return the baselines of rows that follow each other in time, one for each of ``sizes``.

        Without sizes, or with none, the windows are taken to vary by chance alone.
        """
        whole = Baseline(Profile.of(reference, kinds), budget=budget)
        lengths = {size: min(size, max(len(reference) // ENOUGH, ROWS_MIN)) for size in sorted(set(sizes))}
        variations = {
            length: _variation(reference, whole.reference, length, importance) for length in set(lengths.values())
        }
        by_rows = {size: replace(whole, variation=variations[length]) for size, length in lengths.items()}
        return cls(by_rows or {0: whole}, lengths)

    def like(self, rows: int) -> Baseline:
        """Return the baseline for a window of so many rows."""
        return self.by_rows[self._size_like(rows)]

    def length_like(self, rows: int) -> int:
        """Return how many rows the stretches have that a window of so many is held to; 0 if there are none."""
        return self.lengths.get(self._size_like(rows), 0)

    def _size_like(self, rows: int) -> int:
        return min(self.by_rows, key=lambda size: abs(math.log((size + 1) / (rows + 1))))


def cut(reference: pd.DataFrame, length: int) -> Iterator[pd.DataFrame]:
    """Yield the whole stretches of ``length`` rows, in order.

    >>> [len(rows) for rows in cut(pd.DataFrame({"a": range(7)}), 3)]
    [3, 3]
    """
    for start in range(0, len(reference) - length + 1, length):
        yield reference.iloc[start : start + length]


def reach(means: Sequence[float], alpha: float, *, chance: float = 0.0) -> float:
    """Return what the mean of one more stretch exceeds as seldom as ``alpha`` by its season.

    By Student's law, and the second largest at least: seasons may come seldom, but
    what came once may have been an incident.

    Parameters
    ----------
    means
        How much more each stretch has than all rows; few of them tell nothing, and neither do endless ones: 0.
    chance
        The variance that the means have by chance alone, which is taken off.

    Examples
    --------
    >>> seasons = [-0.1, 0.1, 0.0, -0.1, 0.1, 0.0]
    >>> round(reach(seasons, 0.005), 2), round(reach(seasons, 0.005, chance=0.008), 2), reach(seasons[:3], 0.005)
    (0.39, 0.0, 0.0)
    """
    if len(means) < WINDOWS_MIN:
        return 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        whole = float(np.var(means, ddof=1))
    own = whole - chance
    if not 0 < own < math.inf:
        return 0.0
    by_law = student_reach(alpha, own * (1 + 1 / len(means)), len(means))
    return max(by_law, sorted(means)[-2] * math.sqrt(own / whole))


def _variation(reference: pd.DataFrame, whole: Profile, length: int, importance: Mapping[str, float]) -> Variation:
    parts = [Profile.of(rows, whole.kinds, bins_of=whole) for rows in cut(reference, length)]
    # how many rows a window should have is declared, not learned from where the reference was cut
    return replace(Variation.of_parts(whole, parts, importance), rows=())
