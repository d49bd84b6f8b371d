"""The serving app, made of its parts, and how to run it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import Response

from nightshift.predictions.commit import GroupCommit
from nightshift.predictions.segments import SegmentWriter, writer_name
from nightshift.serving.answers import RefusalError
from nightshift.serving.endpoints import add_endpoints
from nightshift.serving.loader import Champions, Loader, open_live
from nightshift.serving.metrics import Metrics
from nightshift.serving.predict import Message, Predict, Receive, Send, asked_model
from nightshift.settings import Settings

log = logging.getLogger(__name__)


class App:
    """One ASGI app: predictions on the hot path, everything else by FastAPI.

    With ``package`` it serves that folder only and asks no registry.
    """

    def __init__(self, settings: Settings, package: Path | None = None) -> None:
        self.settings = settings
        self.champions = Champions()
        self.metrics = Metrics(self._gauges)
        self._package = package
        self._logs: dict[str, GroupCommit] = {}
        self._loader = Loader(self.champions, settings)
        self._predict = Predict(self.champions, self._log_of, self.metrics)
        self.api = self._describe()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            model = asked_model(scope["path"])
            if model is not None:
                await self._predict(model, scope, receive, send)
                return
        await self.api(scope, receive, send)

    def _describe(self) -> FastAPI:
        api = FastAPI(title="Nightshift serving", version="1", lifespan=self._live, docs_url="/v1/docs", redoc_url=None,
                      openapi_url="/v1/openapi.json")  # fmt: skip
        api.add_exception_handler(RefusalError, _refuse)
        add_endpoints(api, champions=self.champions, metrics=self.metrics, reload=self._reload, troubles=self._troubles)
        return api

    @asynccontextmanager
    async def _live(self, _api: FastAPI) -> AsyncIterator[None]:
        """Open what can be opened before the first request, follow the registry, and leave nothing unwritten."""
        following: asyncio.Task[None] | None = None
        if self._package is not None:
            self.champions.put(await asyncio.to_thread(open_live, self._package))
        else:
            await asyncio.to_thread(self._loader.open_remembered)
            following = asyncio.create_task(self._loader.follow())
        yield
        if following is not None:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following
        for log_of in self._logs.values():
            await log_of.close()

    async def _reload(self, model: str) -> None:
        if self._package is None:
            await self._loader.look(model)

    def _log_of(self, model: str) -> GroupCommit:
        if model not in self._logs:
            writer = SegmentWriter(self.settings.predictions / model, name=writer_name(datetime.now(UTC)))
            self._logs[model] = GroupCommit(writer, sync=self.settings.log_fsync)
        return self._logs[model]

    def _troubles(self) -> dict[str, str]:
        failing = {f"log of {model}": written.failure for model, written in self._logs.items() if written.failure}
        return self.champions.troubles | failing

    def _gauges(self) -> Iterable[tuple[str, str, dict[str, float]]]:
        pending = {model: float(written.pending_bytes) for model, written in self._logs.items()}
        yield "nightshift_log_pending_bytes", "Bytes that wait for the disk.", pending


def create_app(settings: Settings, package: Path | None = None) -> App:
    """Return the ASGI app.

    Parameters
    ----------
    settings
        Folders, addresses, how durable the log is, how often to look for a champion.
    package
        Serve this package only, without a registry.
    """
    return App(settings, package)


def serve(settings: Settings, *, host: str, port: int, package: Path | None = None) -> None:
    """Serve until told to stop (SIGTERM, SIGINT); requests under way are answered first."""
    uvicorn.run(create_app(settings, package), host=host, port=port, log_level="warning", access_log=False,
                timeout_graceful_shutdown=10, server_header=False)  # fmt: skip


async def _refuse(_request: Request, refusal: Any) -> Response:
    headers = {name.decode(): value.decode() for name, value in refusal.headers.items()}
    return Response(refusal.body, status_code=refusal.status, headers=headers, media_type="application/json")
