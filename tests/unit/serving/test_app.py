"""The app as a caller meets it: answers, refusals, swaps, and what is remembered of them."""

import asyncio
import gc
import json
import re
import shutil
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from factories.serving import (
    ROW,
    FakeRegistry,
    FakeRelease,
    a_package,
    another_package,
    callers_rows,
    declare,
    in_process,
    key_file,
    some_settings,
    stream,
)
from nightshift.errors import RegistryUnavailableError
from nightshift.model.package import open_package
from nightshift.predictions.commit import PAUSE_SECONDS, GroupCommit
from nightshift.predictions.log import PredictionLog
from nightshift.predictions.pinned import pinned_in, pins
from nightshift.predictions.record import Flaw, Turned
from nightshift.serving import thinking
from nightshift.serving.access import Role
from nightshift.serving.answers import RefusalError, unavailable
from nightshift.serving.app import App, create_app
from nightshift.serving.loader import open_live
from nightshift.serving.lookup import NoLookup
from nightshift.serving.predict import LARGE_BYTES, LARGE_VALUES, NO_HEADERS
from nightshift.serving.validation import Door, TurnedAwayError
from nightshift.serving.wire import ARROW, Headers
from nightshift.settings import Settings

pytestmark = pytest.mark.anyio
PREDICT = "/v1/models/rides/predict"
CONTENT = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_package(tmp_path_factory.mktemp("serving") / "package")


@pytest.fixture(scope="module")
def other_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return another_package(tmp_path_factory.mktemp("other") / "package")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    declare(tmp_path)
    return some_settings(tmp_path, serving_poll_seconds=0.02)


@pytest.fixture
async def http(settings: Settings, package: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with in_process(create_app(settings, package)) as http:
        yield http


def remembered(settings: Settings) -> pd.DataFrame:
    log = PredictionLog(settings.predictions / "rides")
    log.compact()
    return log.window(datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))[0]


async def test_a_row_is_answered_as_the_package_answers_it(http: httpx.AsyncClient, package: Path) -> None:
    answer = (await http.post(PREDICT, json={"row": ROW})).json()

    expected = open_package(package).predict([ROW])[0]
    (prediction,) = answer["predictions"]
    assert prediction["probability"] == pytest.approx(float(expected), abs=1e-9)
    assert prediction["prediction"] == int(expected >= 0.5)
    assert prediction["problems"] == []
    assert answer["model"] == "rides"


@pytest.mark.parametrize("count", [2, 300, 2_000])
async def test_many_rows_are_answered_as_the_package_answers_them(
    http: httpx.AsyncClient, package: Path, count: int
) -> None:
    rows = callers_rows(count)

    answer = (await http.post(PREDICT, json={"rows": rows})).json()

    given = [one["probability"] for one in answer["predictions"]]
    np.testing.assert_allclose(given, open_package(package).predict(rows), atol=1e-5)
    assert len({one["prediction_id"] for one in answer["predictions"]}) == count


def a_stream(rows: list[dict[str, Any]]) -> bytes:
    return stream(pa.Table.from_pylist(rows))


async def test_an_arrow_stream_is_answered_like_json(http: httpx.AsyncClient) -> None:
    rows = callers_rows(40)

    arrow = (await http.post(PREDICT, content=a_stream(rows), headers={"content-type": ARROW.decode()})).json()
    plain = (await http.post(PREDICT, json={"rows": rows})).json()

    assert [one["probability"] for one in arrow["predictions"]] == [one["probability"] for one in plain["predictions"]]


async def test_every_golden_row_gets_its_golden_answer_through_the_whole_door(
    http: httpx.AsyncClient, package: Path
) -> None:
    golden = open_package(package).golden
    accepted = [number for number, row in enumerate(golden.rows) if row["weather"] is not None]
    inside = [number for number in accepted if row_is_inside(golden.rows[number])]

    answer = await http.post(PREDICT, json={"rows": [golden.rows[number] for number in inside]})

    given = [one["probability"] for one in answer.json()["predictions"]]
    np.testing.assert_allclose(given, np.asarray(golden.answers)[inside], atol=1e-5)
    assert len(inside) > 100


def row_is_inside(row: dict[str, Any]) -> bool:
    return row["speed"] is None or 0.26 < row["speed"] < 97


async def test_what_was_answered_is_remembered_with_its_inputs(settings: Settings, package: Path) -> None:
    async with in_process(create_app(settings, package)) as http:
        answer = (await http.post(PREDICT, json={"rows": [ROW, {**ROW, "zone": "nowhere", "distance": None}]})).json()

    kept = remembered(settings).set_index("prediction_id")
    first, second = (kept.loc[one["prediction_id"]] for one in answer["predictions"])
    assert first["probability"] == answer["predictions"][0]["probability"]
    assert (first["key"], first["version"], first["distance"], first["zone"]) == ("r7", answer["version"], 9.5, "east")
    assert first["time"] == datetime(2013, 5, 1, 10, tzinfo=UTC)
    assert pd.isna(second["distance"])
    assert json.loads(second["problems"])[0]["rule"] == "category"


async def test_what_was_refused_is_remembered_and_nothing_of_it_answered(settings: Settings, package: Path) -> None:
    async with in_process(create_app(settings, package)) as http:
        answer = await http.post(PREDICT, json={"rows": [ROW, {**ROW, "speed": -1}]})

    kept = remembered(settings)
    assert answer.status_code == 422
    assert answer.json()["problems"] == [
        {"row": 1, "column": "speed", "rule": "range", "value": -1, "allowed": pytest.approx([0.258, 97.4], rel=0.01)}
    ]
    assert kept["refused"].tolist() == [True]
    assert json.loads(kept["sent"][0])["speed"] == -1


async def test_the_same_request_id_and_body_get_the_same_answer_and_count_once(
    settings: Settings, package: Path
) -> None:
    headers = {"X-Request-Id": "my-id"}
    async with in_process(create_app(settings, package)) as http:
        at_once = await asyncio.gather(*(http.post(PREDICT, json={"row": ROW}, headers=headers) for _ in range(5)))
        other_body = await http.post(PREDICT, json={"row": {**ROW, "speed": 9}}, headers=headers)
    async with in_process(create_app(settings, package)) as http:
        after_a_restart = await http.post(PREDICT, json={"row": ROW}, headers=headers)

    assert len({answer.text for answer in [*at_once, after_a_restart]}) == 1
    assert other_body.json() != at_once[0].json()
    assert len(remembered(settings)) == 2


async def test_what_another_version_answers_a_retry_is_remembered_too(
    settings: Settings, package: Path, other_package: Path
) -> None:
    headers, answers = {"X-Request-Id": "my-id"}, []
    registry = FakeRegistry({"1": package, "2": other_package}, "1")
    for version in ("1", "2"):
        registry.alias = version
        async with in_process(create_app(settings, registry=registry)) as http:
            await until(http, "/v1/models/rides", version=version)
            for _ in range(2):
                answers.append((await http.post(PREDICT, json={"row": ROW}, headers=headers)).json())

    kept = remembered(settings)
    told = {one["predictions"][0]["prediction_id"]: one["predictions"][0]["probability"] for one in answers}
    assert answers[0] == answers[1] != answers[2] == answers[3]
    assert dict(zip(kept["prediction_id"], kept["probability"], strict=True)) == pytest.approx(told)


async def test_what_is_answered_after_it_was_refused_is_remembered_too(
    settings: Settings, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = {"X-Request-Id": "my-id"}
    async with in_process(create_app(settings, package)) as http:
        with monkeypatch.context() as patch:  # as another contract would, or features that come in meanwhile
            refusing = RowsOf(json.dumps(ROW))
            patch.setattr(Door, "admit", refusing.refuse)
            refused = [await http.post(PREDICT, json={"row": ROW}, headers=headers) for _ in range(2)]
        answered = await http.post(PREDICT, json={"row": ROW}, headers=headers)

    kept = remembered(settings)
    assert [answer.status_code for answer in (*refused, answered)] == [422, 422, 200]
    assert sorted(kept["refused"].tolist()) == [False, True]


class RowsOf:
    """Refuses a row, for no reason that it has."""

    def __init__(self, sent: str) -> None:
        self._turned = Turned(0, sent, [Flaw("speed", "range", 1, "another", refused=True)])

    def refuse(self, *_: Any) -> None:
        raise TurnedAwayError([self._turned], 1)


async def test_who_waits_for_the_disk_when_the_server_ends_is_told_to_come_again(
    settings: Settings, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(settings, package)
    sent: list[dict[str, Any]] = []
    asked = asyncio.Event()

    async def stand_still(*_: Any) -> None:
        asked.set()
        await asyncio.Event().wait()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": json.dumps({"row": ROW}).encode()}

    async def send(message: Any) -> None:
        sent.append(message)

    async with in_process(app):
        monkeypatch.setattr(GroupCommit, "append", stand_still)
        waiting = asyncio.ensure_future(
            app({"type": "http", "method": "POST", "path": PREDICT, "headers": []}, receive, send)
        )
        await asked.wait()
        waiting.cancel()  # what uvicorn does once its patience ends
        await waiting
        monkeypatch.undo()

    assert sent[0]["status"] == 503
    assert (b"retry-after", b"1") in sent[0]["headers"]
    assert b"same X-Request-Id" in sent[1]["body"]


async def test_an_online_store_that_says_nothing_stops_nobody_else(
    settings: Settings, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()

    def look_up(*_: Any) -> None:
        answers.wait(10)
        raise unavailable("the online store did not answer")

    monkeypatch.setattr(NoLookup, "admit", look_up)
    async with in_process(create_app(settings, package)) as http:
        by_keys = [asyncio.create_task(http.post(PREDICT, json={"entities": [{}]})) for _ in range(20)]
        await asyncio.sleep(0.1)
        plain = await http.post(PREDICT, json={"row": ROW})
        large = await http.post(PREDICT, json={"rows": [ROW] * 5_000})
        were_waiting = not any(task.done() for task in by_keys)
        answers.set()
        told = [(await task).status_code for task in by_keys]

    assert (plain.status_code, large.status_code, were_waiting) == (200, 200, True)
    assert told == [503] * 20


async def at_once(app: App, *bodies: bytes, headers: Headers = NO_HEADERS) -> list[tuple[int, Any]]:
    """Return status and content of what is answered to bodies that come in one turn of the loop."""
    answers: dict[int, tuple[int, Any]] = {}
    all_here = asyncio.Event()

    def answer(number: int, status: int, body: bytes, _headers: Headers) -> None:
        answers[number] = status, json.loads(body)
        if len(answers) == len(bodies):
            all_here.set()

    for number, body in enumerate(bodies):
        assert app.at_once(PREDICT, headers, body, partial(answer, number))
    await asyncio.wait_for(all_here.wait(), 10)
    return [answers[number] for number in range(len(bodies))]


def without_ids(content: Any) -> Any:
    return {
        **content,
        "predictions": [{**one, "prediction_id": ""} for one in content.get("predictions", [])],
    }


async def test_what_comes_in_one_turn_is_answered_as_one_by_one_and_remembered(
    settings: Settings, package: Path
) -> None:
    rows = callers_rows(60)
    bodies = [
        *(json.dumps({"row": row}).encode() for row in rows[:30]),
        b"{",
        json.dumps({"row": {**ROW, "speed": -1}}).encode(),
        json.dumps({"rows": rows[30:50]}).encode(),
        json.dumps({"rows": rows[50:60]}).encode(),
        json.dumps({"rows": []}).encode(),
    ]
    app = create_app(settings, package)
    async with in_process(app) as http:
        together = await at_once(app, *bodies)
        one_by_one = [await http.post(PREDICT, content=body, headers=CONTENT) for body in bodies]

    assert {status for status, _ in together} == {200, 400, 422}
    assert [(status, without_ids(content)) for status, content in together] == [
        (answer.status_code, without_ids(answer.json())) for answer in one_by_one
    ]
    ids = [one["prediction_id"] for _, content in together for one in content.get("predictions", [])]
    assert len(set(ids)) == len(ids) == 60
    kept = remembered(settings).set_index("prediction_id")
    assert set(ids) <= set(kept.index)
    assert int(kept["refused"].sum()) == 2  # the same bad row, by both ways


async def test_a_model_that_fails_costs_its_requests_and_nothing_else(
    settings: Settings, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(settings, package)
    async with in_process(app):
        live = app.champions.get("rides")
        assert live is not None

        def fail(*_: Any) -> Any:
            raise ValueError("no memory for trees")

        with monkeypatch.context() as broken:
            broken.setattr(live.package, "_few", fail)
            failed = await at_once(app, *[json.dumps({"row": ROW}).encode()] * 3)
        after = await at_once(app, json.dumps({"row": ROW}).encode())

    assert [status for status, _ in failed] == [500] * 3
    assert "no memory" not in json.dumps(failed)
    assert after[0][0] == 200


async def test_an_answer_that_cannot_be_composed_costs_no_other(
    settings: Settings, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compose = thinking._compose

    def fail_for_south(asked: thinking.Asked, *of: Any) -> thinking.Thought:
        if b"south" in asked.body:
            raise ValueError("not this one")
        return compose(asked, *of)

    monkeypatch.setattr(thinking, "_compose", fail_for_south)
    app = create_app(settings, package)
    async with in_process(app):
        answers = await at_once(
            app, *(json.dumps({"row": {**ROW, "zone": zone}}).encode() for zone in ("east", "south", "east"))
        )

    assert [status for status, _ in answers] == [200, 500, 200]


async def test_two_versions_in_one_turn_answer_each_its_own(
    settings: Settings, package: Path, other_package: Path
) -> None:
    body = json.dumps({"row": ROW}).encode()
    app = create_app(settings, package)
    async with in_process(app):
        [(_, old)] = await at_once(app, body)
        asking = asyncio.create_task(at_once(app, body, body))
        await asyncio.sleep(0)  # both wait for their turn, and the champion changes
        app.champions.put(open_live(other_package))
        both = await asking
        [(_, new)] = await at_once(app, body)

    assert [content["version"] for _, content in both] == [old["version"]] * 2
    assert without_ids(both[0][1]) == without_ids(old)
    assert new["version"] != old["version"]


@pytest.mark.parametrize("kind", [b"application/json", b"application/json; charset=utf-8"])
async def test_json_by_any_of_its_names_is_answered_at_once(settings: Settings, package: Path, kind: bytes) -> None:
    app = create_app(settings, package)
    async with in_process(app):
        answers = await at_once(app, json.dumps({"row": ROW}).encode(), headers={b"content-type": kind})

    assert [status for status, _ in answers] == [200]


@pytest.mark.parametrize("sync", ["answer", "interval"])
async def test_a_disk_that_refuses_is_told_at_once_and_answers_come_again_when_it_is_mended(
    settings: Settings, package: Path, sync: str
) -> None:
    app = create_app(settings.model_copy(update={"log_fsync": sync}), package)
    segments = settings.predictions / "rides" / "segments"
    body = json.dumps({"row": ROW}).encode()
    async with in_process(app):
        [(before, _)] = await at_once(app, body)
        segments.rename(segments.with_name("gone"))
        segments.write_text("no folder, and nothing can be removed from it")
        [(broken, told), (also, _)] = await at_once(app, body, body)
        segments.unlink()
        await asyncio.sleep(PAUSE_SECONDS)
        [(after, _)] = await at_once(app, body)

    assert (before, broken, also, after) == (200, 503, 503, 200)
    assert told["error"].startswith("the answer could not be remembered")
    assert str(settings.predictions) not in told["error"], "where the log lies is nothing for callers"


async def test_a_small_arrow_stream_is_answered_at_once_together_with_others(settings: Settings, package: Path) -> None:
    app, rows = create_app(settings, package), callers_rows(40)
    wrong = [{**rows[0], "speed": -1.0}]
    async with in_process(app):
        streams = await at_once(app, *map(a_stream, (rows, wrong, rows[:1])), headers={b"content-type": ARROW})
        bodies = await at_once(app, *(json.dumps({"rows": some}).encode() for some in (rows, wrong, rows[:1])))

    assert [status for status, _ in streams] == [200, 422, 200]
    assert [without_ids(content) for _, content in streams] == [without_ids(content) for _, content in bodies]


@pytest.mark.parametrize(
    ("path", "headers", "body"),
    [
        ("/v1/models", {}, b"{}"),
        ("/v1/models/nobody/predict", {}, b"{}"),
        (PREDICT, {b"x-request-id": b"1"}, b"{}"),
        (PREDICT, {b"content-encoding": b"gzip"}, b"{}"),
        (PREDICT, {b"content-type": ARROW}, b"no stream"),
        (PREDICT, {b"content-type": ARROW}, a_stream([ROW] * (LARGE_VALUES // 6 + 1))),
        (PREDICT, {b"content-type": b"text/xml"}, b"{}"),
        (PREDICT, {}, b" " * (LARGE_BYTES + 1)),
        (PREDICT, {}, b'{"entities":[{}]}'),
        (PREDICT, {}, b'{"rows":[' + b",".join([b"{}"] * (LARGE_VALUES // 4)) + b"]}"),
    ],
)
async def test_what_is_not_plain_is_not_answered_at_once(
    settings: Settings, package: Path, path: str, headers: Headers, body: bytes
) -> None:
    app = create_app(settings, package)
    async with in_process(app):
        taken = app.at_once(path, headers, body, lambda *_: pytest.fail("it was answered"))

    assert not taken


@pytest.mark.parametrize("body", [b"{", json.dumps({"row": {**ROW, "speed": -1}}).encode()])
async def test_a_refusal_leaves_nothing_in_memory(settings: Settings, package: Path, body: bytes) -> None:
    app = create_app(settings, package)
    async with in_process(app) as http:
        for _ in range(10):
            await at_once(app, body, body)
            await http.post(PREDICT, content=body, headers=CONTENT)
        gc.collect()
        left = [one for one in gc.get_objects() if isinstance(one, RefusalError)]

    assert left == []


@pytest.mark.parametrize(("role", "status"), [(Role.PREDICT, 200), (Role.READ, 403)])
async def test_at_once_too_takes_a_key(
    settings: Settings, package: Path, tmp_path: Path, role: Role, status: int
) -> None:
    keys, secret = key_file(tmp_path, role)
    body = json.dumps({"row": ROW}).encode()
    app = create_app(settings.model_copy(update={"serving_keys": str(keys)}), package)
    async with in_process(app):
        [(without, _)] = await at_once(app, body)
        [(with_key, _)] = await at_once(app, body, headers={b"authorization": b"Bearer " + secret})

    assert (without, with_key) == (401, status)


@pytest.mark.parametrize("given", ["", "x" * 129])
async def test_a_request_id_of_no_or_absurd_length_is_refused(http: httpx.AsyncClient, given: str) -> None:
    answer = await http.post(PREDICT, json={"row": ROW}, headers={"X-Request-Id": given})

    assert answer.status_code == 400


@pytest.mark.parametrize(
    "model",
    ["nope", "RIDES", "rides ", "..", "../rides", "%2e%2e", "rides%00", "rides%2f..%2frides", "x" * 300, "con", "-"],
)
async def test_a_name_that_is_no_model_is_not_found_and_touches_no_file(
    settings: Settings, package: Path, model: str
) -> None:
    async with in_process(create_app(settings, package)) as http:
        answers = [
            await http.post(f"/v1/models/{model}/predict", json={"row": ROW}),
            await http.get(f"/v1/models/{model}"),
            await http.post(f"/v1/models/{model}/reload"),
        ]

    assert all(400 <= answer.status_code < 500 for answer in answers)
    assert not settings.predictions.exists()


async def test_models_tell_what_they_take(http: httpx.AsyncClient) -> None:
    listed = (await http.get("/v1/models")).json()["models"]
    told = (await http.get("/v1/models/rides")).json()

    assert [model["name"] for model in listed] == ["rides"]
    assert told["columns"] == {"distance": "numeric", "speed": "numeric", "weather": "numeric", "zone": "categorical"}
    assert (told["key"], told["time"], told["task"]) == ("ride_id", "at", "binary")
    assert told["contract"]["columns"][0]["name"] == "distance"


async def test_health_and_metrics_tell_how_it_is(http: httpx.AsyncClient) -> None:
    await http.post(PREDICT, json={"row": ROW})

    assert (await http.get("/v1/health/live")).json() == {"status": "live"}
    assert (await http.get("/v1/health/ready")).json() == {"status": "ready", "troubles": [], "pinned": {}}
    assert 'nightshift_requests_total{model="rides",status="200"} 1.0' in (await http.get("/metrics")).text


async def test_the_description_names_every_route(http: httpx.AsyncClient) -> None:
    described = (await http.get("/v1/openapi.json")).json()

    assert set(described["paths"]) == {
        "/v1/models",
        "/v1/models/{model}",
        "/v1/models/{model}/predict",
        "/v1/models/{model}/reload",
        "/v1/models/{model}/pin",
        "/v1/health/live",
        "/v1/health/ready",
        "/metrics",
    }
    assert {"200", "413", "422", "503"} <= set(described["paths"]["/v1/models/{model}/predict"]["post"]["responses"])


async def test_the_page_of_the_description_shows_every_route_and_fetches_nothing(http: httpx.AsyncClient) -> None:
    page = await http.get("/v1/docs")

    described = (await http.get("/v1/openapi.json")).json()["paths"]
    routes = [f"<code>{method.upper()} {path}</code>" for path, methods in described.items() for method in methods]
    assert all(route in page.text for route in routes)
    assert "application/vnd.apache.arrow.stream" in page.text
    assert "All refusals have one form" in page.text
    assert "{&quot;reason&quot;: &quot;version 4 takes every hub" in page.text, "how a pin is sent"
    assert "&quot;prediction_id&quot;: &quot;20130501" in page.text, "what comes back"
    assert "Successful Response" not in page.text, "FastAPI's word where nothing is said"
    assert not re.search(r"<script|<link|<img|src=|https?://|@import|url\(", page.text)
    assert page.headers["content-security-policy"].startswith("default-src 'none'")


async def test_without_a_key_every_described_route_but_health_is_closed(settings: Settings, package: Path) -> None:
    path, secret = key_file(settings.project, Role.ADMIN)
    guarded = settings.model_copy(update={"serving_keys": str(path)})
    async with in_process(create_app(guarded, package)) as http:
        bearer = {"Authorization": f"Bearer {secret.decode()}"}
        routes = (await http.get("/v1/openapi.json", headers=bearer)).json()["paths"]
        routes |= {"/v1/openapi.json": {"get": {}}, "/v1/docs": {"get": {}}}
        answers = {
            (method, route): await http.request(method, route.replace("{model}", "rides"), json={"row": ROW})
            for route, methods in routes.items()
            for method in methods
        }
        opened = await http.post(PREDICT, json={"row": ROW}, headers=bearer)

    closed = {route for (_, route), answer in answers.items() if answer.status_code == 401}
    assert set(routes) - closed == {"/v1/health/live", "/v1/health/ready"}
    assert opened.status_code == 200


async def test_what_is_wrong_with_a_request_is_told_to_whom_may_send_it(settings: Settings, package: Path) -> None:
    path, secret = key_file(settings.project, Role.PREDICT)
    guarded = settings.model_copy(update={"serving_keys": str(path)})
    bearer = {"Authorization": f"Bearer {secret.decode()}"}
    async with in_process(create_app(guarded, package)) as http:
        broken = [await http.put("/v1/models/rides/pin", content=b"{", headers=head) for head in ({}, bearer)]
        named = [await http.get("/v1/models/NO MODEL", headers=head) for head in ({}, bearer)]

    assert [answer.status_code for answer in broken] == [401, 403]
    assert [answer.status_code for answer in named] == [401, 422]


async def until(http: httpx.AsyncClient, path: str, **wanted: Any) -> dict[str, Any]:
    """Ask until the answer holds what is wanted."""
    for _ in range(500):
        answer = (await http.get(path)).json()
        if wanted.items() <= answer.items():
            return dict(answer)
        await asyncio.sleep(0.01)
    raise AssertionError(f"{path} never answered {wanted}, at last {answer}")


async def test_a_new_champion_answers_without_a_lost_or_mixed_answer(
    settings: Settings, package: Path, other_package: Path
) -> None:
    registry = FakeRegistry({str(number): other_package if number % 2 else package for number in range(8)}, "0")
    expected = [float(open_package(folder).predict([ROW])[0]) for folder in (package, other_package)]
    answers: list[httpx.Response] = []
    done = asyncio.Event()
    async with in_process(create_app(settings, registry=registry)) as http:
        await until(http, "/v1/health/ready", status="ready")

        async def ask() -> None:
            while not done.is_set():
                answers.append(await http.post(PREDICT, json={"row": ROW}))

        asking = [asyncio.create_task(ask()) for _ in range(4)]
        for number in range(1, 8):
            registry.alias = str(number)
            await until(http, "/v1/models/rides", version=str(number))
        done.set()
        await asyncio.gather(*asking)

    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["version"] for answer in answers} >= {"1", "6"}
    assert abs(expected[0] - expected[1]) > 0.01
    for answer in answers:
        told = answer.json()
        given = told["predictions"][0]["probability"]
        assert given == pytest.approx(expected[int(told["version"]) % 2], abs=1e-6)
    assert len(remembered(settings)) == len(answers)


async def test_a_champion_that_cannot_be_opened_leaves_the_old_one_and_tells_people_once(
    settings: Settings, package: Path, tmp_path: Path
) -> None:
    registry = FakeRegistry({"1": package, "2": a_package(tmp_path / "bad")}, "1")
    (tmp_path / "bad" / "model.onnx").write_bytes(b"changed")
    async with in_process(create_app(settings, registry=registry)) as http:
        await until(http, "/v1/models/rides", version="1")
        registry.alias = "2"
        told = await until(http, "/v1/health/ready", status="degraded")
        reload = await http.post("/v1/models/rides/reload")
        answer = await http.post(PREDICT, json={"row": ROW})
        registry.alias = "1"
        await until(http, "/v1/health/ready", status="ready")

    assert told["troubles"] == ["rides"]
    assert answer.json()["version"] == "1"
    assert reload.status_code == 503
    assert "model.onnx" in reload.json()["error"]
    (alert,) = (settings.state / "alerts" / "rides.jsonl").read_text().splitlines()
    assert "cannot be served" in alert


async def test_with_the_registry_away_the_last_champion_answers_from_its_copy(
    settings: Settings, package: Path
) -> None:
    registry = FakeRegistry({"5": package}, "5")
    async with in_process(create_app(settings, registry=registry)) as http:
        await until(http, "/v1/models/rides", version="5")
    registry.trouble = RegistryUnavailableError("nobody answers")

    async with in_process(create_app(settings, registry=registry)) as http:
        ready = await until(http, "/v1/health/ready", status="degraded")
        answer = await http.post(PREDICT, json={"row": ROW})

    assert ready["troubles"] == ["rides"]
    assert answer.json()["version"] == "5"
    assert not (settings.state / "alerts").exists()


async def test_a_pinned_version_stays_whoever_is_champion_and_through_a_restart(
    settings: Settings, package: Path, other_package: Path
) -> None:
    registry = FakeRegistry({"1": package, "2": other_package, "3": package}, "2")
    async with in_process(create_app(settings, registry=registry)) as http:
        await until(http, "/v1/models/rides", version="2")
        pinned = await http.put("/v1/models/rides/pin", json={"version": "1", "reason": "2 refuses rain"})
        registry.alias = "3"
        await http.post("/v1/models/rides/reload")
        answer = await http.post(PREDICT, json={"row": ROW})
    async with in_process(create_app(settings, registry=registry)) as http:
        restarted = await http.post(PREDICT, json={"row": ROW})
        ready, metrics = (await http.get("/v1/health/ready")).json(), (await http.get("/metrics")).text
        noted = pinned_in(settings.predictions / "rides")
        freed = await http.delete("/v1/models/rides/pin")

    assert (pinned.json()["pinned"]["by"], pinned.json()["pinned"]["reason"]) == ("anybody", "2 refuses rain")
    assert ready["pinned"] == {"rides": "1"}
    assert 'nightshift_pinned{model="rides"} 1.0' in metrics
    assert noted is not None
    assert noted.to_json() == pinned.json()["pinned"]
    assert pinned_in(settings.predictions / "rides") is None
    (once,) = pins(settings.predictions / "rides")
    assert (once.pinned, once.ended_by) == (noted, "anybody")
    assert once.until is not None
    assert (answer.json()["version"], restarted.json()["version"]) == ("1", "1")
    assert (freed.json()["version"], freed.json()["pinned"]) == ("3", None)


@pytest.fixture
async def pinned_and_gone(
    settings: Settings, package: Path, other_package: Path, tmp_path: Path
) -> tuple[FakeRegistry, Path]:
    """Version 1 was pinned while 2 is champion; the server is stopped, its copy of 1 removed, the registry away."""
    copy = shutil.copytree(package, tmp_path / "copy")
    registry = FakeRegistry({"1": copy, "2": other_package}, "2")
    async with in_process(create_app(settings, registry=registry)) as http:
        await until(http, "/v1/models/rides", version="2")
        await http.put("/v1/models/rides/pin", json={"version": "1", "reason": "2 refuses rain"})
    shutil.rmtree(copy)
    registry.packages["1"] = tmp_path / "nowhere"
    return registry, package


async def test_nobody_answers_for_a_pinned_version_that_cannot_be_opened_and_it_is_fetched_again(
    settings: Settings, pinned_and_gone: tuple[FakeRegistry, Path]
) -> None:
    registry, package = pinned_and_gone
    async with in_process(create_app(settings, registry=registry)) as http:
        await http.post("/v1/models/rides/reload")
        meanwhile = (await http.post(PREDICT, json={"row": ROW})).status_code
        told, ready = (await http.get("/v1/models")).json(), (await http.get("/v1/health/ready")).json()
        registry.packages["1"] = package
        await until(http, "/v1/models/rides", version="1")
        answer = (await http.get("/v1/models/rides")).json()

    assert meanwhile == 404
    assert told["models"] == []
    assert told["troubles"]["rides"].startswith("version 1 is pinned by anybody and cannot be opened")
    assert "nowhere" in told["troubles"]["rides"]
    assert ready["status"] == "no model"
    assert answer["pinned"]["reason"] == "2 refuses rain"
    assert pinned_in(settings.predictions / "rides") is not None


@pytest.mark.parametrize("version", [None, "2"])
async def test_a_pin_that_cannot_be_kept_is_ended_or_replaced_by_a_person(
    settings: Settings, pinned_and_gone: tuple[FakeRegistry, Path], version: str | None
) -> None:
    registry, _ = pinned_and_gone
    async with in_process(create_app(settings, registry=registry)) as http:
        if version is None:
            await http.delete("/v1/models/rides/pin")
        else:
            await http.put("/v1/models/rides/pin", json={"version": version, "reason": "1 is gone"})
        answer = (await http.get("/v1/models/rides")).json()
        troubles = (await http.get("/v1/models")).json()["troubles"]

    assert (answer["version"], troubles) == ("2", {})
    assert (answer["pinned"] is None) is (version is None)
    assert (pinned_in(settings.predictions / "rides") is None) is (version is None)
    assert pins(settings.predictions / "rides")[0].until is not None


async def test_what_one_server_was_told_to_pin_is_not_forgotten_because_another_follows(
    settings: Settings, package: Path, other_package: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registry = FakeRegistry({"1": package, "2": other_package, "3": package}, "2")
    async with (
        in_process(create_app(settings, registry=registry)) as told,
        in_process(create_app(settings, registry=registry)) as other,
    ):
        for http in (told, other):
            await until(http, "/v1/models/rides", version="2")
        await told.put("/v1/models/rides/pin", json={"version": "1", "reason": "2 refuses rain"})
        registry.alias = "3"
        await until(other, "/v1/models/rides", version="3")
    caplog.clear()
    async with in_process(create_app(settings, registry=registry)) as http:
        answer = (await http.get("/v1/models/rides")).json()

    assert (answer["version"], answer["pinned"]["reason"]) == ("1", "2 refuses rain")
    assert "rides: serving answers with version 1 whoever is champion: pinned by anybody" in caplog.text


async def test_what_is_said_of_a_pin_is_one_line_that_can_be_read(settings: Settings, package: Path) -> None:
    registry = FakeRegistry({"1": package}, "1")
    async with in_process(create_app(settings, registry=registry)) as http:
        await until(http, "/v1/models/rides", version="1")
        refused = [
            await http.put("/v1/models/rides/pin", json={"version": "1", "reason": reason})
            for reason in ("", "   ", "a\nERROR all is well", "\x1b[31m", "a\u2028b", "x" * 201)
        ]
        bare = await http.put("/v1/models/rides/pin", json={"version": "1"})
        pinned = await http.put("/v1/models/rides/pin", json={"version": "1", "reason": " é, 雨 "})

    assert {answer.status_code for answer in refused} == {422}
    assert bare.json()["error"] == "reason is missing"
    assert pinned.json()["pinned"]["reason"] == "é, 雨"


async def test_a_version_that_cannot_be_had_is_not_pinned(settings: Settings, package: Path) -> None:
    registry = FakeRegistry({"1": package}, "1")
    async with in_process(create_app(settings, registry=registry)) as http:
        await until(http, "/v1/models/rides", version="1")
        answers = [
            await http.put("/v1/models/rides/pin", json={"version": version, "reason": "x"})
            for version in ("9", "../1", "")
        ]
        answers.append(await http.put("/v1/models/rides/pin", json={"version": "1"}))
        still = (await http.get("/v1/models/rides")).json()

    assert [answer.status_code for answer in answers] == [409, 422, 422, 422]
    assert (still["version"], still["pinned"]) == ("1", None)


async def test_a_challenger_answers_beside_the_champion_unseen_and_under_the_same_ids(
    settings: Settings, package: Path, other_package: Path
) -> None:
    registry = FakeRegistry({"1": package, "2": other_package}, "1")
    shadowed = settings.model_copy(update={"serving_shadow": 1.0})
    async with in_process(create_app(shadowed, registry=registry)) as http:
        await until(http, "/v1/models/rides", version="1")
        seen = await until_shadowed(http)

    expected = float(open_package(other_package).predict([ROW])[0])
    log = PredictionLog(settings.predictions / "rides" / "shadow")
    log.compact()
    kept = log.window(datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))[0]
    assert {answer["version"] for answer in seen} == {"1"}
    assert set(kept["version"]) == {"2"}
    assert set(kept["prediction_id"]) <= {one["prediction_id"] for answer in seen for one in answer["predictions"]}
    assert kept["probability"].tolist() == pytest.approx([expected] * len(kept))
    assert set(remembered(settings)["version"]) == {"1"}


async def until_shadowed(http: httpx.AsyncClient) -> list[dict[str, Any]]:
    """Ask until a challenger has answered beside; return what was seen."""
    seen = []
    for _ in range(500):
        seen.append((await http.post(PREDICT, json={"row": ROW})).json())
        if 'outcome="answered"' in (await http.get("/metrics")).text:
            return seen
        await asyncio.sleep(0.01)
    raise AssertionError("no challenger ever answered")


async def test_a_pinned_challenger_is_not_held_beside_itself(
    settings: Settings, package: Path, other_package: Path
) -> None:
    registry = FakeRegistry({"1": package, "2": other_package}, "1")
    shadowed = settings.model_copy(update={"serving_shadow": 1.0})
    async with in_process(create_app(shadowed, registry=registry)) as http:
        await until(http, "/v1/models/rides", version="1", challenger="2")
        pinned = (await http.put("/v1/models/rides/pin", json={"version": "2", "reason": "try it"})).json()
        registry.packages["3"] = package
        newer = await until(http, "/v1/models/rides", version="2", challenger="3")

    assert (pinned["version"], pinned["challenger"]) == ("2", None)
    assert newer["pinned"]["by"] == "anybody"


async def test_following_goes_on_after_a_swap_that_could_not_be_written_down(
    settings: Settings, package: Path, other_package: Path
) -> None:
    registry = FakeRegistry({"1": package, "2": other_package, "3": package}, "1")
    async with in_process(create_app(settings, registry=registry)) as http:
        await until(http, "/v1/models/rides", version="1")
        memory = settings.state / "serving"
        memory.rename(settings.state / "elsewhere")
        memory.touch()  # nothing can be written below a file
        registry.alias = "2"
        await until(http, "/v1/models/rides", version="2")
        pinned = await http.put("/v1/models/rides/pin", json={"version": "1", "reason": "as before"})
        await http.delete("/v1/models/rides/pin")
        memory.unlink()
        registry.alias = "3"
        await until(http, "/v1/models/rides", version="3")

    assert (pinned.status_code, pinned.json()["version"]) == (200, "1")
    assert json.loads((memory / "rides.json").read_text())["version"] == "3"


async def test_following_goes_on_whatever_a_challenger_brings(
    settings: Settings, package: Path, other_package: Path
) -> None:
    class Odd(FakeRegistry):
        def versions(self, model: str) -> list[FakeRelease]:
            raise KeyError(model)

    registry = Odd({"1": package, "2": other_package}, "1")
    shadowed = settings.model_copy(update={"serving_shadow": 1.0})
    async with in_process(create_app(shadowed, registry=registry)) as http:
        await until(http, "/v1/models/rides", version="1")
        registry.alias = "2"
        found = await until(http, "/v1/models/rides", version="2")

    assert found["challenger"] is None


async def test_a_model_that_is_not_declared_is_no_trouble(settings: Settings, package: Path) -> None:
    registry = FakeRegistry({"1": package}, "1")
    async with in_process(create_app(settings, registry=registry)) as http:
        await until(http, "/v1/models/rides", version="1")
        registry.trouble = RegistryUnavailableError("nobody answers")
        answer = await http.post("/v1/models/ridez/reload")
        troubles = (await http.get("/v1/models")).json()["troubles"]

    assert answer.status_code == 404
    assert set(troubles) <= {"rides"}


@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_that_nobody_needs_is_not_read(http: httpx.AsyncClient, declared: bool) -> None:
    read = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(1000):
            read += 1
            yield b" " * 1024

    length = {"content-length": str(1024 * 1000)} if declared else {}
    answer = await http.put(
        "/v1/models/rides/pin", content=pieces(), headers={"content-type": "application/json", **length}
    )

    assert answer.status_code == 413
    assert "at most 4,096" in answer.json()["error"]
    assert read < 10


async def test_what_is_not_there_is_refused_in_the_usual_form(http: httpx.AsyncClient) -> None:
    nowhere, wrong = await http.get("/docs"), await http.post("/v1/health/live")

    assert (nowhere.status_code, wrong.status_code) == (404, 405)
    assert nowhere.json() == {"error": "there is no GET /docs; /v1/docs tells what there is", "problems": []}
    assert wrong.headers["allow"] == "GET"


async def test_without_any_model_it_lives_but_is_not_ready(settings: Settings) -> None:
    async with in_process(create_app(settings, registry=FakeRegistry({}))) as http:
        live, ready = await http.get("/v1/health/live"), await http.get("/v1/health/ready")
        answer = await http.post(PREDICT, json={"row": ROW})

    assert (live.status_code, ready.status_code, answer.status_code) == (200, 503, 404)


async def test_a_multiclass_answer_tells_all_probabilities(settings: Settings, tmp_path: Path) -> None:
    package = a_package(tmp_path / "multiclass", "multiclass")
    async with in_process(create_app(settings, package)) as http:
        (answer,) = (await http.post(PREDICT, json={"row": ROW})).json()["predictions"]

    assert set(answer["probabilities"]) == {"cancelled", "late", "on time"}
    assert answer["probability"] == max(answer["probabilities"].values())
    assert answer["probabilities"][answer["prediction"]] == answer["probability"]
    assert remembered(settings)["prediction"].tolist() == [answer["prediction"]]


async def test_a_regression_answers_a_value_without_a_probability(settings: Settings, tmp_path: Path) -> None:
    package = a_package(tmp_path / "regression", "regression")
    async with in_process(create_app(settings, package)) as http:
        (answer,) = (await http.post(PREDICT, json={"row": ROW})).json()["predictions"]

    assert answer["probability"] is None
    assert answer["prediction"] == pytest.approx(float(open_package(package).predict([ROW])[0]), rel=1e-6)
