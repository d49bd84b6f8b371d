"""Everything but predictions: models, health, metrics, administration, and the description of the API."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import FastAPI, Path, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from nightshift.serving.answers import RefusalError
from nightshift.serving.loader import Champions, Live
from nightshift.serving.metrics import Metrics

ModelName = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_]{0,62}$", description="Name of a served model.")]


def add_endpoints(
    api: FastAPI, *, champions: Champions, metrics: Metrics, reload: Callable[[str], Awaitable[None]],
    troubles: Callable[[], dict[str, str]],
) -> None:  # fmt: skip
    """Put the routes on ``api``.

    Parameters
    ----------
    champions
        Who answers.
    metrics
        What ``/metrics`` shows.
    reload
        Looks for a new champion of one model at once.
    troubles
        What is wrong though answers go on, by what it is about.
    """
    registry = metrics.registry()

    @api.get("/v1/models", summary="Models that are served")
    async def models() -> dict[str, list[dict[str, Any]]]:
        return {"models": [_short(live) for live in champions.all()]}

    @api.get("/v1/models/{model}", summary="One model: version, contract, where its card is")
    async def model(model: ModelName) -> dict[str, Any]:
        return _whole(_found(champions, model))

    @api.post("/v1/models/{model}/reload", summary="Look for a new champion now")
    async def reload_model(model: ModelName) -> dict[str, Any]:
        await reload(model)
        trouble = champions.troubles.get(model)
        if trouble:
            raise RefusalError(503, trouble, headers={b"retry-after": b"5"})
        return _short(_found(champions, model))

    @api.get("/v1/health/live", summary="The process answers")
    async def live() -> dict[str, str]:
        return {"status": "live"}

    @api.get("/v1/health/ready", summary="There is a model to answer with; degraded names what is wrong")
    async def ready() -> JSONResponse:
        wrong = troubles()
        if not champions.all():
            return JSONResponse({"status": "no model", "troubles": wrong}, status_code=503)
        return JSONResponse({"status": "degraded" if wrong else "ready", "troubles": wrong})

    @api.get("/metrics", summary="Prometheus metrics", response_class=Response)
    async def show_metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


def _found(champions: Champions, model: str) -> Live:
    live = champions.get(model)
    if live is None:
        known = ", ".join(live.model for live in champions.all()) or "none"
        raise RefusalError(404, f"no model is called {model!r}; served are: {known}")
    return live


def _short(live: Live) -> dict[str, Any]:
    return {"name": live.model, "version": live.version, "task": live.columns.task, "since": live.since.isoformat()}


def _whole(live: Live) -> dict[str, Any]:
    return {
        **_short(live),
        "package": live.columns.package,
        "key": live.columns.key,
        "time": live.columns.time,
        "classes": list(live.columns.classes),
        "columns": live.columns.kinds,
        "contract": live.package.contract,
    }
