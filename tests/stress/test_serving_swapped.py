"""While one champion after another is promoted in a real registry, nobody's answer is lost or of two models."""

import asyncio
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from factories.mlflow import mlflow_server
from factories.registry import candidate
from factories.servers import Server
from factories.serving import a_package, another_package, callers_rows, declare
from nightshift.files import file_digest
from nightshift.model.package import open_package
from nightshift.registry import ModelRegistry

SWAPS = 100 if os.environ.get("NIGHTSHIFT_TEST_LONG") else 6
CALLERS = 4
PER_SECOND = 200
PATIENCE_SECONDS = 20.0
PREDICT, MODEL = "/v1/models/rides/predict", "/v1/models/rides"


@dataclass
class Told:
    """What callers were told: (the version that answered, the ride's number, the probability) by prediction id."""

    answers: dict[str, tuple[str, int, float]] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)
    is_over: bool = False


@pytest.mark.timeout(120 + 10 * SWAPS)
def test_each_answer_is_whole_and_of_the_version_it_names(tmp_path: Path) -> None:
    declare(tmp_path)
    packages = [a_package(tmp_path / "a" / "package"), another_package(tmp_path / "b" / "package")]
    rows = callers_rows(200)
    told = Told()
    with mlflow_server(tmp_path / "mlflow") as mlflow:
        registry = ModelRegistry(mlflow.url, tmp_path / "cache", wait_seconds=20)
        versions = [register(registry, package) for package in packages]
        registry.promote("rides", versions[0], tags={})
        server = Server(tmp_path, None, mlflow=mlflow.url)
        server.start()
        try:
            asyncio.run(swap_under_load(server, registry, versions, rows, told))
        finally:
            server.stop()

    expected = {
        version: [float(one) for one in open_package(package).predict(rows)]
        for version, package in zip(versions, packages, strict=True)
    }
    kept = server.remembered().set_index("prediction_id")
    assert set(told.statuses) == {200}
    assert {version for version, _, _ in told.answers.values()} == set(versions)
    assert kept.index.is_unique
    assert set(kept.index) == set(told.answers)
    for name, (version, ride, probability) in told.answers.items():
        assert probability == pytest.approx(expected[version][ride], abs=1e-6)
        assert (kept.at[name, "version"], kept.at[name, "probability"]) == (version, probability)


def register(registry: ModelRegistry, package: Path) -> str:
    digest = file_digest(package / "manifest.json")
    given = candidate(package.parent / "candidate", lineage=package.parent.name)
    return registry.register("rides", **(given | {"package": package, "package_digest": digest})).version


async def swap_under_load(
    server: Server, registry: ModelRegistry, versions: list[str], rows: list[dict[str, Any]], told: Told
) -> None:
    async with httpx.AsyncClient(base_url=server.url, timeout=10) as http:
        calling = [asyncio.create_task(ask(http, rows, told, first=number)) for number in range(CALLERS)]
        for swap in range(1, SWAPS + 1):
            version = versions[swap % 2]
            await asyncio.to_thread(registry.promote, "rides", version, tags={})
            await until_answers(http, version)
            await asyncio.sleep(0.1)
        told.is_over = True
        await asyncio.gather(*calling)


async def ask(http: httpx.AsyncClient, rows: list[dict[str, Any]], told: Told, *, first: int) -> None:
    """Ask at a steady pace, single rows and small batches in turn, until told that it is over."""
    began, count = time.perf_counter(), 0
    while not told.is_over:
        rides = [(first + CALLERS * count + step) % len(rows) for step in range(1 + count % 3)]
        answer = await http.post(PREDICT, json={"rows": [rows[ride] for ride in rides]})
        told.statuses.append(answer.status_code)
        content = json.loads(answer.content)
        for ride, one in zip(rides, content["predictions"], strict=True):
            told.answers[one["prediction_id"]] = (content["version"], ride, one["probability"])
        count += 1
        await asyncio.sleep(max(0.0, began + count * CALLERS / PER_SECOND - time.perf_counter()))


async def until_answers(http: httpx.AsyncClient, version: str) -> None:
    deadline = time.perf_counter() + PATIENCE_SECONDS
    while (await http.get(MODEL)).json()["version"] != version:
        assert time.perf_counter() < deadline, f"version {version} never answered"
        await asyncio.sleep(0.02)
