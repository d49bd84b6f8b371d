"""The page's routes: each asks the doors first, reads through `nightshift`, and renders."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, status
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException as AnyHTTPException

from nightshift.errors import NightshiftError, ReleaseError, UnavailableError
from nightshift.registry import ModelRegistry
from nightshift.registry.release import VERSION
from nightshift.settings import Settings
from nightshift.spec import NAME
from nightshift.views.docs import docs_of
from nightshift.views.glance import glances
from nightshift.views.lines import line_of
from nightshift.views.model import ModelView, model_view
from nightshift.views.reading import LedgerReader
from nightshift_page.doors import PIPELINES, Doors
from nightshift_page.guard import DOCS_POLICY, Guard, policy_for
from nightshift_page.render import STATIC, render, static

NIGHTS = (30, 60, 120, 365)
"""How many windows a person may look back on at once."""
LINES = 100
RECORDS = {"card": "card.html", "certificate": "certificate.html"}
"""Pages that a release carries with it."""
REGISTRY_SECONDS = 5.0
Clock = Callable[[], datetime]


def make_app(
    doors: Doors,
    settings: Settings,
    *,
    clock: Clock = lambda: datetime.now(UTC),
    registry: ModelRegistry | None = None,
) -> FastAPI:
    """Return the page as an application; nothing of it, not even a style sheet, is sent to who is not signed in."""
    registry = registry or ModelRegistry(settings.mlflow, settings.releases, wait_seconds=REGISTRY_SECONDS)
    app = FastAPI(title="Models", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guard)
    app.include_router(_Page(doors, settings, clock, registry).router())
    app.add_exception_handler(AnyHTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _unread)
    app.add_exception_handler(NightshiftError, _failed)
    return app


class _Page:
    """What the routes share; each is a few lines."""

    def __init__(self, doors: Doors, settings: Settings, clock: Clock, registry: ModelRegistry) -> None:
        self.doors, self.settings, self.clock, self.registry = doors, settings, clock, registry

    def router(self) -> APIRouter:
        user = Depends(self.doors.user)
        router = APIRouter(dependencies=[user], default_response_class=HTMLResponse)

        @router.get("/")
        def models(request: Request, user: Annotated[Any, user]) -> HTMLResponse:
            return self.models(request, user)

        @router.get("/models/{model}")
        def model(
            request: Request,
            user: Annotated[Any, user],
            model: str,
            window: Annotated[int | None, Query(ge=0, le=2**62)] = None,
            column: str | None = None,
            nights: Annotated[int, Query(ge=1, le=NIGHTS[-1])] = 60,
        ) -> HTMLResponse:
            return self.model(request, user, model, nights=nights, window=window, column=column)

        @router.get("/models/{model}/ledger")
        def ledger(
            request: Request,
            user: Annotated[Any, user],
            model: str,
            before: Annotated[int | None, Query(ge=0, le=2**62)] = None,
        ) -> HTMLResponse:
            return self.ledger(request, user, model, before)

        @router.get("/models/{model}/versions/{version}/{record}")
        def record(user: Annotated[Any, user], model: str, version: str, record: str) -> HTMLResponse:
            return self.record(user, model, version, record)

        @router.get("/models/{model}/runs/{pipeline}/{run}/docs")
        def docs(user: Annotated[Any, user], model: str, pipeline: str, run: str) -> HTMLResponse:
            return self.docs(user, model, f"{pipeline}/{run}")

        @router.get("/dags/{dag_id}")
        def dag(request: Request, user: Annotated[Any, user], dag_id: str) -> HTMLResponse:
            return self.dag(request, user, dag_id)

        @router.get("/static/{name}")
        def file(name: str) -> Response:
            return _static(name)

        return router

    def models(self, request: Request, user: Any) -> HTMLResponse:
        """Return all models the user may see."""
        found = glances(self.settings, _ledger(self.settings.ledger))
        seen = self.doors.may_see(user, [one.name for one in found])
        shown = [one for one in found if one.name in seen]
        plans = self.doors.plans([one.name for one in shown])
        return self._page(request, "models.html.j2", models=shown, plans=plans, hidden=len(found) - len(shown))

    def model(self, request: Request, user: Any, model: str, **asked: Any) -> HTMLResponse:
        """Return a model's page, or 404 for who may not know of it."""
        self._check(user, model)
        view = model_view(self.settings, _ledger(self.settings.ledger), model, **asked)
        if view is None:
            raise _unknown(model)
        return self._model(request, user, view, nights=asked.get("nights", 60))

    def ledger(self, request: Request, user: Any, model: str, before: int | None) -> HTMLResponse:
        """Return a model's ledger, newest first, from one entry on."""
        self._check(user, model)
        found = _ledger(self.settings.ledger).newest(model, LINES + 1, before=before)
        lines = [line_of(entry) for entry in found[:LINES]]
        older = lines[-1].entry if len(found) > LINES else None
        return self._page(request, "ledger.html.j2", model=model, lines=lines, older=older, is_newest=before is None)

    def record(self, user: Any, model: str, version: str, record: str) -> HTMLResponse:
        """Return a page that a release carries with it, as it was registered."""
        self._check(user, model)
        if record not in RECORDS or not re.fullmatch(VERSION, version) or not re.fullmatch(NAME, model):
            raise HTTPException(status.HTTP_404_NOT_FOUND, "There is no such record.")
        try:
            page = Path(self.registry.evidence(model, version, RECORDS[record])).read_text()
        except ReleaseError as error:
            raise HTTPException(status.HTTP_404_NOT_FOUND, str(error)) from None
        return HTMLResponse(page, headers={"content-security-policy": policy_for(page)})

    def docs(self, user: Any, model: str, run: str) -> HTMLResponse:
        """Return the Data Docs of a run: how its rows kept the contract, as Great Expectations tells it."""
        self._check(user, model)
        page = docs_of(self.settings, model, run)
        if page is None:
            raise HTTPException(status.HTTP_404_NOT_FOUND, f"The run {run} of {model} left no Data Docs, or is gone.")
        # in a sandbox a page is a stranger, for whom no browser sends the cookie that a style sheet asks for
        look = f"<style>{static('docs.css')[0].decode()}</style></head>"
        content = page.read_text().replace("</head>", look, 1)
        return HTMLResponse(content, headers={"content-security-policy": DOCS_POLICY})

    def dag(self, request: Request, user: Any, dag_id: str) -> HTMLResponse:
        """Return the tab of a DAG: the page of its model."""
        pipeline, _, model = dag_id.partition("_")
        if pipeline not in PIPELINES or not re.fullmatch(NAME, model):
            raise HTTPException(
                status.HTTP_404_NOT_FOUND, f"{dag_id} is no DAG of a model that Nightshift looks after."
            )
        return self.model(request, user, model)

    def _model(self, request: Request, user: Any, view: ModelView, *, nights: int) -> HTMLResponse:
        name = view.glance.name
        return self._page(
            request,
            "model.html.j2",
            view=view,
            plans=self.doors.plans([name]),
            may=self.doors.may_start(user, name),
            nights=nights,
            ranges=NIGHTS,
        )

    def _check(self, user: Any, model: str) -> None:
        # what no database takes as text is no name either
        if not model.isprintable() or model not in self.doors.may_see(user, [model]):
            raise _unknown(model)

    def _page(self, request: Request, template: str, **values: Any) -> HTMLResponse:
        root = request.scope.get("root_path", "").rstrip("/")
        return HTMLResponse(render(template, root=root, now=self.clock(), **values))


@lru_cache(maxsize=4)
def _ledger(url: str) -> LedgerReader:
    return LedgerReader(url)


def _unknown(model: str) -> HTTPException:
    # who may not see a model does not learn either that there is one
    return HTTPException(status.HTTP_404_NOT_FOUND, f"There is no model called {model}, or you may not see it.")


def _static(name: str) -> Response:
    if name not in STATIC:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "There is no such file.")
    kept = {"cache-control": "private, max-age=31536000, immutable"}
    return Response(static(name)[0], media_type=STATIC[name], headers=kept)


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, AnyHTTPException)
    if error.status_code == status.HTTP_401_UNAUTHORIZED:
        return _sorry(request, 401, "You are not signed in.", "Your time may have run out. Sign in, then come back.")
    titles = {403: "That is not yours to see.", 404: "Nothing is here."}
    return _sorry(request, error.status_code, titles.get(error.status_code, "That did not work."), str(error.detail))


def _unread(request: Request, _: Exception) -> Response:
    return _sorry(request, 422, "That address cannot be read.", "Something in it is no number, or too large a one.")


def _failed(request: Request, error: Exception) -> Response:
    if isinstance(error, UnavailableError):
        return _sorry(request, status.HTTP_503_SERVICE_UNAVAILABLE, "Something does not answer.", str(error))
    return _sorry(request, status.HTTP_500_INTERNAL_SERVER_ERROR, "The page cannot be shown.", str(error))


def _sorry(request: Request, code: int, title: str, words: str) -> HTMLResponse:
    root = request.scope.get("root_path", "").rstrip("/")
    page = render("sorry.html.j2", root=root, now=datetime.now(UTC), title=title, words=words, code=code)
    return HTMLResponse(page, status_code=code)
