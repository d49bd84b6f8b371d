"""Everything but predictions: models, health, metrics, administration."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Path, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from nightshift.errors import NightshiftError, UnavailableError
from nightshift.serving import page
from nightshift.serving.access import Access, Role
from nightshift.serving.answers import RefusalError
from nightshift.serving.describe import Pin, describe_predict
from nightshift.serving.loader import Champions, Live, Loader
from nightshift.serving.metrics import Metrics

OPENAPI = "/v1/openapi.json"
ModelName = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_]{0,62}$", description="Name of a served model.")]


def add_endpoints(
    api: FastAPI,
    *,
    champions: Champions,
    metrics: Metrics,
    access: Access,
    loader: Loader | None,
    troubles: Callable[[], dict[str, str]],
) -> None:
    """Put the routes on ``api``.

    Parameters
    ----------
    champions
        Who answers.
    metrics
        What ``/metrics`` shows.
    access
        Who may call; health is open to all.
    loader
        Fetches versions; none if one package is served, which nobody replaces.
    troubles
        What is wrong though answers go on, by what it is about.
    """
    describe_predict(api)
    _add_models(api, champions, access)
    _add_health(api, champions, troubles)
    _add_administration(api, champions, access, loader)
    _add_description(api, access)
    registry = metrics.registry()

    @api.get(
        "/metrics", summary="Prometheus metrics", response_class=Response, dependencies=[_needs(access, Role.READ)]
    )
    async def show_metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


def _add_description(api: FastAPI, access: Access) -> None:
    needs_read = [_needs(access, Role.READ)]

    @api.get(OPENAPI, include_in_schema=False, dependencies=needs_read)
    async def openapi() -> dict[str, Any]:
        return api.openapi()

    @api.get("/v1/docs", include_in_schema=False, dependencies=needs_read)
    async def docs() -> HTMLResponse:
        return HTMLResponse(page.show(api.openapi(), openapi=OPENAPI), headers=page.HEADERS)


def _add_models(api: FastAPI, champions: Champions, access: Access) -> None:
    @api.get("/v1/models", summary="Models that are served", dependencies=[_needs(access, Role.READ)])
    async def models() -> dict[str, list[dict[str, Any]]]:
        return {"models": [_in_short(live) for live in champions.all()]}

    @api.get(
        "/v1/models/{model}",
        summary="One model: its version, its columns, and the contract its rows must keep",
        dependencies=[_needs(access, Role.READ)],
    )
    async def model(model: ModelName) -> dict[str, Any]:
        return _in_full(_found(champions, model))


def _add_health(api: FastAPI, champions: Champions, troubles: Callable[[], dict[str, str]]) -> None:
    @api.get("/v1/health/live", summary="The process answers")
    async def live() -> dict[str, str]:
        return {"status": "live"}

    @api.get("/v1/health/ready", summary="There is a model to answer with; degraded names what is wrong")
    async def ready() -> JSONResponse:
        wrong = sorted(troubles())
        if not champions.all():
            return JSONResponse({"status": "no model", "troubles": wrong}, status_code=503)
        return JSONResponse({"status": "degraded" if wrong else "ready", "troubles": wrong})


def _add_administration(api: FastAPI, champions: Champions, access: Access, loader: Loader | None) -> None:
    needs_admin = [_needs(access, Role.ADMIN)]

    @api.post("/v1/models/{model}/reload", summary="Look for a new champion now", dependencies=needs_admin)
    async def reload(model: ModelName) -> dict[str, Any]:
        if loader is not None:
            await loader.look(model)
        trouble = champions.troubles.get(model)
        if trouble:
            raise RefusalError(503, trouble, headers={b"retry-after": b"5"})
        return _in_short(_found(champions, model))

    @api.put("/v1/models/{model}/pin", summary="Let one version answer, whoever is champion", dependencies=needs_admin)
    async def pin(model: ModelName, body: Pin) -> dict[str, Any]:
        _found(champions, model)
        if loader is None:
            raise RefusalError(409, "one package is served, without a registry; there is nothing to pin")
        try:
            await loader.pin(model, body.version)
        except UnavailableError as error:
            raise RefusalError(503, str(error), headers={b"retry-after": b"5"}) from None
        except NightshiftError as error:
            raise RefusalError(409, str(error)) from None
        return _in_short(_found(champions, model))

    @api.delete("/v1/models/{model}/pin", summary="Follow the champion again", dependencies=needs_admin)
    async def unpin(model: ModelName) -> dict[str, Any]:
        _found(champions, model)
        if loader is not None:
            await loader.unpin(model)
            await loader.look(model)
        return _in_short(_found(champions, model))


def _needs(access: Access, role: Role) -> Any:
    async def check(request: Request) -> None:
        given = request.headers.get("authorization")
        access.check(given.encode("latin-1") if given else None, role)

    return Depends(check)


def _found(champions: Champions, model: str) -> Live:
    live = champions.get(model)
    if live is None:
        known = ", ".join(live.model for live in champions.all()) or "none"
        raise RefusalError(404, f"no model is called {model!r}; served are: {known}")
    return live


def _in_short(live: Live) -> dict[str, Any]:
    return {
        "name": live.model,
        "version": live.version,
        "pinned": live.is_pinned,
        "task": live.columns.task,
        "since": live.since.isoformat(),
    }


def _in_full(live: Live) -> dict[str, Any]:
    return {
        **_in_short(live),
        "package": live.columns.package,
        "key": live.columns.key,
        "time": live.columns.time,
        "classes": list(live.columns.classes),
        "columns": live.columns.kinds,
        "contract": live.package.contract,
    }
