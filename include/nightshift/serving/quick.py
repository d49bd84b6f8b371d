"""The short way through the door: clean requests, decoded and compared as whole columns.

It never refuses. Whatever it cannot vouch for it leaves to the long way in
``validation.py``, which names every problem.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import UNSET, UnsetType

from nightshift.predictions.record import Columns, micros
from nightshift.serving.body import DIGITS_MAX, check_count

Row = tuple[Any, ...]
Column = Sequence[Any]
Floats = npt.NDArray[np.float64]
as_tuple = msgspec.structs.astuple
KEY_LENGTH_MAX = 256
MANY = 8
WHOLE_BYTES = 8_192
"""From so many on, a body is compared as a whole."""
UNIVERSAL = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.0+)?(Z|\+00:00)(\n|\Z))+", re.ASCII)
"""Moments of whole seconds in universal time, one a line."""
LARGEST = float(np.finfo(np.float32).max)
"""Models compute in single precision."""


class Read(msgspec.Struct, gc=False):
    """Rows that were read the short way; those numbered in ``unclean`` need a look at their values."""

    rows: list[Row]
    matrix: npt.NDArray[np.float32]
    keys: list[str | None] | None
    times: list[int | None] | None
    unclean: Sequence[int]


class Columnar(msgspec.Struct, gc=False):
    """Rows as columns: ``numbers`` of all numeric ones (rows × columns, NaN for null), ``texts`` of each other one.

    Both in the model's order. Keys are text or whole numbers, times text or
    microseconds since 1970; empty if there are none.
    """

    numbers: Floats
    texts: list[Column]
    keys: Column
    times: Column


class Quick:
    """Reads requests whose every row has exactly the model's columns, each with a value or a null of its kind.

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
        self._null_places = {place for place, name in enumerate(names) if name in may_be_null}
        self._has_key, self._has_time = bool(columns.key), bool(columns.time)
        lowest = [max(lower.get(names[place], -LARGEST), -LARGEST) for place in numeric]
        highest = [min(upper.get(names[place], LARGEST), LARGEST) for place in numeric]
        self._numeric_places = numeric
        self._numeric = list(zip(numeric, lowest, highest, strict=True))
        self._lower, self._upper = np.array(lowest), np.array(highest)
        self._texts = [
            (place, {**codes[name], **({None: np.nan} if name in may_be_null else {})})
            for place, name in enumerate(names)
            if columns.kinds[name] != "numeric"
        ]
        self._texts_with_colons = [place for place, codes in self._texts if any(":" in str(text) for text in codes)]
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_body_type(columns, may_be_null))

    def read(self, body: bytes, *, latest: int) -> Read | None:
        """Return the rows of a JSON body, or none if the long way must look.

        A name given twice is seen by no decoder of types; it shows in the
        number of colons, of which honest rows have a known number.

        Parameters
        ----------
        latest
            Up to when an event may be, in microseconds since 1970.

        Raises
        ------
        RefusalError
            If there are too many rows.
        """
        if b"\\" in body:  # escapes may hide a colon, or a name
            return None
        try:
            content = self._decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        if (content.row is UNSET) is (content.rows is UNSET):
            return None
        colons = _count_colons(body) - 1
        try:
            if content.rows is UNSET:
                return self._read_one(as_tuple(content.row), colons, latest)
            check_count(len(content.rows))
            return self._read_many([*map(as_tuple, content.rows)], colons=colons, latest=latest)
        except ValueError:
            return None

    def read_columns(self, sent: Columnar, *, latest: int) -> Read | None:
        """Return the rows of whole columns, or none if the long way must look; ``latest`` is as for :meth:`read`."""
        listed: dict[int, Column] = dict(zip(self._numeric_places, sent.numbers.T.tolist(), strict=True))
        for number in np.flatnonzero(np.isnan(sent.numbers).any(axis=0)).tolist():
            place = self._numeric_places[number]
            listed[place] = [None if value != value else value for value in listed[place]]
        listed |= zip((place for place, _ in self._texts), sent.texts, strict=True)
        if any(None in values and place not in self._null_places for place, values in listed.items()):
            return None
        try:
            keys, times = _keys(sent.keys), _times(sent.times, latest)
        except ValueError:
            return None
        matrix, unclean = self._encode_columns(sent.numbers, sent.texts)
        rows = zip(*(listed[place] for place in range(self._width)), strict=True)
        return Read([*rows], matrix, keys, times, unclean)

    def _read_one(self, row: Row, colons: int, latest: int) -> Read | None:
        """Do what :meth:`_read_many` does, for a single row: lists of one cost more than they save."""
        width = self._width
        key = row[width] if self._has_key else UNSET
        time = row[-1] if self._has_time else UNSET
        known = width
        keys: list[str | None] | None = None
        times: list[int | None] | None = None
        if key is not UNSET:
            known += 1 + (key.count(":") if type(key) is str else 0)
            keys = [key] if type(key) is str and 0 < len(key) <= KEY_LENGTH_MAX else _keys((key,))
        if time is not UNSET:
            known += 1
            if time is not None:
                known += time.count(":")
                moment = read_moment(time)
                if not 0 <= moment <= latest:
                    return None
                times = [moment]
        for place in self._texts_with_colons:
            known += row[place].count(":") if row[place] is not None else 0
        if colons != known:
            return None
        row = row[:width]
        matrix, unclean = self._encode_one(row)
        return Read([row], matrix, keys, times, unclean)

    def _read_many(self, sent: list[Row], *, colons: int, latest: int) -> Read | None:
        columns = list(zip(*sent, strict=True))
        width, absent = self._width, (UNSET,) * len(sent)
        key = columns[width] if self._has_key else absent
        time = columns[-1] if self._has_time else absent
        known = len(sent) * width + _colons_with(key) + _colons_with(time)
        for place in self._texts_with_colons:
            known += _colons_in(columns[place])
        if colons != known:
            return None
        keys, times = _keys(key), _times(time, latest)
        matrix, unclean = self._encode_many(columns)
        return Read([row[:width] for row in sent], matrix, keys, times, unclean)

    def _encode_one(self, row: Row) -> tuple[npt.NDArray[np.float32], Sequence[int]]:
        values, is_clean = list(row), True
        for place, lower, upper in self._numeric:
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

    def _encode_many(self, columns: Sequence[Column]) -> tuple[npt.NDArray[np.float32], Sequence[int]]:
        numbers = np.array([columns[place] for place in self._numeric_places], dtype=np.float64)
        return self._encode_columns(
            numbers.reshape(-1, len(columns[0])).T, [columns[place] for place, _ in self._texts]
        )

    def _encode_columns(
        self, numbers: Floats, texts: Sequence[Column]
    ) -> tuple[npt.NDArray[np.float32], Sequence[int]]:
        """Return the matrix of these columns, rows × columns in the model's order, and the rows that are unclean."""
        matrix = np.empty((len(numbers), self._width), dtype=np.float64)
        unclean: set[int] = set()
        outside = (numbers < self._lower) | (numbers > self._upper)
        if outside.any():
            unclean.update(np.flatnonzero(outside.any(axis=1)).tolist())
        matrix[:, self._numeric_places] = numbers
        for (place, codes), column in zip(self._texts, texts, strict=True):
            found = list(map(codes.get, column))
            if None in found:
                unclean.update(number for number, code in enumerate(found) if code is None)
            matrix[:, place] = found
        return _single(matrix), sorted(unclean)


def _count_colons(body: bytes) -> int:
    """Return how many colons a body holds; a large one is sooner compared whole than each is found."""
    if len(body) < WHOLE_BYTES:
        return body.count(b":")
    return int(np.count_nonzero(np.frombuffer(body, dtype=np.uint8) == ord(":")))


def _colons_with(column: Column) -> int:
    """Return how many colons a column of keys or times brings: its values' own, and one for each name."""
    return len(column) - column.count(UNSET) + _colons_in(column)


def _colons_in(column: Column) -> int:
    return "".join([value for value in column if type(value) is str]).count(":")


def _keys(column: Column) -> list[str | None] | None:
    """Return the rows' keys as text; none if there are none; a ValueError if one is empty or too long."""
    kinds = set(map(type, column))
    if kinds == {str}:
        keys = list(column)
    elif kinds <= {UnsetType, type(None)}:
        return None
    else:
        keys = [None if key is UNSET or key is None else str(key) for key in column]
        if any(type(key) is int and len(str(key)) > DIGITS_MAX for key in column):
            raise ValueError("a key is too large a number")
    if "" in keys or max(len(key) for key in keys if key) > KEY_LENGTH_MAX:
        raise ValueError("a key is empty or too long")
    return keys


def _times(column: Column, latest: int) -> list[int | None] | None:
    """Return the rows' event times; none if there are none; a ValueError if one is no moment, or not plausible.

    They are text, or microseconds since 1970 already.
    """
    kinds = set(map(type, column))
    times: list[int | None]
    if kinds == {str}:
        times = _moments(column)
    elif kinds <= {int, type(None)} and int in kinds:
        times = list(column)
    elif kinds <= {UnsetType, type(None)}:
        return None
    else:
        times = [None if text is UNSET or text is None else read_moment(text) for text in column]
    if not all(time is None or 0 <= time <= latest for time in times):
        raise ValueError("a time is not plausible")
    return times


def _moments(column: Sequence[str]) -> list[int | None]:
    """Return many moments as :func:`read_moment` does; those in universal time, which most are, all at once."""
    lines = "\n".join(column)
    if len(column) < MANY or lines.count("\n") >= len(column) or not UNIVERSAL.fullmatch(lines):
        return [*map(read_moment, column)]
    moments: list[int | None] = np.array([text[:19] for text in column], dtype="datetime64[us]").astype(int).tolist()
    return moments


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


def _body_type(columns: Columns, may_be_null: frozenset[str]) -> type[msgspec.Struct]:
    """Return the type of a clean body; its fields are numbered, since a column may be called like a Python keyword."""
    kinds: dict[str, Any] = {"numeric": float, "categorical": str}
    fields: list[Any] = []
    rename: dict[str, str] = {}
    for number, (name, kind) in enumerate(columns.kinds.items()):
        fields.append((f"f{number}", kinds[kind] | None if name in may_be_null else kinds[kind]))
        rename[f"f{number}"] = name
    if columns.key:
        fields.append(("key", str | int | None | UnsetType, UNSET))
        rename["key"] = columns.key
    if columns.time:
        fields.append(("time", str | None | UnsetType, UNSET))
        rename["time"] = columns.time
    row = msgspec.defstruct("Row", fields, rename=rename, forbid_unknown_fields=True, gc=False)
    one, many = ("row", row | UnsetType, UNSET), ("rows", list[row] | UnsetType, UNSET)  # type: ignore[valid-type]  # made at run time
    return msgspec.defstruct("Body", [one, many], forbid_unknown_fields=True, gc=False)
