"""A served model as tests need it: small and real, in this process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pyarrow as pa

from factories.model import a_spec, pack, rides
from nightshift.errors import NightshiftError, ReleaseError
from nightshift.files import write_text
from nightshift.model.train import train
from nightshift.predictions.record import Columns
from nightshift.profile.contract import Contract
from nightshift.profile.profile import Profile
from nightshift.serving.access import Role, new_key
from nightshift.serving.app import App
from nightshift.serving.validation import Door
from nightshift.settings import Settings
from nightshift.spec import Feature, Kind

FEATURES = {
    "distance": Feature(kind=Kind.NUMERIC),
    "speed": Feature(kind=Kind.NUMERIC, unseen="refuse"),
    "weather": Feature(kind=Kind.NUMERIC, missing="refuse"),
    "zone": Feature(kind=Kind.CATEGORICAL),
}
ROW: dict[str, Any] = {
    "ride_id": "r7",
    "at": "2013-05-01T10:00:00Z",
    "distance": 9.5,
    "speed": 20.0,
    "weather": 2.0,
    "zone": "east",
}
"""A row that is clean in every column."""

SPEC = """\
name: rides
purpose: What becomes of a ride?
owner: {team: city, contact: city@example.org}
task: binary
source: {path: rides/*.parquet}
key: ride_id
time: {column: at}
label: {column: outcome}
features: {distance: numeric}
split: {train: 60d, validation: 20d, test: 20d}
"""
"""What serving reads of a declaration: that there is a model of this name."""


def a_contract(task: str = "binary", **changes: Feature) -> Contract:
    """Return the contract of ``rides``: weather may not be null, speed not unseen."""
    spec = a_spec(task, features={**FEATURES, **changes})
    return Contract.derive(Profile.of(rides(task), spec.kinds), spec.features)


def a_package(folder: Path, task: str = "binary", **changes: Any) -> Path:
    """Write a package of ``rides`` with its contract into ``folder`` and return it."""
    pack(folder, task, **({"contract": a_contract(task).to_json()} | changes))
    return folder


def another_package(folder: Path) -> Path:
    """Write a package of the same model that answers otherwise."""
    return a_package(folder, model=train(rides(seed=9, noise=3.0), rides(rows=400, seed=10), a_spec()))


def declare(project: Path) -> None:
    """Write the declaration of ``rides`` where serving looks for it."""
    write_text(project / "include" / "specs" / "rides.yaml", SPEC)


@cache
def a_door(task: str = "binary") -> Door:
    """Return the door of ``rides``, without a model behind it."""
    contract = a_contract(task)
    columns = Columns(
        "rides", "1", "ab" * 32, task, {rule.name: str(rule.kind) for rule in contract.columns}, "ride_id", "at"
    )
    return Door(columns, contract, {rule.name: rule.categories for rule in contract.columns if rule.categories})


def callers_rows(count: int, *, seed: int = 3) -> list[dict[str, Any]]:
    """Return clean rows as a caller would send them, one in ten without a distance."""
    rows = rides(rows=4 * count, seed=seed).dropna(subset=["speed", "weather"]).head(count)
    rows = rows.drop(columns="outcome").assign(at=rows["at"].map(pd.Timestamp.isoformat))
    rows["speed"] = rows["speed"].clip(1, 60)
    listed: list[dict[str, Any]] = rows.astype(object).where(rows.notna(), None).to_dict("records")
    return [{name: _plain(value) for name, value in row.items()} for row in listed]


def stream(table: pa.Table, **options: Any) -> bytes:
    """Return a table as an Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    written: bytes = sink.getvalue().to_pybytes()
    return written


def some_settings(folder: Path, **changes: Any) -> Settings:
    """Return settings with all state below ``folder``."""
    return Settings.load(project=folder, state=folder / "state", **changes)


def key_file(folder: Path, *roles: Role, per_second: float | None = None) -> tuple[Path, bytes]:
    """Return a file with one key that has ``roles``, and its secret."""
    secret, line = new_key("tester", *roles, per_second=per_second)
    path = folder / "keys"
    path.write_text(line + "\n")
    return path, secret.encode()


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


@dataclass(frozen=True)
class FakeRelease:
    version: str


@dataclass
class FakeRegistry:
    """A registry that knows what a test tells it: packages by version, and which one is champion."""

    packages: dict[str, Path]
    alias: str | None = None
    trouble: NightshiftError | None = None

    def champion(self, model: str) -> FakeRelease | None:
        if self.trouble:
            raise self.trouble
        return FakeRelease(self.alias) if model == "rides" and self.alias else None

    def versions(self, model: str) -> list[FakeRelease]:
        return [FakeRelease(version) for version in self.packages]

    def fetch(self, model: str, version: str) -> Path:
        if version not in self.packages:
            raise ReleaseError(f"{model} has no version {version}")
        return self.packages[version]


@asynccontextmanager
async def in_process(app: App) -> AsyncIterator[httpx.AsyncClient]:
    """Run the app in this process, without a socket, from its start to its end."""
    async with app.api.router.lifespan_context(app.api):
        transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # ours takes mutable mappings
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            yield http
