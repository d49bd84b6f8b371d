"""A column whose rows come chunk after chunk, until its profile is known."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa

from nightshift.profile.arrow import NumberPart, names_of, numbers_of
from nightshift.profile.cells import Cells
from nightshift.profile.feature import FeatureProfile, grid_of
from nightshift.profile.runs import Runs
from nightshift.spec import Kind

EXACT = 2**16
"""So many different numbers of a column are kept with their counts."""
EXACT_NAMES = 2**17
"""And so many names."""
NOTHING = NumberPart(Runs.of(np.empty(0)), Cells(0, 0, 0, {}))


class NumbersColumn:
    """Numbers: counted exactly while they are few, else only their ends are kept until the bins are known.

    >>> column = NumbersColumn()
    >>> column.take(pa.chunked_array([[1, 2, 2, None]]))
    >>> column.settle(pa.chunked_array([[1, 2]]), None)
    >>> column.profile.missing, column.is_wide
    (1, False)
    """

    def __init__(self) -> None:
        self.part = NOTHING
        self.ends = np.empty(0)
        self.is_wide = False
        self.profile = FeatureProfile(Kind.NUMERIC, 0, 0)

    def take(self, column: pa.ChunkedArray) -> None:
        """Take the next rows."""
        if self.is_wide:
            self._keep_ends(_finite(numbers_of(column)))
            return
        part = NumberPart.of(column)
        self.part = self.part.merge(part)
        if len(self.part.runs) > EXACT or part.runs.distinct is not None:
            self.is_wide = True
            self._keep_ends(self.part.runs.values)
            self.part = NOTHING

    def settle(self, drawn: pa.ChunkedArray, like: FeatureProfile | None) -> None:
        """Make the profile; of a wide column only its bins, from rows drawn evenly if not as in ``like``."""
        if not self.is_wide:
            self.profile = FeatureProfile.of_runs(self.part.runs, self.part.counted, bins_of=like)
            return
        values = np.concatenate((_finite(numbers_of(drawn)).astype(np.float64), self.ends))
        self.profile = FeatureProfile.of_runs(NOTHING.runs, NOTHING.counted, bins_of=like or grid_of(Runs.of(values)))

    def take_again(self, column: pa.ChunkedArray) -> None:
        """Count the next rows of the second pass."""
        part = NumberPart.of(column)
        self.profile = self.profile.merge(FeatureProfile.of_runs(part.runs, part.counted, bins_of=self.profile))

    def _keep_ends(self, values: np.ndarray) -> None:
        if len(values):
            both = [*self.ends, float(values.min()), float(values.max())]
            self.ends = np.array([min(both), max(both)])


class NamesColumn:
    """Names: counted exactly while they are few, else the frequent ones.

    >>> column = NamesColumn()
    >>> column.take(pa.chunked_array([["a", "b", "a", None]]))
    >>> column.settle(pa.chunked_array([["a"]]), None)
    >>> column.profile.counts
    {'a': 2, 'b': 1}
    """

    is_wide = False

    def __init__(self) -> None:
        self.cells = Cells(0, 0, 0, {})
        self.profile = FeatureProfile(Kind.CATEGORICAL, 0, 0)
        self.is_settled = False

    def take(self, column: pa.ChunkedArray) -> None:
        """Take the next rows."""
        part = names_of(column)
        if self.is_settled:
            self.profile = self.profile.merge(FeatureProfile.of_cells(part, Kind.CATEGORICAL))
            return
        names = Counter(self.cells.names)
        names.update(part.names)
        types = Counter(self.cells.types) + Counter(part.types)
        self.cells = Cells(
            self.cells.rows + part.rows, self.cells.missing + part.missing, 0, dict(sorted(types.items())), names=names
        )
        if len(names) > EXACT_NAMES:
            self.settle()

    def settle(self, *_: object) -> None:
        """Make the profile; names need no bins."""
        if not self.is_settled:
            self.profile = FeatureProfile.of_cells(self.cells, Kind.CATEGORICAL)
            self.cells, self.is_settled = replace(self.cells, names={}), True

    def take_again(self, *_: object) -> None:
        """Do nothing: there is no second pass over names."""


def _finite(numbers: np.ndarray) -> np.ndarray:
    found: np.ndarray = numbers if numbers.dtype.kind in "iu" else numbers[np.isfinite(numbers)]
    return found
