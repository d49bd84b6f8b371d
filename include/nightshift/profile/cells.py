"""A column as it came, read as numbers or as names: what is null, what is of a foreign type."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from numbers import Real
from typing import Any, Self

import numpy as np
import pandas as pd

from nightshift.spec import Kind

NAME_LENGTH_MAX = 256
_EMPTY = np.empty(0)


@dataclass(frozen=True)
class Cells:
    """A column that was read.

    ``numbers`` has one for each row, NaN where there is none; ``codes`` too,
    places in the sorted ``names``, -1 where there is none. Only one of them is
    there, by the column's kind.
    """

    rows: int
    missing: int
    foreign: int
    types: Mapping[str, int]
    numbers: np.ndarray = field(default_factory=lambda: _EMPTY)
    codes: np.ndarray = field(default_factory=lambda: _EMPTY)
    names: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of_numbers(cls, numbers: np.ndarray, kind: str) -> Self:
        """Return numbers that are all of one type, NaN being null."""
        missing = int(np.isnan(numbers).sum())
        known = len(numbers) - missing
        return cls(len(numbers), missing, 0, {kind: known} if known else {}, numbers=numbers)


def cells_of(values: Iterable[Any], kind: Kind) -> Cells:
    """Return a column read as numbers or as names.

    Times are numbers: microseconds since 1970, UTC. Names are cut at
    :data:`NAME_LENGTH_MAX` letters; a whole number among them is written without
    a point, so that ``3`` and ``3.0``, which a null makes of it, are one.
    """
    column = values if isinstance(values, pd.Series) else pd.Series(values)
    return _numbers(column) if kind is Kind.NUMERIC else _names(column)


def _numbers(column: "pd.Series[Any]") -> Cells:
    kind = column.dtype
    if pd.api.types.is_bool_dtype(kind) and not isinstance(kind, pd.CategoricalDtype):
        return Cells.of_numbers(column.to_numpy(dtype=np.float64, na_value=np.nan), "bool")
    if pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_complex_dtype(kind):
        return Cells.of_numbers(column.to_numpy(dtype=np.float64, na_value=np.nan), "number")
    if pd.api.types.is_datetime64_any_dtype(kind):
        return Cells.of_numbers(_micros(column), "time")
    return _mixed_numbers(column.astype(object).to_numpy())


def _micros(column: "pd.Series[Any]") -> np.ndarray:
    stamps = column.dt.tz_convert("UTC").dt.tz_localize(None) if column.dt.tz is not None else column
    micros = stamps.to_numpy(dtype="datetime64[us]")
    return np.where(np.isnat(micros), np.nan, micros.view(np.int64))


def _mixed_numbers(values: np.ndarray) -> Cells:
    """Read a column of objects one by one; what is no number is foreign."""
    null = _nulls(values)
    types = ["null" if nothing else type_of(value) for value, nothing in zip(values, null, strict=True)]
    numbers = np.full(len(values), np.nan)
    own = np.array([found == "number" for found in types], dtype=bool)
    numbers[own] = [_as_float(value) for value in values[own]]
    counted = Counter(types)
    missing = counted.pop("null", 0)
    foreign = sum(counted.values()) - int(own.sum())
    return Cells(len(values), missing, foreign, dict(sorted(counted.items())), numbers=numbers)


def _names(column: "pd.Series[Any]") -> Cells:
    codes, found = _factorized(column)
    counts = np.bincount(codes[codes >= 0], minlength=len(found))
    types: Counter[str] = Counter()
    for value, count in zip(found, counts.tolist(), strict=True):
        types[type_of(value)] += count
    written = np.array([name_of(value) for value in found], dtype=object)
    names, places = np.unique(written, return_inverse=True) if len(written) else (written, np.empty(0, int))
    joined = np.where(codes >= 0, places[codes], -1) if len(names) else codes
    totals = np.bincount(joined[joined >= 0], minlength=len(names)).tolist()
    counted = {str(name): count for name, count in zip(names, totals, strict=True) if count}
    missing = int((codes < 0).sum())
    kinds = {name: count for name, count in sorted(types.items()) if count}
    return Cells(len(codes), missing, 0, kinds, codes=joined, names=counted)


def _factorized(column: "pd.Series[Any]") -> tuple[np.ndarray, np.ndarray]:
    """Return each row's place among the column's different values, -1 for null, and these values."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return np.asarray(column.cat.codes, dtype=np.int64), column.cat.categories.astype(object).to_numpy()
    try:
        codes, found = pd.factorize(column.astype(object))
    except TypeError:  # lists and dictionaries have no hash
        codes, found = pd.factorize(column.map(str, na_action="ignore").astype(object))
    return np.asarray(codes), np.asarray(found, dtype=object)


def type_of(value: Any) -> str:
    """Return what a value is, in a word.

    >>> [type_of(value) for value in (1, 2.5, True, "1", None)]
    ['number', 'number', 'bool', 'text', 'other']
    """
    if isinstance(value, str):
        return "text"
    if isinstance(value, bool | np.bool_):
        return "bool"
    if isinstance(value, Real | Decimal):
        return "number"
    if isinstance(value, pd.Timestamp | np.datetime64) or hasattr(value, "isoformat"):
        return "time"
    return "bytes" if isinstance(value, bytes) else "other"


def name_of(value: Any) -> str:
    """Return a category's name.

    >>> name_of(3.0), name_of("EWR")
    ('3', 'EWR')
    """
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)[:NAME_LENGTH_MAX]


def _nulls(values: np.ndarray) -> np.ndarray:
    """Return which objects are null; a list is not, whatever it holds."""
    return np.asarray(pd.isna(values), dtype=bool)


def _as_float(value: Any) -> float:
    """Return a number as a float; what is too large for one is infinite."""
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
