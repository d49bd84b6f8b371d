"""Whatever is sent, the answer is never the server's failure, and the server is the same afterwards."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from itertools import islice

import httpx
import pytest

from factories.callers import call, post
from factories.hostile import BODIES, NAMES, VALUES, generated, with_value
from factories.servers import Server, served
from factories.serving import ROW, a_package

PREDICT = "/v1/models/rides/predict"
GENERATED = 20_000
MEMORY_MAX = 100 * 1024 * 1024
LEFT_MAX = 20 * 1024 * 1024
"""What twenty thousand requests may leave behind; each that was refused once left four thousand bytes for ever."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("hostile")
    with served(folder, a_package(folder / "package"), sync="interval") as server:
        httpx.post(server.url + PREDICT, json={"rows": [ROW] * 300}).raise_for_status()
        yield server


def send(server: Server, bodies: list[bytes]) -> list[tuple[bytes, int, bytes]]:
    """Send each body once and return it with the status and the answer it got."""
    requests = [post(PREDICT, body) for body in bodies]
    answers: list[tuple[bytes, int, bytes]] = []

    def hear(number: int, status: int, answer: bytes) -> None:
        answers.append((bodies[number], status, answer))

    async def once() -> None:
        left = iter(enumerate(requests))
        await call("127.0.0.1", server.port, left, connections=4, hear=hear)

    asyncio.run(once())
    assert len(answers) == len(bodies)
    return answers


def check(server: Server, answers: list[tuple[bytes, int, bytes]]) -> Counter[int]:
    """Check that every refusal is the caller's and says why, and that the server still answers."""
    for body, status, answer in answers:
        assert status == 200 or 400 <= status < 500, (status, body[:300], answer[:300])
        told = json.loads(answer)
        if status != 200:
            assert told["error"], (status, body[:300])
        if status == 422 and told["problems"]:
            assert all(problem["column"] is not None and problem["rule"] for problem in told["problems"])
    assert server.process.poll() is None
    assert httpx.post(server.url + PREDICT, json={"row": ROW}).status_code == 200
    return Counter(status for _, status, _ in answers)


def test_no_odd_value_in_any_column_is_the_servers_failure(server: Server) -> None:
    bodies = [with_value(ROW, column, raw) for column in ROW for raw in VALUES]

    statuses = check(server, send(server, bodies))

    assert len(bodies) > 200
    assert set(statuses) <= {200, 400, 422}
    assert min(statuses.values()) > 20


def test_no_odd_name_is_the_servers_failure(server: Server) -> None:
    check(server, send(server, [with_value(ROW, name, "1") for name in NAMES]))


def test_no_odd_body_is_the_servers_failure_or_fills_its_memory(server: Server) -> None:
    before = server.memory()

    statuses = check(server, send(server, BODIES))

    assert 200 not in statuses
    assert server.memory() - before < MEMORY_MAX


def test_twenty_thousand_generated_requests_are_answered_or_refused(server: Server) -> None:
    before = server.memory()
    bodies = list(islice(generated(ROW, seed=20130501), GENERATED))

    statuses = check(server, send(server, bodies))

    assert server.memory() - before < LEFT_MAX
    assert set(statuses) <= {200, 400, 422}
    assert min(statuses[status] for status in (200, 400, 422)) > GENERATED / 20, statuses


def test_one_record_stays_one_record_whatever_its_text(server: Server) -> None:
    told = [with_value(ROW, "zone", raw) for raw in VALUES if raw.startswith('"')]
    answers = [answer for _, status, answer in send(server, told) if status == 200]
    ids = {one["prediction_id"] for answer in answers for one in json.loads(answer)["predictions"]}

    kept = server.remembered()

    assert kept["prediction_id"].is_unique
    assert ids <= set(kept["prediction_id"])
    assert {"\u202eevil", "<script>alert(1)</script>", "east\x00", '\n{"entry":"answered"}', "🛬"} <= set(kept["zone"])
