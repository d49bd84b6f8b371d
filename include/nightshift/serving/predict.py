"""The hot path: ``POST /v1/models/{model}/predict``, from the socket's bytes to the socket's bytes.

It speaks ASGI itself: a framework's routing, parsing and answering cost more
than the model. FastAPI describes it (see ``endpoints.py``) and serves the rest.
"""

import asyncio
import hashlib
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from nightshift.errors import LogBusyError, PredictionLogError
from nightshift.predictions.commit import GroupCommit
from nightshift.predictions.log import SHADOW
from nightshift.serving.access import Access, Key, Role
from nightshift.serving.answers import RefusalError, unavailable
from nightshift.serving.arrow import count_values
from nightshift.serving.loader import Champions, Live
from nightshift.serving.lookup import asks_by_keys
from nightshift.serving.metrics import Metrics
from nightshift.serving.retries import Retries
from nightshift.serving.shadow import Shadow
from nightshift.serving.thinking import Asked, Thought, admit_arrow, admit_entities, admit_json, think, think_together
from nightshift.serving.validation import Admitted
from nightshift.serving.wire import ARROW, JSON, Bodies, Headers, Message, Receive, Reply, Send, is_arrow, respond

PREFIX, SUFFIX = "/v1/models/", "/predict"
REQUEST_ID_MAX = 128
LARGE_BYTES = 128 * 1024
"""A larger body is worked on beside the event loop, so that others need not wait for it."""
LARGE_VALUES = 10_000
"""So is one of rows that want more values, however few it sends: what is wrong with each takes longer to say."""
LARGE_AT_ONCE = 2
WIDTH_LEAST = 16
"""So many values a row is taken to want at the least, for what is not one of them costs as much."""
LOOKUPS_AT_ONCE = 4
"""Requests by keys wait for the online store beside the event loop, so that nobody else does."""
NO_HEADERS: Headers = {}
FAILED = "the server failed; its log says why"
PLAIN_TYPES = frozenset({JSON, JSON + b"; charset=utf-8", JSON + b";charset=utf-8"})
NOT_PLAIN = frozenset({b"x-request-id", b"content-encoding"})
"""Headers of requests that may have been answered before, or that are not taken."""
Reader = Callable[[Live, bytes, int], Admitted]
Ready = tuple[Asked, float, Reply]
"""A request that waits for its turn, when it came, and how it is answered."""
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
        self._lookups = ThreadPoolExecutor(LOOKUPS_AT_ONCE, thread_name_prefix="by-keys")
        self._prefix = secrets.token_hex(8)
        self._count = 0
        self._ready: list[Ready] = []

    async def __call__(self, model: str, scope: Message, receive: Receive, send: Send) -> None:
        """Reply one request."""
        began = time.perf_counter()
        live = self._champions.get(model)
        headers = NO_HEADERS
        try:
            status, body = await self._answer(live, model, dict(scope["headers"]), receive)
        except asyncio.CancelledError:
            # the server ends, and the disk has not said yet whether the record is there
            ending = unavailable("the server is stopping; try again with the same X-Request-Id")
            status, body, headers = ending.status, ending.body, ending.headers
        except Exception as error:
            status, body, headers = _failed(model, error)
        await respond(send, status, body, headers)
        self._metrics.observe(model if live else "", status, time.perf_counter() - began)

    def at_once(self, model: str, headers: Headers, body: bytes, answer: Reply) -> bool:
        """Reply a plain request that is here whole, without a task of its own; ``answer`` is called when it may leave.

        Returns
        -------
        Whether it will be. It is not plain, and left to :meth:`__call__`, if it is large,
        asks by keys, may be a retry, or says that it is something else, or nobody answers for the model.
        """
        live, read = self._champions.get(model), _reader(headers, body)
        if live is None or read is None or _is_large(live, body, read):
            return False
        began = time.perf_counter()
        try:
            self._access.check(headers, Role.PREDICT)
            self._log_of(model).check_room()
        except Exception as error:
            self._tell(model, began, answer, *_failed(model, error))
            return True
        if not self._ready:
            # everybody who is here in this turn of the loop is answered together
            asyncio.get_running_loop().call_soon(self._answer_all)
        asked = Asked(live, self._next_id(), body, read)
        self._ready.append((asked, began, answer))
        return True

    def _answer_all(self) -> None:
        ready, self._ready = self._ready, []
        by_version: dict[int, list[Ready]] = {}
        for one in ready:
            by_version.setdefault(id(one[0].live), []).append(one)
        for several in by_version.values():
            self._answer_together(several, time.time_ns() // 1000)

    def _answer_together(self, several: Sequence[Ready], now: int) -> None:
        live = several[0][0].live
        written = self._log_of(live.model)
        thoughts: Sequence[Thought | Exception]
        try:
            thoughts = think_together([asked for asked, _, _ in several], now)
        except Exception:
            log.exception("%d requests to %s failed together", len(several), live.model)
            thoughts = [RefusalError(500, FAILED)] * len(several)
        for (asked, began, answer), thought in zip(several, thoughts, strict=True):
            if isinstance(thought, Exception):
                self._tell(live.model, began, answer, *_failed(live.model, thought))
                continue
            if self._shadow is None:
                asked.body = b""  # nobody reads it again, and the disk may be slow
            then = partial(self._end_at_once, asked, thought, now, began, answer)
            try:
                written.submit(live.columns, thought.frame, then)
            except (PredictionLogError, LogBusyError) as error:
                self._tell(live.model, began, answer, *_failed(live.model, error))

    def _end_at_once(
        self, asked: Asked, thought: Thought, now: int, began: float, answer: Reply, error: PredictionLogError | None
    ) -> None:
        model = asked.live.model
        if error is not None:
            self._tell(model, began, answer, *_failed(model, error))
        else:
            self._count_in(asked, thought, now)
            self._tell(model, began, answer, thought.status, thought.answer, NO_HEADERS)

    def _tell(self, model: str, began: float, answer: Reply, status: int, body: bytes, headers: Headers) -> None:
        answer(status, body, headers)
        self._metrics.observe(model, status, time.perf_counter() - began)

    async def close(self) -> None:
        """Wait for what goes on beside the answers, and let go of its threads."""
        if self._shadow is not None:
            await self._shadow.close()
        self._pool.shutdown()
        self._lookups.shutdown()

    async def _answer(self, live: Live | None, model: str, headers: Headers, receive: Receive) -> tuple[int, bytes]:
        caller = self._access.check(headers, Role.PREDICT)
        if live is None:
            raise RefusalError(404, f"no model is called {model[:80]!r}; GET /v1/models lists those that are served")
        read = admit_arrow if is_arrow(headers) else admit_json
        written = self._log_of(model)
        written.check_room()
        body = await self._bodies.read(headers, receive)
        if read is admit_json and asks_by_keys(body):
            read = admit_entities
        try:
            given = headers.get(b"x-request-id")
            if given is None:
                return await self._once(Asked(live, self._next_id(), body, read), written)
            return await self._once_for_all(_name(model, given, caller, body), Asked(live, "", body, read), written)
        finally:
            self._bodies.release(body)

    async def _once_for_all(self, name: str, asked: Asked, written: GroupCommit) -> tuple[int, bytes]:
        """Reply a request that may have been answered before, under the same name.

        In the log its name is also of the version: what another one answers, to who asks again after a restart, is
        another answer, and is not to be dropped for the first.
        """
        before = await self._retries.find(name)
        if before is not None:
            return 200, before
        status, answer = 0, b""
        asked.request_id = hashlib.blake2b(asked.live.version.encode(), digest_size=16, key=name.encode()).hexdigest()
        try:
            status, answer = await self._once(asked, written)
        finally:
            self._retries.end(name, answer if status == 200 else None)
        return status, answer

    async def _once(self, asked: Asked, written: GroupCommit) -> tuple[int, bytes]:
        now = time.time_ns() // 1000
        loop = asyncio.get_running_loop()
        if asked.read is admit_entities:
            thought = await loop.run_in_executor(self._lookups, think, asked, now)
        elif asked.read is admit_arrow or _is_large(asked.live, asked.body, asked.read):
            thought = await loop.run_in_executor(self._pool, think, asked, now)
        else:
            thought = think(asked, now)
        await written.append(asked.live.columns, thought.frame)
        self._count_in(asked, thought, now)
        return thought.status, thought.answer

    def _count_in(self, asked: Asked, thought: Thought, now: int) -> None:
        """Count what was answered and is remembered, and let the challenger answer too."""
        live = asked.live
        if thought.status != 200:
            return
        self._metrics.count_rows(live.model, live.version, thought.rows)
        challenger = self._champions.challengers.get(live.model) if self._shadow else None
        if self._shadow is not None and challenger is not None:
            self._shadow.follow(asked, challenger, self._log_of(f"{live.model}/{SHADOW}"), now)

    def _next_id(self) -> str:
        self._count += 1
        return f"{self._prefix}{self._count:08x}"


def _is_large(live: Live, body: bytes, read: Reader) -> bool:
    if len(body) > LARGE_BYTES:
        return True
    width = max(len(live.columns.kinds), WIDTH_LEAST)
    return (count_values(body, width) if read is admit_arrow else body.count(b"{") * width) > LARGE_VALUES


def _reader(headers: Headers, body: bytes) -> Reader | None:
    """Return how a plain request is read; none if it is not plain."""
    kind = headers.get(b"content-type", JSON)
    if not headers.keys().isdisjoint(NOT_PLAIN):
        return None
    if kind in PLAIN_TYPES:
        return None if asks_by_keys(body) else admit_json
    return admit_arrow if kind == ARROW else None


def _failed(model: str, error: Exception) -> tuple[int, bytes, Headers]:
    """Return status, body and headers for who gets no prediction."""
    if isinstance(error, PredictionLogError | LogBusyError):
        # where the log lies is for operators: the server's own log and ``/v1/models`` tell it
        why = error if isinstance(error, LogBusyError) else "its log cannot be written; try again shortly"
        error = unavailable(f"the answer could not be remembered, so it is not given: {why}")
    if not isinstance(error, RefusalError):
        log.error("a request to %s failed", model[:80], exc_info=error)
        error = RefusalError(500, FAILED)
    return error.status, error.body, error.headers


def _name(model: str, given: bytes, caller: Key, body: bytes) -> str:
    """Return the name of a request that may come again: the same for the same model, caller, id and bytes."""
    if not 0 < len(given) <= REQUEST_ID_MAX:
        raise RefusalError(400, f"X-Request-Id has {len(given)} bytes, expected 1 to {REQUEST_ID_MAX}; shorten it")
    key = hashlib.blake2b(b"\0".join((model.encode(), caller.name.encode(), given)), digest_size=32).digest()
    return hashlib.blake2b(body, digest_size=16, key=key).hexdigest()
