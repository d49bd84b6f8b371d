"""The hot path: ``POST /v1/models/{model}/predict``, from the socket's bytes to the socket's bytes.

It speaks ASGI itself: a framework's routing, parsing and answering cost more
than the model. FastAPI describes it (see ``endpoints.py``) and serves the rest.
"""

import hashlib
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any

from nightshift.errors import LogBusyError, NightshiftError, PredictionLogError
from nightshift.predictions.commit import GroupCommit
from nightshift.predictions.frames import frame
from nightshift.predictions.record import Answered, Refused, outcome, prediction_id
from nightshift.predictions.record import encode as encode_entry
from nightshift.serving.answers import JSON, Answer, Prediction, RefusalError, Scored, encode, unavailable
from nightshift.serving.loader import Champions, Live
from nightshift.serving.metrics import Metrics
from nightshift.serving.validation import Admitted, TurnedAwayError

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
PREFIX, SUFFIX = "/v1/models/", "/predict"
BODY_BYTES_MAX = 16 * 1024 * 1024
REQUEST_ID_MAX = 128
log = logging.getLogger(__name__)


def asked_model(path: str) -> str | None:
    """Return the model a path asks a prediction of; none if it asks for something else.

    >>> asked_model("/v1/models/flight_delay/predict"), asked_model("/v1/models")
    ('flight_delay', None)
    """
    return path[len(PREFIX) : -len(SUFFIX)] if path.startswith(PREFIX) and path.endswith(SUFFIX) else None


class Predict:
    """Answers prediction requests; what it answers is in the log before.

    Parameters
    ----------
    champions
        Who answers.
    log_of
        The log of a model by its name.
    metrics
        What is counted.
    """

    def __init__(self, champions: Champions, log_of: Callable[[str], GroupCommit], metrics: Metrics) -> None:
        self._champions = champions
        self._log_of = log_of
        self._metrics = metrics
        self._prefix = secrets.token_hex(8)
        self._count = 0

    async def __call__(self, model: str, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        began = time.perf_counter()
        status, body, headers = 200, b"", {}
        try:
            body = await self._answer(model, scope, receive)
        except RefusalError as refusal:
            status, body, headers = refusal.status, refusal.body, refusal.headers
        except Exception:
            log.exception("a request to %s failed", model)
            status, body = 500, RefusalError(500, "the server failed; its log says why").body
        await respond(send, status, body, headers)
        self._metrics.observe(model, status, time.perf_counter() - began)

    async def _answer(self, model: str, scope: Message, receive: Receive) -> bytes:
        live = self._champions.get(model)
        if live is None:
            raise RefusalError(404, f"no model is called {model[:80]!r}; GET /v1/models lists those that are served")
        log_of = self._log_of(model)
        try:
            log_of.check_room()
        except LogBusyError as error:
            raise unavailable(str(error)) from None
        body = await read_body(scope, receive)
        now = datetime.now(UTC)
        request_id = self._request_id(scope, body)
        try:
            admitted = live.door.admit(body, now)
        except TurnedAwayError as turned:
            await self._keep(log_of, live, Refused(request_id, _micros(now), live.version, turned.rows))
            raise
        outputs = live.package.predict_encoded(admitted.matrix).tolist()
        entry = Answered(
            id=request_id,
            at=_micros(now),
            version=live.version,
            rows=admitted.rows,
            outputs=outputs,
            keys=admitted.keys,
            times=admitted.times,
            flaws=admitted.flaws,
        )
        await self._keep(log_of, live, entry)
        self._metrics.count_rows(model, live.version, len(outputs))
        return encode(_answer(live, request_id, admitted, outputs))

    async def _keep(self, log_of: GroupCommit, live: Live, entry: Answered | Refused) -> None:
        try:
            await log_of.append(live.columns, frame(encode_entry(entry)))
        except (PredictionLogError, LogBusyError) as error:
            raise unavailable(f"the answer could not be remembered, so it is not given: {error}") from None

    def _request_id(self, scope: Message, body: bytes) -> str:
        """Return the request's name: the same for the same bytes under the same ``X-Request-Id``, else a new one."""
        given = header(scope, b"x-request-id")
        if given is None:
            self._count += 1
            return f"{self._prefix}{self._count:08x}"
        if not 0 < len(given) <= REQUEST_ID_MAX:
            raise RefusalError(400, f"X-Request-Id has {len(given)} bytes, expected 1 to {REQUEST_ID_MAX}; shorten it")
        return hashlib.blake2b(body, digest_size=16, key=hashlib.blake2b(given, digest_size=32).digest()).hexdigest()


def _answer(live: Live, request_id: str, admitted: Admitted, outputs: list[Any]) -> Answer:
    columns, flaws = live.columns, admitted.flaws
    predictions: list[Any] = []
    for row, output in enumerate(outputs):
        prediction, probability, probabilities = outcome(columns, output)
        problems = flaws.get(row, [])
        name = prediction_id(request_id, row)
        if probabilities:
            by_class = dict(zip(columns.classes, probabilities, strict=True))
            predictions.append(Scored(name, prediction, probability, problems, by_class))
        else:
            predictions.append(Prediction(name, prediction, probability, problems))
    return Answer(columns.model, columns.version, predictions)


async def read_body(scope: Message, receive: Receive) -> bytes:
    """Return the request's body, or refuse it before it is whole if it is too large.

    Raises
    ------
    RefusalError
        413 if it is too large, 400 if the caller left.
    """
    declared = header(scope, b"content-length")
    if declared is not None and declared.isdigit() and int(declared) > BODY_BYTES_MAX:
        raise _too_large(int(declared))
    message = await receive()
    body = message.get("body", b"")
    if not message.get("more_body"):
        return body
    parts, size = [body], len(body)
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RefusalError(400, "the caller left before the request was whole")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > BODY_BYTES_MAX:
            raise _too_large(size)
    return b"".join(parts)


async def respond(send: Send, status: int, body: bytes, headers: dict[bytes, bytes]) -> None:
    """Send one whole JSON answer."""
    head = [(b"content-type", JSON), (b"content-length", str(len(body)).encode()), *headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})


def header(scope: Message, name: bytes) -> bytes | None:
    """Return the value of a request's header, its name in lower case; none if it is not there."""
    for key, value in scope["headers"]:
        if key == name:
            return value
    return None


def _too_large(size: int) -> RefusalError:
    return RefusalError(
        413, f"the body has {size:,} bytes or more, at most {BODY_BYTES_MAX:,} are taken; send it in parts"
    )


def _micros(now: datetime) -> int:
    return int(now.timestamp()) * 1_000_000 + now.microsecond


__all__ = ["NightshiftError", "Predict", "asked_model", "header", "read_body", "respond"]
