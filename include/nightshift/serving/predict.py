"""The hot path: ``POST /v1/models/{model}/predict``, from the socket's bytes to the socket's bytes.

It speaks ASGI itself: a framework's routing, parsing and answering cost more
than the model. FastAPI describes it (see ``endpoints.py``) and serves the rest.
"""

import asyncio
import hashlib
import logging
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from nightshift.errors import LogBusyError, PredictionLogError
from nightshift.predictions.commit import GroupCommit
from nightshift.predictions.frames import frame
from nightshift.predictions.record import Answered, Columns, Flaw, Refused, outcome, prediction_id
from nightshift.predictions.record import encode as encode_entry
from nightshift.serving.access import Access, Key, Role
from nightshift.serving.answers import Answer, Prediction, RefusalError, Scored, encode, unavailable
from nightshift.serving.arrow import read_arrow
from nightshift.serving.loader import Champions, Live
from nightshift.serving.metrics import Metrics
from nightshift.serving.retries import Retries
from nightshift.serving.validation import Admitted, Door, TurnedAwayError
from nightshift.serving.wire import Bodies, Headers, Message, Receive, Send, is_arrow, respond

PREFIX, SUFFIX = "/v1/models/", "/predict"
REQUEST_ID_MAX = 128
LARGE_BYTES = 128 * 1024
"""A larger body is worked on beside the event loop, so that others need not wait for it."""
LARGE_AT_ONCE = 2
NO_FLAWS: list[Flaw] = []
log = logging.getLogger(__name__)


def asked_model(path: str) -> str | None:
    """Return the model a path asks a prediction of; none if it asks for something else.

    >>> asked_model("/v1/models/flight_delay/predict"), asked_model("/v1/models")
    ('flight_delay', None)
    """
    return path[len(PREFIX) : -len(SUFFIX)] if path.startswith(PREFIX) and path.endswith(SUFFIX) else None


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: who answers it, its name, its bytes, and how they are read."""

    live: Live
    request_id: str
    body: bytes
    read: Callable[[Door, bytes, int], Admitted]


@dataclass(frozen=True, slots=True)
class Thought:
    """What one request came to: the frame for the log, and the answer or the refusal that may leave after it."""

    frame: bytes
    rows: int
    answer: bytes = b""
    refusal: RefusalError | None = None


class Predict:
    """Answers prediction requests; what it answers or refuses is in the log before.

    Parameters
    ----------
    champions
        Who answers.
    log_of
        The log of a model by its name.
    metrics
        What is counted.
    access
        Who may ask.
    """

    def __init__(
        self, champions: Champions, log_of: Callable[[str], GroupCommit], metrics: Metrics, access: Access
    ) -> None:
        self._champions = champions
        self._log_of = log_of
        self._metrics = metrics
        self._access = access
        self._bodies = Bodies()
        self._retries = Retries()
        self._pool = ThreadPoolExecutor(LARGE_AT_ONCE, thread_name_prefix="large-request")
        self._prefix = secrets.token_hex(8)
        self._count = 0

    async def __call__(self, model: str, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        began = time.perf_counter()
        live = self._champions.get(model)
        try:
            body = await self._answer(live, model, dict(scope["headers"]), receive)
            status, headers = 200, {}
        except RefusalError as refusal:
            status, body, headers = refusal.status, refusal.body, refusal.headers
        except Exception:
            log.exception("a request to %s failed", model[:80])
            status, body, headers = 500, RefusalError(500, "the server failed; its log says why").body, {}
        await respond(scope, send, status, body, headers)
        self._metrics.observe(model if live else "", status, time.perf_counter() - began)

    def close(self) -> None:
        """Let go of the threads for large requests."""
        self._pool.shutdown()

    async def _answer(self, live: Live | None, model: str, headers: Headers, receive: Receive) -> bytes:
        caller = self._access.check(headers.get(b"authorization"), Role.PREDICT)
        if live is None:
            raise RefusalError(404, f"no model is called {model[:80]!r}; GET /v1/models lists those that are served")
        read = admit_arrow if is_arrow(headers) else admit_json
        written = self._log_of(model)
        self._check_room(written)
        body = await self._bodies.read(headers, receive)
        try:
            given = headers.get(b"x-request-id")
            if given is None:
                self._count += 1
                return await self._once(Asked(live, f"{self._prefix}{self._count:08x}", body, read), written)
            return await self._once_for_all(Asked(live, _name(given, caller, body), body, read), written)
        finally:
            self._bodies.release(body)

    async def _once_for_all(self, asked: Asked, written: GroupCommit) -> bytes:
        """Answer a request that may have been answered before."""
        before = await self._retries.find(asked.request_id)
        if before is not None:
            return before
        answer = None
        try:
            answer = await self._once(asked, written)
        finally:
            self._retries.end(asked.request_id, answer)
        return answer

    async def _once(self, asked: Asked, written: GroupCommit) -> bytes:
        now, live = time.time_ns() // 1000, asked.live
        if len(asked.body) > LARGE_BYTES or asked.read is admit_arrow:
            thought = await asyncio.get_running_loop().run_in_executor(self._pool, think, asked, now)
        else:
            thought = think(asked, now)
        try:
            await written.append(live.columns, thought.frame)
        except (PredictionLogError, LogBusyError) as error:
            raise unavailable(f"the answer could not be remembered, so it is not given: {error}") from None
        if thought.refusal is not None:
            raise thought.refusal
        self._metrics.count_rows(live.model, live.version, thought.rows)
        return thought.answer

    @staticmethod
    def _check_room(written: GroupCommit) -> None:
        try:
            written.check_room()
        except (PredictionLogError, LogBusyError) as error:
            raise unavailable(str(error)) from None


def admit_json(door: Door, body: bytes, now: int) -> Admitted:
    """Return the rows of a JSON body."""
    return door.admit(body, now)


def admit_arrow(door: Door, body: bytes, now: int) -> Admitted:
    """Return the rows of an Arrow IPC stream."""
    return door.admit_rows(read_arrow(body), now)


def think(asked: Asked, now: int) -> Thought:
    """Return what a request comes to; nothing leaves before it is remembered. ``now`` is microseconds since 1970.

    Raises
    ------
    RefusalError
        If the body is no request; there is no row to remember.
    """
    live, request_id, columns = asked.live, asked.request_id, asked.live.columns
    try:
        admitted = asked.read(live.door, asked.body, now)
    except TurnedAwayError as turned:
        entry = Refused(request_id, now, columns.version, turned.rows)
        return Thought(frame(encode_entry(entry)), 0, refusal=turned)
    outputs = live.package.predict_encoded(admitted.matrix).tolist()
    answered = Answered(
        id=request_id,
        at=now,
        version=columns.version,
        rows=admitted.rows,
        outputs=outputs,
        keys=admitted.keys,
        times=admitted.times,
        flaws=admitted.flaws,
    )
    answer = Answer(columns.model, columns.version, _predictions(live, request_id, admitted, outputs))
    return Thought(frame(encode_entry(answered)), len(outputs), answer=encode(answer))


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


def _name(given: bytes, caller: Key, body: bytes) -> str:
    """Return the name of a request that may come again: the same for the same caller, id and bytes."""
    if not 0 < len(given) <= REQUEST_ID_MAX:
        raise RefusalError(400, f"X-Request-Id has {len(given)} bytes, expected 1 to {REQUEST_ID_MAX}; shorten it")
    key = hashlib.blake2b(caller.name.encode() + b"\0" + given, digest_size=32).digest()
    return hashlib.blake2b(body, digest_size=16, key=key).hexdigest()
