"""What one request comes to: rows let in or turned away, answers, and the entry that remembers them.

Nothing here waits, writes or sends: it may run in the event loop or beside it.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from nightshift.predictions.frames import frame
from nightshift.predictions.record import Answered, Columns, Flaw, Refused, outcome, prediction_id
from nightshift.predictions.record import encode as encode_entry
from nightshift.serving.answers import Answer, Prediction, Scored, encode
from nightshift.serving.arrow import read_table, to_columns, to_rows
from nightshift.serving.loader import Live
from nightshift.serving.validation import Admitted, TurnedAwayError

NO_FLAWS: list[Flaw] = []
Done = TypeVar("Done")


class Asked(msgspec.Struct, gc=False):
    """One request: who answers it, its name, its bytes, and how they are read."""

    live: Live
    request_id: str
    body: bytes
    read: Callable[[Live, bytes, int], Admitted]


class Thought(msgspec.Struct, gc=False):
    """What one request came to: the frame for the log, and the status and answer that may leave after it.

    No error is kept in it: an error knows the frames that held it, and such a
    circle through a struct that is hidden from the garbage collector is never freed.
    """

    frame: bytes
    rows: int
    answer: bytes
    status: int = 200


def admit_json(live: Live, body: bytes, now: int) -> Admitted:
    """Return the rows of a JSON body."""
    return live.door.admit(body, now)


def admit_arrow(live: Live, body: bytes, now: int) -> Admitted:
    """Return the rows of an Arrow IPC stream."""
    table = read_table(body)
    columns = to_columns(table, live.columns)
    admitted = None if columns is None else live.door.admit_columns(columns, now)
    return admitted or live.door.admit_rows(to_rows(table, live.columns), now)


def admit_entities(live: Live, body: bytes, now: int) -> Admitted:
    """Return the rows that the online store makes of a JSON body of entities."""
    return live.lookup.admit(live.door, body, now)


def think(asked: Asked, now: int) -> Thought:
    """Return what a request comes to; nothing leaves before it is remembered. ``now`` is microseconds since 1970.

    Raises
    ------
    RefusalError
        If the body is no request; there is no row to remember.
    """
    admitted = _admit(asked, now)
    if isinstance(admitted, Thought):
        return admitted
    return _compose(asked, now, admitted, asked.live.package.predict_encoded(admitted.matrix))


def think_together(several: Sequence[Asked], now: int) -> list[Thought | Exception]:
    """Return what each of several requests to one version comes to: what :func:`think` returns or raises.

    The model is asked once for all. Step by step for all is quicker than request
    by request, and not only for the calls that are saved: trees and interpreter
    push each other out of the processor's cache.
    """
    found = [_attempt(_admit, asked, now) for asked in several]
    matrices = [one.matrix for one in found if isinstance(one, Admitted)]
    outputs = iter(several[0].live.package.predict_each(matrices))
    return [
        _attempt(_compose, asked, now, one, next(outputs)) if isinstance(one, Admitted) else one
        for asked, one in zip(several, found, strict=True)
    ]


def _attempt(step: Callable[..., Done], *of: Any) -> Done | Exception:
    try:
        return step(*of)
    except Exception as error:  # whatever one request brings, the others are answered
        return error


def _admit(asked: Asked, now: int) -> Admitted | Thought:
    """Return a request's rows, or what is remembered and told of those that are turned away."""
    try:
        admitted = asked.read(asked.live, asked.body, now)
    except TurnedAwayError as turned:
        # under a name of its own: asked again it may be answered, and that must not be dropped for this
        entry = Refused(f"{asked.request_id}-refused", now, asked.live.version, turned.rows)
        return Thought(frame(encode_entry(entry)), 0, turned.body, turned.status)
    if len(admitted.matrix) > 1:
        # written down while the processor's cache has them, and their memory is free for the next request's rows
        admitted.rows = msgspec.Raw(encode(admitted.rows))
    return admitted


def _compose(asked: Asked, now: int, admitted: Admitted, found: npt.NDArray[np.float32]) -> Thought:
    """Return the entry that remembers rows and their answers, and the answer."""
    live, request_id, columns = asked.live, asked.request_id, asked.live.columns
    outputs = found.tolist()
    answered = Answered(
        id=request_id,
        at=now,
        version=columns.version,
        rows=admitted.rows,  # type: ignore[arg-type]  # their JSON does as well: this is written, not read
        outputs=outputs,
        keys=admitted.keys,
        times=admitted.times,
        flaws=admitted.flaws,
    )
    answer = Answer(columns.model, columns.version, _predictions(live, request_id, admitted, outputs))
    return Thought(frame(encode_entry(answered)), len(outputs), encode(answer))


def _predictions(live: Live, request_id: str, admitted: Admitted, outputs: list[Any]) -> list[Any]:
    columns, flaws = live.columns, admitted.flaws
    if columns.task == "multiclass":
        return [_scored(columns, request_id, row, output, flaws) for row, output in enumerate(outputs)]
    predictions = []
    for row, output in enumerate(outputs):
        prediction, probability, _ = outcome(columns, output)
        predictions.append(
            Prediction(prediction_id(request_id, row), prediction, probability, flaws.get(row, NO_FLAWS))
        )
    return predictions


def _scored(columns: Columns, request_id: str, row: int, output: Any, flaws: dict[int, list[Flaw]]) -> Scored:
    prediction, probability, probabilities = outcome(columns, output)
    by_class = dict(zip(columns.classes, probabilities, strict=True))
    return Scored(prediction_id(request_id, row), prediction, probability, flaws.get(row, NO_FLAWS), by_class)
