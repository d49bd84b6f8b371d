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

from nightshift.errors import LogBusyError, PredictionLogError
from nightshift.predictions.commit import GroupCommit
from nightshift.predictions.log import SHADOW
from nightshift.serving.access import Access, Key, Role
from nightshift.serving.answers import RefusalError, unavailable
from nightshift.serving.loader import Champions, Live
from nightshift.serving.lookup import asks_by_keys
from nightshift.serving.metrics import Metrics
from nightshift.serving.retries import Retries
from nightshift.serving.shadow import Shadow
from nightshift.serving.thinking import Asked, admit_arrow, admit_entities, admit_json, think
from nightshift.serving.wire import Bodies, Headers, Message, Receive, Send, is_arrow, respond

PREFIX, SUFFIX = "/v1/models/", "/predict"
REQUEST_ID_MAX = 128
LARGE_BYTES = 128 * 1024
"""A larger body is worked on beside the event loop, so that others need not wait for it."""
LARGE_AT_ONCE = 2
log = logging.getLogger(__name__)


def asked_model(path: str) -> str | None:
    """Return the model a path asks a prediction of; none if it asks for something else.

    >>> asked_model("/v1/models/flight_delay/predict"), asked_model("/v1/models")
    ('flight_delay', None)
    """
    return path[len(PREFIX) : -len(SUFFIX)] if path.startswith(PREFIX) and path.endswith(SUFFIX) else None


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
    shadow
        Lets challengers answer beside; none if nobody shall.
    """

    def __init__(
        self,
        champions: Champions,
        log_of: Callable[[str], GroupCommit],
        metrics: Metrics,
        access: Access,
        shadow: Shadow | None = None,
    ) -> None:
        self._champions = champions
        self._log_of = log_of
        self._metrics = metrics
        self._access = access
        self._shadow = shadow
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

    async def close(self) -> None:
        """Wait for what goes on beside the answers, and let go of its threads."""
        if self._shadow is not None:
            await self._shadow.close()
        self._pool.shutdown()

    async def _answer(self, live: Live | None, model: str, headers: Headers, receive: Receive) -> bytes:
        caller = self._access.check(headers.get(b"authorization"), Role.PREDICT)
        if live is None:
            raise RefusalError(404, f"no model is called {model[:80]!r}; GET /v1/models lists those that are served")
        read = admit_arrow if is_arrow(headers) else admit_json
        written = self._log_of(model)
        self._check_room(written)
        body = await self._bodies.read(headers, receive)
        if read is admit_json and asks_by_keys(body):
            read = admit_entities
        try:
            given = headers.get(b"x-request-id")
            if given is None:
                self._count += 1
                return await self._once(Asked(live, f"{self._prefix}{self._count:08x}", body, read), written)
            return await self._once_for_all(Asked(live, _name(model, given, caller, body), body, read), written)
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
        challenger = self._champions.challengers.get(live.model) if self._shadow else None
        if self._shadow is not None and challenger is not None:
            self._shadow.follow(asked, challenger, self._log_of(f"{live.model}/{SHADOW}"), now)
        return thought.answer

    @staticmethod
    def _check_room(written: GroupCommit) -> None:
        try:
            written.check_room()
        except (PredictionLogError, LogBusyError) as error:
            raise unavailable(str(error)) from None


def _name(model: str, given: bytes, caller: Key, body: bytes) -> str:
    """Return the name of a request that may come again: the same for the same model, caller, id and bytes."""
    if not 0 < len(given) <= REQUEST_ID_MAX:
        raise RefusalError(400, f"X-Request-Id has {len(given)} bytes, expected 1 to {REQUEST_ID_MAX}; shorten it")
    key = hashlib.blake2b(b"\0".join((model.encode(), caller.name.encode(), given)), digest_size=32).digest()
    return hashlib.blake2b(body, digest_size=16, key=key).hexdigest()
