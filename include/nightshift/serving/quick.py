"""The short way through the door: clean requests, decoded and compared as whole columns.

It never refuses. Whatever it cannot vouch for it leaves to the long way in
``validation.py``, which names every problem.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import UNSET, UnsetType

from nightshift.predictions.record import Columns, micros
from nightshift.serving.body import DIGITS_MAX

Row = tuple[Any, ...]
Floats = npt.NDArray[np.float64]
as_tuple = msgspec.structs.astuple


class Quick:
    """Decodes requests whose every row has exactly the model's columns, each with a clean value or a clean null.

    Parameters
    ----------
    columns
        Names and kinds, the key's and the time's column.
    lower, upper
        Clean range of each numeric column; others are unbounded within single precision.
    codes
        For each categorical column, the code of each clean value.
    may_be_null
        Columns in which a null is no problem at all.
    """

    def __init__(
        self,
        columns: Columns,
        *,
        lower: Mapping[str, float],
        upper: Mapping[str, float],
        codes: Mapping[str, Mapping[str, float]],
        may_be_null: frozenset[str],
    ) -> None:
        names = tuple(columns.kinds)
        numeric = [place for place, name in enumerate(names) if columns.kinds[name] == "numeric"]
        self._width = len(names)
        self._numeric = np.array(numeric, dtype=np.intp)
        self._numbers_of = _picker(numeric)
        largest = float(np.finfo(np.float32).max)
        self._lower = np.array([max(lower.get(names[place], -largest), -largest) for place in numeric])
        self._upper = np.array([min(upper.get(names[place], largest), largest) for place in numeric])
        self._bounds = list(zip(numeric, self._lower.tolist(), self._upper.tolist(), strict=True))
        self._texts = [
            (place, {**codes[name], **({None: np.nan} if name in may_be_null else {})})
            for place, name in enumerate(names)
            if columns.kinds[name] != "numeric"
        ]
        self._colons_known = any(":" in value for name in codes for value in codes[name])
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_body_type(columns, may_be_null))

    def decode(self, body: bytes) -> list[Row] | None:
        """Return the rows of a body as tuples (inputs in order, key, time), or none if the long way must look.

        A name given twice would be seen by neither of the two decoders' types;
        it shows in the number of colons, since no clean row can have more.
        """
        if b"\\" in body:
            return None
        try:
            content = self._decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        if (content.row is UNSET) is (content.rows is UNSET):
            return None
        sent = [content.row] if content.rows is UNSET else content.rows
        rows = [as_tuple(row) for row in sent]
        return rows if rows and body.count(b":") == 1 + self._colons(rows) else None

    def encode(self, rows: Sequence[Row]) -> tuple[npt.NDArray[np.float32], Sequence[int]]:
        """Return the rows as the model wants them, and the numbers of the rows that are not clean."""
        return self._encode_one(rows[0]) if len(rows) == 1 else self._encode_many(rows)

    def _encode_one(self, row: Row) -> tuple[npt.NDArray[np.float32], Sequence[int]]:
        """Do it value by value: for a single row NumPy's calls cost more than its loops save."""
        values, is_clean = list(row[: self._width]), True
        for place, lower, upper in self._bounds:
            value = values[place]
            if value is not None and not lower <= value <= upper:
                is_clean = False
        for place, codes in self._texts:
            code = codes.get(values[place])
            is_clean = is_clean and code is not None
            values[place] = code
        if is_clean:
            return np.array((values,), dtype=np.float32), ()
        return _single(np.array((values,), dtype=np.float64)), (0,)

    def _encode_many(self, rows: Sequence[Row]) -> tuple[npt.NDArray[np.float32], Sequence[int]]:
        matrix = np.empty((len(rows), self._width), dtype=np.float64)
        unclean: set[int] = set()
        if len(self._numeric):
            numbers: Floats = np.array([self._numbers_of(row) for row in rows], dtype=np.float64)
            outside = (numbers < self._lower) | (numbers > self._upper)
            if outside.any():
                unclean.update(np.flatnonzero(outside.any(axis=1)).tolist())
            matrix[:, self._numeric] = numbers
        for place, codes in self._texts:
            column = [codes.get(row[place]) for row in rows]
            if None in column:
                unclean.update(number for number, code in enumerate(column) if code is None)
            matrix[:, place] = column
        return _single(matrix), sorted(unclean)

    def _colons(self, rows: Sequence[Row]) -> int:
        """Return how many colons rows have that name nothing twice."""
        width, count = self._width, len(rows) * self._width
        for row in rows:
            for extra in row[width:]:
                if extra is not UNSET:
                    count += 1 + (extra.count(":") if type(extra) is str else 0)
        if self._colons_known:
            count += sum(value.count(":") for row in rows for value in row[:width] if type(value) is str)
        return count


def keys_of(rows: Sequence[Row], *, length_max: int) -> list[str | None] | None:
    """Return the rows' keys as text; none if there are none.

    Raises
    ------
    ValueError
        If one is too long.
    """
    keys = [None if row[-2] is UNSET or row[-2] is None else str(row[-2]) for row in rows]
    if any(key is not None and len(key) > length_max for key in keys):
        raise ValueError("a key is too long")
    if any(type(row[-2]) is int and len(key or "") > DIGITS_MAX for row, key in zip(rows, keys, strict=True)):
        raise ValueError("a key is too large a number")
    return keys if any(key is not None for key in keys) else None


def times_of(rows: Sequence[Row], *, latest: int) -> list[int | None] | None:
    """Return the rows' event times in microseconds since 1970; none if there are none.

    Raises
    ------
    ValueError
        If one is no moment with an offset, or not between 1970 and ``latest``.
    """
    times = [None if row[-1] is UNSET or row[-1] is None else read_moment(row[-1]) for row in rows]
    if any(time is not None and not 0 <= time <= latest for time in times):
        raise ValueError("a time is not plausible")
    return times if any(time is not None for time in times) else None


def read_moment(text: str) -> int:
    """Return an ISO 8601 moment with an offset in microseconds since 1970.

    Raises
    ------
    ValueError
        If it is none, or has no offset.

    Examples
    --------
    >>> read_moment("1970-01-01T01:00:00.000001+01:00")
    1
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no offset")
    return micros(moment)


def _single(matrix: Floats) -> npt.NDArray[np.float32]:
    """Return the matrix in single precision; what is too large for it is in an unclean row, which is judged later."""
    with np.errstate(over="ignore"):
        return matrix.astype(np.float32)


def _picker(places: Sequence[int]) -> Callable[[Row], Row]:
    if len(places) == 1:
        return lambda row: (row[places[0]],)
    return itemgetter(*places) if places else lambda _row: ()


def _body_type(columns: Columns, may_be_null: frozenset[str]) -> type[msgspec.Struct]:
    """Return the type of a clean body; its fields are numbered, since a column may be called like a Python keyword."""
    kinds: dict[str, Any] = {"numeric": float, "categorical": str}
    fields: list[Any] = []
    rename: dict[str, str] = {}
    for number, (name, kind) in enumerate(columns.kinds.items()):
        fields.append((f"f{number}", kinds[kind] | None if name in may_be_null else kinds[kind]))
        rename[f"f{number}"] = name
    fields += [("key", str | int | None | UnsetType, UNSET), ("time", str | None | UnsetType, UNSET)]
    # without such a column the name is one that no key here can have, since backslashes take the long way
    rename |= {"key": columns.key or '"key', "time": columns.time or '"time'}
    row = msgspec.defstruct("Row", fields, rename=rename, forbid_unknown_fields=True, gc=False)
    one, many = ("row", row | UnsetType, UNSET), ("rows", list[row] | UnsetType, UNSET)  # type: ignore[valid-type]  # made at run time
    return msgspec.defstruct("Body", [one, many], forbid_unknown_fields=True, gc=False)
