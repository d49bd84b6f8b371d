"""One prediction as it is remembered, and how the predictions of one request are written down.

A request is one entry of the log, whatever its number of rows: it is
remembered whole or not at all. :class:`Answered` holds what was answered,
:class:`Refused` what was turned away at the door, and :class:`Columns`, written
once for each version in each segment, says what the values are.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from nightshift.errors import PredictionLogError

RESERVED = (
    "prediction_id",
    "request_id",
    "at",
    "time",
    "key",
    "version",
    "refused",
    "problems",
    "sent",
    "prediction",
    "probability",
    "probabilities",
)
"""Names of the log's own columns; no input may be called so."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Value = float | int | str | bool | None


class Flaw(msgspec.Struct, frozen=True, omit_defaults=True):
    """One rule that one value of one row broke; ``refused`` if the row was turned away for it."""

    column: str
    rule: str
    value: Any = None
    allowed: Any = None
    refused: bool = False


class Columns(msgspec.Struct, frozen=True, tag_field="entry", tag="columns"):
    """What the rows of one model version hold, in the model's order of columns.

    ``kinds`` says for each input whether it is ``numeric`` or ``categorical``;
    ``classes`` are the labels of a multiclass model in the order of its
    probabilities.

    Raises
    ------
    PredictionLogError
        From :meth:`check`, if an input has a name that the log needs for itself.
    """

    model: str
    version: str
    package: str
    task: str
    kinds: dict[str, str]
    key: str | None = None
    time: str | None = None
    classes: tuple[str, ...] = ()

    def check(self) -> None:
        """Refuse inputs that would collide with the log's own columns."""
        taken = sorted(set(self.kinds) & set(RESERVED))
        if taken:
            raise PredictionLogError(
                f"{self.model} version {self.version} has inputs called {', '.join(taken)}, "
                "which are columns of the prediction log itself; rename them in the spec"
            )


class Answered(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="entry", tag="answered"):
    """The rows of one request that were answered.

    ``rows`` are values in the order of :attr:`Columns.kinds`; ``outputs`` is
    for each row P(1), the value, or one probability for each class. Moments are
    whole microseconds since 1970, UTC. Without ``times`` the rows happened when
    they were asked; ``flaws`` are by row number, for rows that have any.
    """

    id: str
    at: int
    version: str
    rows: list[Any]
    outputs: list[Any]
    keys: list[str | None] | None = None
    times: list[int | None] | None = None
    flaws: dict[int, list[Flaw]] = {}


class Turned(msgspec.Struct, frozen=True, omit_defaults=True):
    """One row that was turned away: its number, what was sent (cut to a bounded length), and why."""

    row: int
    sent: str
    flaws: list[Flaw]
    key: str | None = None
    time: int | None = None


class Refused(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="entry", tag="refused"):
    """The rows of one request that were turned away at the door; nothing of the request was answered."""

    id: str
    at: int
    version: str
    rows: list[Turned]


Entry = Columns | Answered | Refused
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Entry)


def encode(entry: Entry) -> bytes:
    """Return an entry as one line of JSON without the line's end.

    >>> decode(encode(Refused("a1", 0, "3", [])))
    Refused(id='a1', at=0, version='3', rows=[])
    """
    return _encoder.encode(entry)


def decode(line: bytes) -> Entry:
    """Return the entry that :func:`encode` wrote.

    Raises
    ------
    PredictionLogError
        If the line is no entry.
    """
    try:
        return _decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise PredictionLogError(f"{line[:80]!r} is no entry of a prediction log: {error}") from None


@dataclass(frozen=True)
class PredictionRecord:
    """What was asked in one row and what was answered.

    ``at`` is when it was asked by the server's clock, ``time`` when the event
    is by the row's own time column (``at`` if it has none). A refused record
    has neither prediction nor probability, and its ``inputs`` are empty:
    ``sent`` holds what came.
    """

    prediction_id: str
    request_id: str
    at: datetime
    time: datetime
    key: str | None
    model: str
    version: str
    inputs: Mapping[str, Value]
    prediction: Value
    probability: float | None
    probabilities: tuple[float, ...]
    problems: tuple[Flaw, ...]
    refused: bool
    sent: str


def prediction_id(request_id: str, row: int) -> str:
    """Return the id of one row's prediction.

    >>> prediction_id("5f0c", 3)
    '5f0c-3'
    """
    return f"{request_id}-{row}"


def micros(moment: datetime) -> int:
    """Return an aware moment in whole microseconds since 1970, UTC.

    >>> micros(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    1000000
    """
    since = moment - EPOCH  # not divided by a microsecond: that takes thrice as long, and this is done for every row
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def moment(micros: int) -> datetime:
    """Return the moment that is ``micros`` microseconds after 1970, UTC."""
    return EPOCH + timedelta(microseconds=micros)


def outcome(columns: Columns, output: Any) -> tuple[Value, float | None, tuple[float, ...]]:
    """Return prediction, its probability, and all probabilities, from a model's bare output.

    A binary model predicts 1 from a probability of one half on; regression has
    no probability.

    >>> outcome(Columns("m", "1", "", "binary", {}), 0.75)
    (1, 0.75, ())
    >>> outcome(Columns("m", "1", "", "multiclass", {}, classes=("dry", "wet")), [0.25, 0.75])
    ('wet', 0.75, (0.25, 0.75))
    """
    if columns.task == "binary":
        return int(output >= 0.5), output, ()
    if columns.task == "multiclass":
        best = max(range(len(output)), key=output.__getitem__)
        return columns.classes[best], output[best], tuple(output)
    return output, None, ()


def records(columns: Columns, entry: Answered | Refused) -> Iterator[PredictionRecord]:
    """Yield one record for each row of an entry."""
    yield from _answered(columns, entry) if isinstance(entry, Answered) else _refused(columns, entry)


def _answered(columns: Columns, entry: Answered) -> Iterator[PredictionRecord]:
    names, at = tuple(columns.kinds), moment(entry.at)
    for row, values in enumerate(entry.rows):
        prediction, probability, probabilities = outcome(columns, entry.outputs[row])
        time = entry.times[row] if entry.times else None
        yield PredictionRecord(
            prediction_id=prediction_id(entry.id, row),
            request_id=entry.id,
            at=at,
            time=at if time is None else moment(time),
            key=entry.keys[row] if entry.keys else None,
            model=columns.model,
            version=entry.version,
            inputs=dict(zip(names, values, strict=True)),
            prediction=prediction,
            probability=probability,
            probabilities=probabilities,
            problems=tuple(entry.flaws.get(row, ())),
            refused=False,
            sent="",
        )


def _refused(columns: Columns, entry: Refused) -> Iterator[PredictionRecord]:
    at = moment(entry.at)
    for turned in entry.rows:
        yield PredictionRecord(
            prediction_id=prediction_id(entry.id, turned.row),
            request_id=entry.id,
            at=at,
            time=at if turned.time is None else moment(turned.time),
            key=turned.key,
            model=columns.model,
            version=entry.version,
            inputs={},
            prediction=None,
            probability=None,
            probabilities=(),
            problems=tuple(turned.flaws),
            refused=True,
            sent=turned.sent,
        )
