"""How rows become the matrix a model reads, the same way in training and at the door."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from nightshift.spec import Kind

if TYPE_CHECKING:  # serving encodes rows without pandas
    import pandas as pd

Matrix = npt.NDArray[np.float32]
Rows = "pd.DataFrame | Sequence[Mapping[str, Any]]"
LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Encoding:
    """Columns in the model's order, and for each categorical one its values in the order of their codes.

    Examples
    --------
    >>> encoding = Encoding({"distance": Kind.NUMERIC, "zone": Kind.CATEGORICAL}, {"zone": ("north", "south")})
    >>> encoding.matrix([{"distance": 2.5, "zone": "south"}, {"distance": None, "zone": "nowhere"}]).tolist()
    [[2.5, 1.0], [nan, nan]]
    """

    kinds: Mapping[str, Kind]
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names in the order of the matrix' columns."""
        return tuple(self.kinds)

    @property
    def types(self) -> list[str]:
        """XGBoost's word for each column: ``c`` for categories, ``float`` for numbers."""
        return ["c" if kind is Kind.CATEGORICAL else "float" for kind in self.kinds.values()]

    @classmethod
    def learn(cls, rows: "pd.DataFrame", kinds: Mapping[str, Kind]) -> Self:
        """Return the encoding of ``rows``: categories sorted, so that the order of rows does not matter."""
        named = [name for name, kind in kinds.items() if kind is Kind.CATEGORICAL]
        return cls(dict(kinds), {name: tuple(sorted({str(v) for v in rows[name].dropna()})) for name in named})

    def matrix(self, rows: "pd.DataFrame | Sequence[Mapping[str, Any]]") -> Matrix:
        """Return one float32 row for each of ``rows``.

        Null, and a category that training never saw, is NaN. Numbers beyond
        float32 become the largest it has, infinities too: no split can tell
        them apart. Columns the model does not know are ignored.

        Parameters
        ----------
        rows
            A frame, or mappings from column to value, of which none may be missing.

        Raises
        ------
        KeyError
            If a column is missing.
        """
        encoded = np.empty((len(rows), len(self.kinds)), dtype=np.float64)
        for place, (name, kind) in enumerate(self.kinds.items()):
            values = _values(rows, name)
            encoded[:, place] = self._codes(name, values) if kind is Kind.CATEGORICAL else _numbers(values)
        return np.clip(encoded, -LARGEST, LARGEST, out=encoded).astype(np.float32)

    def _codes(self, name: str, values: Sequence[Any]) -> list[float]:
        known = {value: float(code) for code, value in enumerate(self.categories[name])}
        return [known.get(value if isinstance(value, str) else str(value), np.nan) for value in values]

    def to_json(self) -> dict[str, Any]:
        return {
            "columns": [{"name": name, "kind": str(kind)} for name, kind in self.kinds.items()],
            "categories": {name: list(values) for name, values in self.categories.items()},
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        kinds = {column["name"]: Kind(column["kind"]) for column in content["columns"]}
        return cls(kinds, {name: tuple(values) for name, values in content["categories"].items()})


def _values(rows: Any, name: str) -> Sequence[Any]:
    """Return one column's values; those of a frame come without pandas' own types where that is cheap."""
    if isinstance(rows, Sequence):
        return [row[name] for row in rows]
    column = rows[name]
    return column.to_numpy() if column.dtype.kind in "bif" else column.astype(object).tolist()


def _numbers(values: Sequence[Any]) -> npt.NDArray[np.float64]:
    if isinstance(values, np.ndarray):
        return values.astype(np.float64)
    return np.array([np.nan if _is_null(value) else float(value) for value in values], dtype=np.float64)


def _is_null(value: Any) -> bool:
    # pandas' own null (pd.NA) refuses to be compared with itself
    return value is None or type(value).__name__ in ("NAType", "NaTType")
