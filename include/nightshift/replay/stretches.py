"""An ordered reference cut into stretches like the windows that will be judged."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import pandas as pd

from nightshift.profile.baseline import Baseline
from nightshift.profile.budget import Budget
from nightshift.profile.profile import Profile
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
        cut = {length: _variation(reference, whole.reference, length, importance) for length in set(lengths.values())}
        return cls({size: replace(whole, variation=cut[length]) for size, length in lengths.items()} or {0: whole})

    def like(self, rows: int) -> Baseline:
        """Return the baseline for a window of so many rows."""
        return self.by_rows[min(self.by_rows, key=lambda size: abs(math.log((size + 1) / (rows + 1))))]


def _variation(reference: pd.DataFrame, whole: Profile, length: int, importance: Mapping[str, float]) -> Variation:
    starts = range(0, len(reference) - length + 1, length)
    parts = [Profile.of(reference.iloc[start : start + length], whole.kinds, bins_of=whole) for start in starts]
    # how many rows a window should have is declared, not learned from where the reference was cut
    return replace(Variation.of_parts(whole, parts, importance), rows=())
