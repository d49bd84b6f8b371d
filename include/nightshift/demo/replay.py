"""Days of the past, asked again through the front door."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import httpx
import pandas as pd

from nightshift.data.source import load_source
from nightshift.data.tables import assemble_live, events_of
from nightshift.errors import ServiceError, UnavailableError
from nightshift.pipelines.recipe import recipe, service_of
from nightshift.settings import Settings
from nightshift.spec import ModelSpec

ROWS_A_REQUEST = 1000
ANSWER_SECONDS = 60.0


def callers_rows(spec: ModelSpec, settings: Settings, *, start: datetime, end: datetime) -> pd.DataFrame:
    """Return the events of [start, end) as a caller would have known them: features, key and time, no label."""
    source = load_source(spec, settings.sources, settings.project)
    rows = assemble_live(source, spec, recipe(spec, settings), start=start, end=end, lookback=spec.time.lookback)
    return rows.drop(columns=[spec.label.column], errors="ignore")


def callers_entities(spec: ModelSpec, settings: Settings, *, start: datetime, end: datetime) -> pd.DataFrame:
    """Return the events of [start, end) as a caller names them to a feature service: keys and what only he knows.

    The rows of :func:`callers_rows`, if the model has no service.
    """
    service = service_of(spec, settings)
    if service is None:
        return callers_rows(spec, settings, start=start, end=end)
    source = load_source(spec, settings.sources, settings.project)
    events = events_of(source.extract(start, end), spec).sort_values([spec.time.column, spec.key], ignore_index=True)
    return events[list(dict.fromkeys([spec.key, spec.time.column, *service.keys, *service.request]))]


def ask(url: str, spec: ModelSpec, rows: pd.DataFrame) -> Iterator[tuple[int, str]]:
    """Send ``rows`` to the serving app and yield (rows answered, version) for each request.

    The request id is made from the rows' keys, so rows asked twice count once.

    Raises
    ------
    UnavailableError
        If the app does not answer.
    ServiceError
        If it refuses the rows; its problems are in the message.
    """
    with httpx.Client(base_url=url, timeout=ANSWER_SECONDS) as http:
        for first in range(0, len(rows), ROWS_A_REQUEST):
            batch = rows.iloc[first : first + ROWS_A_REQUEST]
            content = json.dumps({_named(spec, batch): _as_sent(batch)}, allow_nan=False)
            try:
                answer = http.post(
                    f"/v1/models/{spec.name}/predict",
                    content=content,
                    headers={"Content-Type": "application/json", "X-Request-Id": _request_id(spec, batch)},
                )
            except httpx.HTTPError as error:
                raise UnavailableError(f"serving at {url} did not answer: {error}. Is it up? `make status`") from error
            if answer.is_error:
                raise ServiceError(f"serving refused {len(batch)} rows: {answer.status_code} {answer.text[:1000]}")
            yield len(batch), str(answer.json()["version"])


def _named(spec: ModelSpec, batch: pd.DataFrame) -> str:
    """Return what these rows are to the app: rows if they have every feature, else entities."""
    return "rows" if set(spec.features) <= set(batch.columns) else "entities"


def _as_sent(batch: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as JSON holds them, to the last bit: a rounded number is a value that training never saw."""
    plain = batch.astype(object).where(batch.notna(), None)
    for name in batch.select_dtypes("datetimetz").columns:
        plain[name] = [None if pd.isna(moment) else moment.isoformat() for moment in batch[name]]
    return [{str(name): value for name, value in row.items()} for row in plain.to_dict("records")]


def _request_id(spec: ModelSpec, batch: pd.DataFrame) -> str:
    return f"replay-{batch[spec.key].iloc[0]}-{batch[spec.key].iloc[-1]}-{len(batch)}"
