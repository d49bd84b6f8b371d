"""What the door says: answers, refusals, and the JSON of both."""

from collections.abc import Mapping
from typing import Any

import msgspec

from nightshift.predictions.record import Flaw, Value


class Prediction(msgspec.Struct, frozen=True, gc=False):
    """The answer to one row; ``probability`` is that of class 1 or of the chosen class, regression has none."""

    prediction_id: str
    prediction: Value
    probability: float | None
    problems: list[Flaw]


class Scored(Prediction, frozen=True, gc=False):
    """The answer to one row of a multiclass model: all its probabilities too, by class."""

    probabilities: dict[str, float]


class Answer(msgspec.Struct, frozen=True, gc=False):
    """The answer to one request: every row by the same version."""

    model: str
    version: str
    predictions: list[Prediction] | list[Scored]


class RowFlaw(msgspec.Struct, frozen=True, gc=False):
    """One reason for which a row was turned away."""

    row: int
    column: str
    rule: str
    value: Any
    allowed: Any


Headers = Mapping[bytes, bytes]


class RefusalError(Exception):
    """A request that gets no prediction; knows its HTTP status.

    Parameters
    ----------
    status
        What HTTP calls it: 4xx is the caller's, 503 passes by itself.
    error
        What was found, what was expected, what to do.
    problems
        Every problem of every row at once.
    headers
        More headers for the answer, in lower case.
    """

    def __init__(
        self,
        status: int,
        error: str,
        *,
        problems: list[RowFlaw] | None = None,
        headers: dict[bytes, bytes] | None = None,
    ) -> None:
        super().__init__(error)
        self.status, self.error = status, error
        self.problems = problems or []
        self.headers = headers or {}

    @property
    def body(self) -> bytes:
        """The refusal as JSON."""
        return encode({"error": self.error, "problems": self.problems})


encode = msgspec.json.Encoder().encode


def unavailable(error: str, *, retry_seconds: int = 1) -> RefusalError:
    """Return a refusal that passes by itself, and when to try again."""
    return RefusalError(503, error, headers={b"retry-after": str(retry_seconds).encode()})
