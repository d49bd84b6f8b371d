"""The page with doors that a test opens and closes, and a browser without a screen to ask it."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sql
from fastapi import FastAPI, HTTPException, Request

from factories.spec import write_spec
from factories.spine import DAY, a_day
from nightshift.files import canonical_json
from nightshift.ledger import ENTRIES, Ledger
from nightshift.registry import ModelRegistry
from nightshift.settings import Settings
from nightshift_page.app import make_app
from nightshift_page.doors import PIPELINES, Plan

NOW = datetime(2013, 4, 12, 8, tzinfo=UTC)
PREFIX = "/nightshift"
MOMENT = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass
class FakeDoors:
    """Doors like Airflow's: callers say who they are in a header; ``hidden`` models are nobody's business."""

    hidden: set[str] = field(default_factory=set)
    starts: set[str] = field(default_factory=lambda: set(PIPELINES))
    planned: dict[str, Plan] = field(default_factory=dict)

    @property
    def user(self) -> Callable[..., Any]:
        def signed_in(request: Request) -> str:
            if "x-user" not in request.headers:
                raise HTTPException(401, "Not authenticated")
            return request.headers["x-user"]

        return signed_in

    def may_see(self, user: Any, models: Collection[str]) -> set[str]:
        return set(models) - self.hidden

    def may_start(self, user: Any, model: str) -> set[str]:
        return self.starts

    def plans(self, models: Collection[str]) -> Mapping[str, Plan]:
        dags = {f"{pipeline}_{model}" for model in models for pipeline in PIPELINES}
        return {dag: self.planned.get(dag, a_plan(dag)) for dag in dags}


def a_plan(dag: str = "monitor_bikes", **changes: Any) -> Plan:
    """Return the plan of a DAG that is healthy and runs by hand; ``changes`` replace parts of it."""
    usual = {"is_paused": False, "next_at": None, "last_state": "success", "last_run": "r", "last_at": NOW}
    return Plan(dag=dag, **(usual | changes))


def some_settings(folder: Path, *, declared: bool = True) -> Settings:
    """Return settings of an installation in ``folder`` that declares ``bikes``, or nothing."""
    specs = folder / "include" / "specs"
    specs.mkdir(parents=True, exist_ok=True)
    if declared:
        write_spec(specs)
    return Settings.load(state=folder / "state", specs=specs)


@dataclass(frozen=True)
class Caller:
    """Asks the page, mounted as Airflow mounts it, as ``user``; nobody is signed in if that is empty."""

    settings: Settings
    doors: FakeDoors = field(default_factory=FakeDoors)
    user: str = "ada"
    registry: ModelRegistry | None = None

    @cached_property
    def house(self) -> FastAPI:
        house = FastAPI()
        house.mount(PREFIX, make_app(self.doors, self.settings, clock=lambda: NOW, registry=self.registry))
        return house

    def get(self, path: str) -> httpx.Response:
        async def ask() -> httpx.Response:
            head = {"x-user": self.user} if self.user else {}
            there = httpx.ASGITransport(app=self.house, raise_app_exceptions=True)
            async with httpx.AsyncClient(transport=there, base_url="http://airflow", headers=head) as client:
                return await client.get(PREFIX + path)

        return asyncio.run(ask())


def many_windows(url: str, *, models: Collection[str], days: int, body: Mapping[str, Any]) -> None:
    """Put a window of each of so many days into the ledger for each model, all at once: one by one takes minutes."""
    Ledger(url)  # makes the tables
    starts = [a_day(number) for number in range(days)]
    rows = [
        {
            "model": model, "kind": "window", "start": f"{start:{MOMENT}}", "end": f"{start + DAY:{MOMENT}}",
            "at": f"{start + 2 * DAY:{MOMENT}}", "body": canonical_json({**body, "day": number}).decode(),
        }
        for model in models
        for number, start in enumerate(starts)
    ]  # fmt: skip
    engine = sql.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sql.insert(ENTRIES), rows)
    engine.dispose()
