"""Some of a table's rows, kept with its profile: what single columns cannot show is how they go together.

The rows are kept as the places of their values, not as the values: a number by
its bin, a name by its rank.
"""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Self

import numpy as np

from nightshift.errors import BinsDifferError
from nightshift.profile.cells import Cells
from nightshift.profile.distinct import mixed
from nightshift.profile.feature import FeatureProfile
from nightshift.spec import Kind

ROWS = 4096
NAMED = 200
"""So many names of a column have a place of their own."""
OTHER, ODD, MISSING = 253, 254, 255
"""Places of a name without one, of a value that is infinite or of a foreign type, and of nothing."""


@dataclass(frozen=True)
class Sample:
    """At most :data:`ROWS` rows drawn evenly: those with the smallest chance numbers.

    ``places`` holds a byte for each row and column, row by row; ``chances`` 8
    bytes a row, ascending, big-endian. ``names`` says which names have a place
    of their own, by column.
    """

    columns: tuple[str, ...] = ()
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    places: bytes = b""
    chances: bytes = b""

    @classmethod
    def of(cls, cells: Mapping[str, Cells], columns: Mapping[str, FeatureProfile], *, like: Self | None = None) -> Self:
        """Return rows of a table that was read and profiled; ``like`` gives the names' places."""
        rows = min((column.rows for column in columns.values()), default=0)
        chances = mixed(np.arange(rows, dtype=np.uint64) + _salt(columns))
        kept = np.argsort(chances, kind="stable")[:ROWS]
        return cls.of_rows(cells, kept, chances[kept], columns, like=like)

    @classmethod
    def of_rows(
        cls,
        cells: Mapping[str, Cells],
        kept: np.ndarray,
        chances: np.ndarray,
        columns: Mapping[str, FeatureProfile],
        *,
        like: Self | None = None,
    ) -> Self:
        """Return the rows ``kept`` of a table; ``chances`` are theirs, ascending."""
        given = like.names if like else {}
        names = {name: given.get(name) or _ranked(column) for name, column in columns.items() if _has_names(column)}
        matrix = np.empty((len(kept), len(columns)), dtype=np.uint8)
        for number, (name, column) in enumerate(columns.items()):
            matrix[:, number] = _places(cells[name], kept, column, names.get(name, ()))
        return cls(tuple(columns), names, matrix.tobytes(), chances.astype(">u8").tobytes())

    @property
    def matrix(self) -> np.ndarray:
        """Places, (rows, columns)."""
        return np.frombuffer(self.places, np.uint8).reshape(-1, max(len(self.columns), 1))

    def __len__(self) -> int:
        return len(self.chances) // 8

    def merge(self, other: Self) -> Self:
        """Return rows drawn evenly from both tables together."""
        if (self.columns, self.names) != (other.columns, other.names):
            raise BinsDifferError("the samples have different columns or places; give both the same bins_of")
        chances = np.frombuffer(self.chances + other.chances, ">u8")
        matrix = np.concatenate((self.matrix, other.matrix))
        kept = np.lexsort((*matrix.T, chances))[:ROWS]
        return type(self)(self.columns, self.names, matrix[kept].tobytes(), chances[kept].tobytes())

    def to_json(self) -> dict[str, Any]:
        return {
            "columns": list(self.columns),
            "names": {name: list(names) for name, names in self.names.items()},
            "places": b64encode(self.places).decode(),
            "chances": b64encode(self.chances).decode(),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        names = {name: tuple(names) for name, names in content["names"].items()}
        return cls(tuple(content["columns"]), names, b64decode(content["places"]), b64decode(content["chances"]))


def _has_names(column: FeatureProfile) -> bool:
    return column.kind is Kind.CATEGORICAL


def _ranked(column: FeatureProfile) -> tuple[str, ...]:
    """Return the most frequent names, ties in their order."""
    ordered = sorted(column.counts.items(), key=lambda one: (-one[1], one[0]))
    return tuple(name for name, _ in ordered[:NAMED])


def _places(cells: Cells, kept: np.ndarray, column: FeatureProfile, names: tuple[str, ...]) -> np.ndarray:
    if column.kind is Kind.CATEGORICAL:
        ranks = {name: rank for rank, name in enumerate(names)}
        by_code = np.array([*(ranks.get(name, OTHER) for name in cells.names), MISSING], dtype=np.uint8)
        found: np.ndarray = by_code[cells.codes[kept].astype(np.int64)]
        return found
    values = cells.numbers[kept]
    bins = np.searchsorted(np.array(column.edges), values, side="right")
    return np.where(np.isnan(values), MISSING, np.where(np.isinf(values), ODD, bins)).astype(np.uint8)


def _salt(columns: Mapping[str, FeatureProfile]) -> np.uint64:
    """Return a number that follows from the table's content: other parts draw other rows."""
    told = repr([(name, column.rows, column.total, column.bins, column.counts) for name, column in columns.items()])
    return np.frombuffer(blake2b(told.encode(), digest_size=8).digest(), np.uint64)[0]
