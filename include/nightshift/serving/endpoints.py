"""Everything but predictions: models, health, metrics, administration."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Path, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from nightshift.errors import NightshiftError, UnavailableError
from nightshift.predictions.pinned import Pinned
from nightshift.serving import page
from nightshift.serving.access import Access, Key, Role
from nightshift.serving.answers import RefusalError
from nightshift.serving.describe import KEYED, SECURED, Pin, describe_predict, described, refusals
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
    _add_models(api, champions, access, troubles)
    _add_health(api, champions, troubles)
    _add_administration(api, champions, access, loader)
    _add_description(api, access)
    registry = metrics.registry()

    @api.get(
        "/metrics",
        summary="Prometheus metrics",
        response_class=Response,
        dependencies=[_needs(access, Role.READ)],
        responses=refusals(*KEYED),
        openapi_extra=SECURED,
    )
    async def show_metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


def _add_description(api: FastAPI, access: Access) -> None:
    needs_any = [_needs(access, *Role)]

    @api.get(OPENAPI, include_in_schema=False, dependencies=needs_any)
    async def openapi() -> dict[str, Any]:
        return described(api)

    @api.get("/v1/docs", include_in_schema=False, dependencies=needs_any)
    async def docs() -> HTMLResponse:
        return HTMLResponse(page.show(described(api), openapi=OPENAPI), headers=page.HEADERS)


def _add_models(api: FastAPI, champions: Champions, access: Access, troubles: Callable[[], dict[str, str]]) -> None:
    needs_any = [_needs(access, *Role)]

    @api.get(
        "/v1/models",
        summary="Models that are served, and what is wrong though answers go on",
        dependencies=needs_any,
        responses=refusals(*KEYED),
        openapi_extra=SECURED,
    )
    async def models() -> dict[str, Any]:
        return {"models": [_in_short(champions, live) for live in champions.all()], "troubles": troubles()}

    @api.get(
        "/v1/models/{model}",
        summary="One model: its version, its columns, and the contract its rows must keep",
        dependencies=needs_any,
        responses=refusals(*KEYED, 404, 422),
        openapi_extra=SECURED,
    )
    async def model(model: ModelName) -> dict[str, Any]:
        return _in_full(champions, _found(champions, model))


def _add_health(api: FastAPI, champions: Champions, troubles: Callable[[], dict[str, str]]) -> None:
    @api.head("/v1/health/live", include_in_schema=False)
    @api.get("/v1/health/live", summary="The process answers")
    async def live() -> dict[str, str]:
        return {"status": "live"}

    @api.head("/v1/health/ready", include_in_schema=False)
    @api.get(
        "/v1/health/ready",
        summary="There is a model to answer with; degraded names what is wrong, and GET /v1/models says why",
        responses={503: {"description": "No model has a champion yet: build one."}},
    )
    async def ready() -> JSONResponse:
        wrong, served = sorted(troubles()), champions.all()
        pinned = {live.model: live.version for live in served if live.pinned}
        status = "no model" if not served else "degraded" if wrong else "ready"
        return JSONResponse({"status": status, "troubles": wrong, "pinned": pinned}, 200 if served else 503)


def _add_administration(api: FastAPI, champions: Champions, access: Access, loader: Loader | None) -> None:
    admin = _needs(access, Role.ADMIN)

    told: Any = {"responses": refusals(*KEYED, 404, 409, 422, 503), "openapi_extra": SECURED}

    @api.post("/v1/models/{model}/reload", summary="Look for a new champion now", dependencies=[admin], **told)
    async def reload(model: ModelName) -> dict[str, Any]:
        if loader is not None and model in loader.names():
            await loader.look(model)
        trouble = champions.troubles.get(model)
        if trouble:
            raise RefusalError(503, trouble, headers={b"retry-after": b"5"})
        return _in_short(champions, _found(champions, model))

    @api.put("/v1/models/{model}/pin", summary="Let one version answer, whoever is champion", **told)
    async def pin(model: ModelName, body: Pin, caller: Annotated[Key, admin]) -> dict[str, Any]:
        _expected(champions, loader, model)
        if loader is None:
            raise RefusalError(409, "one package is served, without a registry; there is nothing to pin")
        try:
            await loader.pin(model, Pinned(body.version, caller.name, body.reason, datetime.now(UTC)))
        except UnavailableError as error:
            raise RefusalError(503, str(error), headers={b"retry-after": b"5"}) from None
        except NightshiftError as error:
            raise RefusalError(409, str(error)) from None
        return _in_short(champions, _found(champions, model))

    @api.delete("/v1/models/{model}/pin", summary="Follow the champion again", **told)
    async def unpin(model: ModelName, caller: Annotated[Key, admin]) -> dict[str, Any]:
        _expected(champions, loader, model)
        if loader is not None:
            await loader.unpin(model, by=caller.name)
            await loader.look(model)
        return _in_short(champions, _found(champions, model))


def _needs(access: Access, *roles: Role) -> Any:
    async def check(request: Request) -> Key:
        return access.check(dict(request.headers.raw), *roles)

    return Depends(check)


def _expected(champions: Champions, loader: Loader | None, model: str) -> None:
    """Refuse a model that is neither declared nor served; one that is declared may have a pin and nobody to answer."""
    if loader is None or model not in loader.names():
        _found(champions, model)


def _found(champions: Champions, model: str) -> Live:
    live = champions.get(model)
    if live is None:
        known = ", ".join(live.model for live in champions.all()) or "none"
        raise RefusalError(404, f"no model is called {model!r}; served are: {known}")
    return live


def _in_short(champions: Champions, live: Live) -> dict[str, Any]:
    challenger = champions.challengers.get(live.model)
    return {
        "name": live.model,
        "version": live.version,
        "pinned": live.pinned.to_json() if live.pinned else None,
        "challenger": challenger.version if challenger else None,
        "task": live.columns.task,
        "since": live.since.isoformat(),
    }


def _in_full(champions: Champions, live: Live) -> dict[str, Any]:
    return {
        **_in_short(champions, live),
        "package": live.columns.package,
        "key": live.columns.key,
        "time": live.columns.time,
        "classes": list(live.columns.classes),
        "columns": live.columns.kinds,
        "entity": live.lookup.needed,
        "contract": live.package.contract,
    }
