"""The serving app, made of its parts."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from nightshift.predictions.commit import GroupCommit
from nightshift.predictions.segments import SegmentWriter, writer_name
from nightshift.registry import ModelRegistry
from nightshift.serving.access import Access, Role
from nightshift.serving.alarm import Alarm
from nightshift.serving.answers import RefusalError
from nightshift.serving.endpoints import add_endpoints
from nightshift.serving.loader import Champions, Loader, Registry, open_live
from nightshift.serving.metrics import Metrics
from nightshift.serving.predict import Predict, asked_model
from nightshift.serving.run import check_is_guarded, run
from nightshift.serving.shadow import Shadow
from nightshift.serving.wire import Bodies, Headers, Message, Receive, Reply, Send, read_already, respond
from nightshift.settings import Settings

REGISTRY_SECONDS = 5.0
SMALL_BODY_BYTES = 4096
"""Of a request that asks for no prediction; FastAPI reads it all before it asks who sends it."""
log = logging.getLogger(__name__)


class App:
    """One ASGI app: predictions on the hot path, everything else by FastAPI.

    With ``package`` it serves that folder only and asks no registry.
    """

    def __init__(self, settings: Settings, package: Path | None = None, registry: Registry | None = None) -> None:
        self.settings = settings
        self.champions = Champions()
        self.access = Access.read(Path(settings.serving_keys)) if settings.serving_keys else Access()
        self._metrics = Metrics(self._gauges)
        self._package = package
        self._logs: dict[str, GroupCommit] = {}
        registry = registry or ModelRegistry(settings.mlflow, settings.releases, wait_seconds=REGISTRY_SECONDS)
        self._loader = Loader(self.champions, settings, registry, on_trouble=Alarm(settings))
        shadow = Shadow(settings.serving_shadow, self._metrics) if settings.serving_shadow > 0 else None
        self._predict = Predict(self.champions, self._log_of, self._metrics, self.access, shadow)
        self._is_open = False
        self._small = Bodies(bytes_max=SMALL_BODY_BYTES)
        self.api = self._describe()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            model = asked_model(scope["path"])
            if model is not None:
                await self._predict(model, scope, receive, send)
                return
        if scope["type"] == "http":
            try:
                body = await self._small.read(dict(scope["headers"]), receive)
            except RefusalError as error:
                await respond(send, error.status, error.body, error.headers)
                return
            self._small.release(body)
            receive = read_already(body, receive)
        await self.api(scope, receive, send)

    def at_once(self, path: str, headers: Headers, body: bytes, answer: Reply) -> bool:
        """Reply a ``POST`` that is here whole, without a task, if it is a plain one for a prediction; say whether."""
        model = asked_model(path)
        return model is not None and self._predict.at_once(model, headers, body, answer)

    def open(self) -> None:
        """Open what can be opened without a registry; done once, at the latest when the app starts.

        Raises
        ------
        PackageError
            If the package to serve is not what it should be.
        """
        if self._is_open:
            return
        self._is_open = True
        if self._package is not None:
            self.champions.put(open_live(self._package, settings=self.settings))
        else:
            self._loader.open_remembered()

    def _describe(self) -> FastAPI:
        api = FastAPI(
            title="Nightshift serving",
            version="1",
            lifespan=self._live,
            docs_url=None,  # FastAPI's own page is blank without the internet, and both are open to all
            redoc_url=None,
            openapi_url=None,
            redirect_slashes=False,  # a redirect would lead to whatever host was asked for
        )
        api.add_exception_handler(RefusalError, _refuse)
        api.add_exception_handler(RequestValidationError, self._refuse_form)
        api.add_exception_handler(HTTPException, _refuse_route)
        add_endpoints(
            api,
            champions=self.champions,
            metrics=self._metrics,
            access=self.access,
            loader=self._loader if self._package is None else None,
            troubles=self._troubles,
        )
        return api

    async def _refuse_form(self, request: Request, wrong: Any) -> Response:
        """Say what is wrong with a request, to whom may send it.

        Its JSON is all that FastAPI reads before it asks for a key, and only a pin has any.
        """
        if any(one["type"] == "json_invalid" for one in wrong.errors()):
            try:
                self.access.check(dict(request.headers.raw), Role.ADMIN)
            except RefusalError as refusal:
                return await _refuse(request, refusal)
        return await _refuse(request, RefusalError(422, "; ".join(map(_form_words, wrong.errors()))[:500]))

    @asynccontextmanager
    async def _live(self, _api: FastAPI) -> AsyncIterator[None]:
        """Open what can be opened before the first request, follow the registry, and leave nothing unwritten."""
        await asyncio.to_thread(self.open)
        warming = asyncio.create_task(asyncio.to_thread(self._warm))
        following = asyncio.create_task(self._loader.follow()) if self._package is None else None
        try:
            yield
            await warming
            if following is not None:
                following.cancel()
                with suppress(asyncio.CancelledError):
                    await following
        finally:
            await self._predict.close()
            for written in list(self._logs.values()):
                await written.close()
            log.info("stopped; what was answered is in the log")

    def _warm(self) -> None:
        for live in self.champions.all():
            live.package.warm()

    def _log_of(self, model: str) -> GroupCommit:
        if model not in self._logs:
            name, sync = writer_name(datetime.now(UTC)), self.settings.log_fsync
            writer = SegmentWriter(self.settings.predictions / model, name=name, sync=sync)
            self._logs[model] = GroupCommit(writer, others=self._logs.values())
        return self._logs[model]

    def _troubles(self) -> dict[str, str]:
        failing = {f"log of {model}": written.failure for model, written in self._logs.items() if written.failure}
        return self.champions.troubles | failing

    def _gauges(self) -> Iterable[tuple[str, str, dict[str, float]]]:
        pending = {model: float(written.pending_bytes) for model, written in self._logs.items()}
        yield "nightshift_log_pending_bytes", "Bytes that wait for the disk.", pending
        failing = {model: float(written.failure is not None) for model, written in self._logs.items()}
        yield "nightshift_log_failing", "1 while predictions cannot be remembered.", failing
        behind = {live.model: float(live.model in self.champions.troubles) for live in self.champions.all()}
        pinned = {live.model: float(live.pinned is not None) for live in self.champions.all()}
        yield "nightshift_pinned", "1 while a version is pinned, whoever is champion.", pinned
        yield "nightshift_champion_trouble", "1 while the registry's champion cannot be served.", behind


def create_app(settings: Settings, package: Path | None = None, *, registry: Registry | None = None) -> App:
    """Return the ASGI app.

    Parameters
    ----------
    settings
        Folders, addresses, keys, how durable the log is, how often to look for a champion.
    package
        Serve this package only, without a registry.
    registry
        Who knows the champions; the one of the settings if not given.

    Raises
    ------
    SettingsError
        If the file of keys cannot be used.
    """
    return App(settings, package, registry)


def serve(settings: Settings, *, host: str, port: int, package: Path | None = None) -> None:
    """Serve until told to stop (SIGTERM, SIGINT); requests under way are answered first.

    Parameters
    ----------
    settings
        Folders, addresses, keys, how durable the log is.
    host, port
        Where to listen; anything but this machine's loopback takes keys.
    package
        Serve this package only, without a registry.

    Raises
    ------
    SettingsError
        If others could reach it and there are no keys, or the keys cannot be read.
    PackageError
        If the package to serve is not what it should be.
    ServiceError
        If the address cannot be listened on.
    """
    app = create_app(settings, package)
    check_is_guarded(app.access, host)
    app.open()
    guard = f"{len(app.access.keys)} keys" if app.access.keys else "no keys"
    log.info("serving on http://%s:%d, %s, shadow %g", host, port, guard, settings.serving_shadow)
    run(app, host=host, port=port)


async def _refuse(_request: Request, refusal: Any) -> Response:
    headers = {name.decode(): value.decode() for name, value in refusal.headers.items()}
    return Response(refusal.body, status_code=refusal.status, headers=headers, media_type="application/json")


async def _refuse_route(request: Request, wrong: Any) -> Response:
    """Say in the usual form what FastAPI says: of a path or a method that is not there, or of a body it cannot read."""
    nothing = f"there is no {request.method} {request.url.path[:200]}; /v1/docs tells what there is"
    refusal = RefusalError(wrong.status_code, nothing if wrong.status_code in (404, 405) else str(wrong.detail))
    return Response(refusal.body, wrong.status_code, headers=wrong.headers, media_type="application/json")


def _form_words(one: dict[str, Any]) -> str:
    """Say in a word what is wrong with one field of a form.

    >>> _form_words({"type": "missing", "loc": ("body", "reason"), "msg": "Field required", "input": {}})
    'reason is missing'
    """
    name = ".".join(map(str, one["loc"][1:])) or "the body"
    return f"{name} is missing" if one["type"] == "missing" else f"{name}: {one['msg']}"
