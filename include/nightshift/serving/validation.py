"""The door: from the bytes of a request to rows a model may answer, or to every reason why not.

Clean requests take a short way: they are decoded into a type made for the
model's columns, and whole columns are compared with the contract's bounds at
once. Whatever is unusual takes the long way, row by row through
:meth:`Contract.check_row`, which alone decides. A property test holds the two
ways to the same verdict.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from nightshift.predictions.record import Columns, Flaw, Turned, micros
from nightshift.profile.contract import Contract, Problem
from nightshift.serving.answers import RefusalError, RowFlaw

ROWS_MAX = 10_000
KEY_LENGTH_MAX = 256
VALUE_LENGTH_MAX = 120
SENT_LENGTH_MAX = 4_096
PROBLEMS_MAX = 1_000
AHEAD_MAX = timedelta(days=366)
SECOND_MICROS = 1_000_000


@dataclass(frozen=True)
class Admitted:
    """Rows a model may answer: as they are remembered, and as the model wants them."""

    rows: list[tuple[Any, ...]]
    matrix: np.ndarray
    keys: list[str | None] | None
    times: list[int | None] | None
    flaws: dict[int, list[Flaw]] = field(default_factory=dict)


class TurnedAwayError(RefusalError):
    """Rows that break the contract; ``rows`` are what the log keeps of them."""

    def __init__(self, rows: list[Turned], count: int) -> None:
        self.rows = rows
        problems = [
            RowFlaw(row.row, flaw.column, flaw.rule, flaw.value, flaw.allowed)
            for row in rows
            for flaw in row.flaws
            if flaw.refused
        ]
        left_off = f" (the first {PROBLEMS_MAX:,} problems follow)" if len(problems) > PROBLEMS_MAX else ""
        super().__init__(
            422,
            f"{len(rows)} of {count} rows break the contract; nothing was answered. "
            f"Mend or leave out these rows and send the others again{left_off}",
            problems=problems[:PROBLEMS_MAX],
        )


class Door:
    """Lets in rows of one model version.

    Parameters
    ----------
    columns
        Names and kinds, the key's and the time's column.
    contract
        What a valid row is.
    categories
        For each categorical column the values training saw, in the order of their codes.
    """

    def __init__(self, columns: Columns, contract: Contract, categories: Mapping[str, Sequence[str]]) -> None:
        self.columns = columns
        self.contract = contract
        self._names = tuple(columns.kinds)
        self._codes = {
            name: {value: float(code) for code, value in enumerate(categories[name])}
            for name, kind in columns.kinds.items()
            if kind == "categorical"
        }

    def admit(self, body: bytes, now: datetime) -> Admitted:
        """Return the rows of a JSON body.

        Raises
        ------
        RefusalError
            400 if it is no JSON, 413 if it has too many rows, 422 if it is no request.
        TurnedAwayError
            If a row breaks the contract; with every problem of every row.
        """
        return self._admit_slowly(read_rows(body), now)

    def _admit_slowly(self, sent: list[dict[str, Any]], now: datetime) -> Admitted:
        looked = [self._look(number, row, now) for number, row in enumerate(sent)]
        turned = [row.turned() for row in looked if row.is_refused]
        if turned:
            raise TurnedAwayError(turned, len(sent))
        rows = [tuple(_plain(row.features.get(name)) for name in self._names) for row in looked]
        return Admitted(
            rows=rows,
            matrix=self._encode(rows),
            keys=_or_none(row.key for row in looked),
            times=_or_none(row.time for row in looked),
            flaws={row.number: row.flaws for row in looked if row.flaws},
        )

    def _look(self, number: int, sent: dict[str, Any], now: datetime) -> "Looked":
        features = dict(sent)
        flaws: list[Flaw] = [_flaw_of_name(name) for name in features.pop(TWICE, ())]
        key = self._read_key(features, flaws)
        time = self._read_time(features, flaws, now)
        flaws += [_flaw(problem) for problem in self.contract.check_row(features)]
        return Looked(number, sent, features, flaws, key, time)

    def _read_key(self, row: dict[str, Any], flaws: list[Flaw]) -> str | None:
        name = self.columns.key
        if name is None or row.get(name) is None:
            row.pop(name, None)
            return None
        value = row.pop(name)
        if isinstance(value, bool) or not isinstance(value, str | int):
            flaws.append(Flaw(name, "type", _short(value), "text or a whole number", refused=True))
        elif len(str(value)) > KEY_LENGTH_MAX:
            flaws.append(Flaw(name, "length", _short(value), f"at most {KEY_LENGTH_MAX} characters", refused=True))
        else:
            return str(value)
        return None

    def _read_time(self, row: dict[str, Any], flaws: list[Flaw], now: datetime) -> int | None:
        name = self.columns.time
        if name is None or row.get(name) is None:
            row.pop(name, None)
            return None
        value = row.pop(name)
        try:
            time = msgspec.convert(value, datetime) if isinstance(value, str) else None
        except msgspec.ValidationError:
            time = None
        if time is None or time.tzinfo is None:
            flaws.append(
                Flaw(name, "time", _short(value), "ISO 8601 with an offset, 2013-05-01T10:00:00Z", refused=True)
            )
            return None
        return self._plausible(name, time, flaws, now)

    def _plausible(self, name: str, time: datetime, flaws: list[Flaw], now: datetime) -> int | None:
        since = micros(time)
        if 0 <= since <= micros(now + AHEAD_MAX):
            return since
        allowed = f"between 1970 and {AHEAD_MAX.days} days from now"
        flaws.append(Flaw(name, "time", time.isoformat(), allowed, refused=True))
        return None

    def _encode(self, rows: list[tuple[Any, ...]]) -> np.ndarray:
        """Return the rows as the model wants them: categories as codes, nothing as NaN."""
        matrix = np.empty((len(rows), len(self._names)), dtype=np.float64)
        for place, (name, column) in enumerate(zip(self._names, zip(*rows, strict=True), strict=True)):
            codes = self._codes.get(name)
            matrix[:, place] = column if codes is None else [codes.get(value, np.nan) for value in column]
        return matrix.astype(np.float32)


@dataclass(frozen=True)
class Looked:
    """One row after a look at it."""

    number: int
    sent: dict[str, Any]
    features: dict[str, Any]
    flaws: list[Flaw]
    key: str | None
    time: int | None

    @property
    def is_refused(self) -> bool:
        return any(flaw.refused for flaw in self.flaws)

    def turned(self) -> Turned:
        sent = {name: value for name, value in self.sent.items() if name is not TWICE}
        text = msgspec.json.encode(sent).decode()
        return Turned(self.number, text[:SENT_LENGTH_MAX], self.flaws, self.key, self.time)


TWICE: Any = "\x00twice"
"""Under this name a decoded object holds the names that it has more than once."""


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    row: Any = UNSET
    rows: Any = UNSET


def read_rows(body: bytes) -> list[dict[str, Any]]:
    """Return the rows of a request's JSON, decoded but not yet checked.

    Raises
    ------
    RefusalError
        400 if it is no JSON, 413 if it has too many rows, 422 if it is no request.
    """
    content = _decode(body)
    if not isinstance(content, dict) or set(content) - {TWICE} not in ({"row"}, {"rows"}) or TWICE in content:
        raise RefusalError(422, 'the body must be {"row": {…}} or {"rows": [{…}, …]} and nothing else')
    rows = [content["row"]] if "row" in content else content["rows"]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise RefusalError(422, "a row must be an object of named fields, and rows a list of them")
    if not rows:
        raise RefusalError(422, "rows is empty; send at least one row")
    if len(rows) > ROWS_MAX:
        raise RefusalError(
            413, f"{len(rows):,} rows in one request, at most {ROWS_MAX:,} are taken; send them in parts"
        )
    return rows


def _decode(body: bytes) -> Any:
    try:
        text = body.decode()
        return json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant, parse_int=_int)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)[:200]
        raise RefusalError(400, f"the body is no JSON: {reason}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        found[TWICE] = sorted({name for name, _ in pairs if name in seen or seen.add(name)})  # type: ignore[func-returns-value]  # add returns none, which is what makes this a filter
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON; send null for what is not known")


def _int(digits: str) -> int | float:
    return int(digits) if len(digits) <= 19 else float(digits)


def _flaw(problem: Problem) -> Flaw:
    return Flaw(problem.column, problem.rule, _short(problem.value), problem.allowed, problem.refused)


def _flaw_of_name(name: str) -> Flaw:
    return Flaw(_short(name), "once", None, "each column once", refused=True)


def _short(value: Any) -> Any:
    """Return a value that is safe to repeat: bounded, and JSON."""
    if isinstance(value, str):
        return value if len(value) <= VALUE_LENGTH_MAX else value[:VALUE_LENGTH_MAX] + "…"
    if value is None or isinstance(value, bool | int | float):
        return value
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= VALUE_LENGTH_MAX else text[:VALUE_LENGTH_MAX] + "…"


def _plain(value: Any) -> Any:
    return value


def _or_none(values: Iterable[Any]) -> list[Any] | None:
    found = list(values)
    return found if any(value is not None for value in found) else None


__all__ = ["UTC", "Admitted", "Door", "TurnedAwayError", "UnsetType", "read_rows"]
