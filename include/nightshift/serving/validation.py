"""The door: from the bytes of a request to rows a model may answer, or to every reason why not.

Clean requests take the short way of ``quick.py``. Whatever is unusual takes the
long way, row by row through :meth:`Contract.check_row`, which alone decides. A
property test holds the two ways to the same verdict.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from nightshift.predictions.record import Columns, Flaw, Turned
from nightshift.profile.contract import Contract, Problem
from nightshift.serving.answers import RefusalError, RowFlaw
from nightshift.serving.body import DIGITS_MAX, Doubled, read_rows
from nightshift.serving.quick import KEY_LENGTH_MAX, LARGEST, Columnar, Quick, Read, Row, read_moment

VALUE_LENGTH_MAX = 120
SENT_LENGTH_MAX, SENT_LENGTH_LEAST = 4_096, 256
SENT_OF_ALL_MAX = 4 * 1024 * 1024
"""Characters of what was sent that the log keeps of one request; after that the lesser number of each row."""
FLAWS_MAX = 100
"""Of one row; a row of a million unknown columns is told of the first hundred."""
FLAWS_OF_ALL_MAX = 10_000
"""Of all rows of one request; rows after that keep the first reason why they were turned away."""
ROWS_TOLD_FULLY = 100
"""Of one request; later rows with flaws are told where the values are that a column takes."""
ALLOWED_MAX = 40
"""Of the values a column takes; ``GET /v1/models/{model}`` tells all."""
PROBLEMS_MAX = 1_000
"""Of one answer."""
AHEAD_DAYS = 366
AHEAD_MAX = AHEAD_DAYS * 86_400_000_000
A_MOMENT = "ISO 8601 with an offset, for example 2013-05-01T10:00:00Z"
A_PLAUSIBLE_MOMENT = f"from 1970 to {AHEAD_DAYS} days from now"


class Admitted(msgspec.Struct, gc=False):
    """Rows a model may answer: as they are remembered (or the JSON of that), and as the model wants them."""

    rows: list[Row] | msgspec.Raw
    matrix: npt.NDArray[np.float32]
    keys: list[str | None] | None
    times: list[int | None] | None
    flaws: dict[int, list[Flaw]] = {}


class TurnedAwayError(RefusalError):
    """Rows that break the contract; ``rows`` are what the log keeps of them."""

    def __init__(self, rows: list[Turned], count: int) -> None:
        self.rows, self._count = rows, count
        problems = [
            RowFlaw(row.row, flaw.column, flaw.rule, flaw.value, flaw.allowed)
            for row in rows
            for flaw in row.flaws
            if flaw.refused
        ]
        left_off = f" (the first {PROBLEMS_MAX:,} problems follow)" if len(problems) > PROBLEMS_MAX else ""
        many = "mend or leave out these rows and send the others again"
        found = f"{len(rows)} of {count} rows break the contract, so nothing was answered; {many}"
        super().__init__(
            422,
            f"{found if count > 1 else 'the row breaks the contract, so nothing was answered; mend it'}{left_off}",
            problems=problems[:PROBLEMS_MAX],
        )

    def because(self, flaws: Mapping[int, Sequence[Flaw]]) -> "TurnedAwayError":
        """Return the same, with more that the log is to say of rows, by their numbers: why a value was null."""
        rows = [msgspec.structs.replace(row, flaws=[*row.flaws, *flaws.get(row.row, ())]) for row in self.rows]
        return TurnedAwayError(rows, self._count)


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
        self._defaults = contract.defaults
        self._names = tuple(columns.kinds)
        self._codes = {
            name: {value: float(code) for code, value in enumerate(categories[name])}
            for name, kind in columns.kinds.items()
            if kind == "categorical"
        }
        self._quick = self._short_way()

    def admit(self, body: bytes, now: int) -> Admitted:
        """Return the rows of a JSON body; ``now`` is in microseconds since 1970.

        Raises
        ------
        RefusalError
            400 if it is no JSON, 413 if it has too many rows, 422 if it is no request.
        TurnedAwayError
            If a row breaks the contract; with every problem of every row.
        """
        read = self._quick.read(body, latest=now + AHEAD_MAX)
        return self._vouch(read) or self.admit_rows(read_rows(body), now)

    def admit_columns(self, sent: Columnar, now: int) -> Admitted | None:
        """Return the rows of whole columns; none if each must be looked at."""
        return self._vouch(self._quick.read_columns(sent, latest=now + AHEAD_MAX))

    def admit_rows(self, sent: list[dict[str, Any]], now: int) -> Admitted:
        """Return decoded rows, each looked at on its own; raises what :meth:`admit` raises."""
        looked = [*_bounded(self._look(number, row, now) for number, row in enumerate(sent))]
        for row in [row for row in looked if row.flaws][ROWS_TOLD_FULLY:]:
            row.flaws[:] = self._tersely(row.flaws)
        turned = [row for row in looked if row.is_refused]
        if turned:
            raise TurnedAwayError([*_remembered(turned)], len(sent))
        rows = [tuple(_plain(row.features.get(name)) for name in self._names) for row in looked]
        return Admitted(
            rows=rows,
            matrix=self._encode(rows),
            keys=_or_none(row.key for row in looked),
            times=_or_none(row.time for row in looked),
            flaws={row.number: row.flaws for row in looked if row.flaws},
        )

    def _vouch(self, read: Read | None) -> Admitted | None:
        """Return rows that can be vouched for without looking at each, else none."""
        if read is None:
            return None
        flaws: dict[int, list[Flaw]] = {}
        for number in read.unclean:
            found = self._judge(dict(zip(self._names, read.rows[number], strict=True)))
            if any(flaw.refused for flaw in found):
                return None
            if found:
                flaws[number] = found if len(flaws) < ROWS_TOLD_FULLY else self._tersely(found)
            read.matrix[number] = self._encode([read.rows[number]])[0]
        return Admitted(read.rows, read.matrix, read.keys, read.times, flaws)

    def _short_way(self) -> Quick:
        """Return the short way for this contract, which is asked what it thinks of nulls rather than read."""
        rules = {rule.name: rule for rule in self.contract.columns}
        return Quick(
            self.columns,
            lower={name: rule.lower for name, rule in rules.items() if rule.lower is not None},
            upper={name: rule.upper for name, rule in rules.items() if rule.upper is not None},
            codes={
                name: {value: code for value, code in codes.items() if not self._problems_of(name, value)}
                for name, codes in self._codes.items()
            },
            may_be_null=frozenset(name for name in self._names if not self._problems_of(name, None)),
        )

    def _problems_of(self, name: str, value: Any) -> list[Problem]:
        return [problem for problem in self.contract.check_row({name: value}) if problem.column == name]

    def _judge(self, features: Mapping[str, Any]) -> list[Flaw]:
        """Return what is wrong with the inputs of a row: all the contract says, and what no model can compute."""
        flaws = [_flaw(problem) for problem in self.contract.check_row(features)]
        named = {flaw.column for flaw in flaws if flaw.refused}
        for name, kind in self.columns.kinds.items():
            value = features.get(name)
            if kind == "numeric" and isinstance(value, int | float) and name not in named and abs(value) > LARGEST:
                flaws.append(Flaw(name, "range", short(value), f"at most {LARGEST:.3g} in size", refused=True))
        return flaws[:FLAWS_MAX]

    def _tersely(self, flaws: Sequence[Flaw]) -> list[Flaw]:
        """Return flaws without the values a column takes: told for each of thousands of rows they are megabytes."""
        elsewhere = f"a value of the column; GET /v1/models/{self.columns.model} tells them"
        return [
            msgspec.structs.replace(flaw, allowed=elsewhere) if isinstance(flaw.allowed, list) else flaw
            for flaw in flaws
        ]

    def _look(self, number: int, sent: dict[str, Any], now: int) -> "Looked":
        features = dict(sent)
        twice = sent.twice[:FLAWS_MAX] if isinstance(sent, Doubled) else ()
        flaws = [Flaw(short(name), "once", None, "each column once", refused=True) for name in twice]
        key = self._read_key(features, flaws)
        time = self._read_time(features, flaws, now)
        flaws += self._judge(features)
        features |= {name: value for name, value in self._defaults.items() if features.get(name, value) is None}
        return Looked(number, sent, features, flaws, key, time)

    def _read_key(self, row: dict[str, Any], flaws: list[Flaw]) -> str | None:
        value = row.pop(self.columns.key, None) if self.columns.key else None
        if value is None:
            return None
        name = str(self.columns.key)
        is_whole = isinstance(value, int) and not isinstance(value, bool) and len(str(value)) <= DIGITS_MAX
        if not isinstance(value, str) and not is_whole:
            allowed = f"text, or a whole number of at most {DIGITS_MAX} digits; send longer ones as text"
            flaws.append(Flaw(name, "type", short(value), allowed, refused=True))
        elif not 0 < len(str(value)) <= KEY_LENGTH_MAX:
            allowed = f"1 to {KEY_LENGTH_MAX} characters; leave it out if the row has none"
            flaws.append(Flaw(name, "length", short(value), allowed, refused=True))
        else:
            return str(value)
        return None

    def _read_time(self, row: dict[str, Any], flaws: list[Flaw], now: int) -> int | None:
        value = row.pop(self.columns.time, None) if self.columns.time else None
        if value is None:
            return None
        name = str(self.columns.time)
        try:
            time = read_moment(value)
        except (ValueError, TypeError):
            flaws.append(Flaw(name, "time", short(value), A_MOMENT, refused=True))
            return None
        if 0 <= time <= now + AHEAD_MAX:
            return time
        flaws.append(Flaw(name, "time", short(value), A_PLAUSIBLE_MOMENT, refused=True))
        return None

    def _encode(self, rows: Sequence[Row]) -> npt.NDArray[np.float32]:
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

    def turned(self, length: int) -> Turned:
        """Return the row as the log keeps it, with so many characters of what was sent."""
        text = msgspec.json.encode(self.sent).decode()
        return Turned(self.number, text[:length], self.flaws, self.key, self.time)


def _bounded(rows: Iterable[Looked]) -> Iterator[Looked]:
    """Yield rows with bounded flaws; dozens for each of thousands of rows are a thousand times what was sent."""
    left = FLAWS_OF_ALL_MAX
    for row in rows:
        if row.is_refused:
            if len(row.flaws) > left:
                row.flaws[:] = [next(flaw for flaw in row.flaws if flaw.refused)]
            left -= len(row.flaws)
        yield row


def _remembered(rows: Iterable[Looked]) -> Iterator[Turned]:
    """Yield rows that are turned away as the log keeps them, with bounded texts of what was sent."""
    room = SENT_OF_ALL_MAX
    for row in rows:
        turned = row.turned(SENT_LENGTH_MAX if room > 0 else SENT_LENGTH_LEAST)
        room -= len(turned.sent)
        yield turned


def _flaw(problem: Problem) -> Flaw:
    allowed = problem.allowed
    if isinstance(allowed, list):
        allowed = [*map(short, allowed[:ALLOWED_MAX]), *(["…"] if len(allowed) > ALLOWED_MAX else [])]
    return Flaw(short(problem.column), problem.rule, short(problem.value), allowed, problem.refused)


def short(value: Any) -> Any:
    """Return a value that is safe to repeat: bounded, and JSON."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if np.isfinite(value) else str(value)
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= VALUE_LENGTH_MAX else text[:VALUE_LENGTH_MAX] + "…"


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, int) else value


def _or_none(values: Iterable[Any]) -> list[Any] | None:
    found = list(values)
    return found if any(value is not None for value in found) else None
